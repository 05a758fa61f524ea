"""What Celery runs: `manage.py worker`, and the schedule, `celery --app config.celery beat`.

Its settings stand in config/settings/, in base.py and production.py, as CELERY_….
"""

import os
from typing import Any

from celery import Celery, Task
from celery.signals import before_task_publish, setup_logging, task_postrun, task_prerun

from apps.operations import request_ids
from config import redis_transport
from config.environment import load_dotenv
from config.worker_shutdown import EndWithTasks

load_dotenv()
redis_transport.use()
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.production")

app = Celery("site")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.steps["worker"].add(EndWithTasks)


@setup_logging.connect
def leave_logs_to_django(**_: Any) -> None:
    """Keep Celery's own format off: lines are the site's, as LOGGING says."""


@before_task_publish.connect
def tell_request(headers: dict[str, Any], **_: Any) -> None:
    """Let a task know the id of the request that asks for it."""
    # One that Celery sends again has it already, and is sent by no request.
    headers.setdefault("request_id", request_ids.current.get())


@task_prerun.connect
def take_request(task: Task, **_: Any) -> None:
    """Let the lines of a task have that id."""
    request_ids.current.set(task.request.get("request_id"))


@task_postrun.connect
def forget_request(**_: Any) -> None:
    """Let the next line not have it."""
    request_ids.current.set(None)

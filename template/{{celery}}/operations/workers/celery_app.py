"""Celery's application: its settings are Django's, its log lines the site's, and a task has its request's id."""

from typing import Any

from celery import Celery, Task
from celery.signals import before_task_publish, setup_logging, task_postrun, task_prerun

from operations.logs import current_id
from operations.workers import redis_transport
from operations.workers.shutdown import EndWithTasks


def make_app(name: str) -> Celery:
    """Return the application, which reads its settings when they are first needed."""
    redis_transport.use()
    app = Celery(name)
    app.config_from_object("django.conf:settings", namespace="CELERY")
    app.autodiscover_tasks()
    app.steps["worker"].add(EndWithTasks)
    return app


@setup_logging.connect
def leave_logs_to_django(**_: Any) -> None:
    """Keep Celery's own format off: lines are the site's, as LOGGING says."""


@before_task_publish.connect
def tell_request(headers: dict[str, Any], **_: Any) -> None:
    """Let a task know the id of the request that asks for it."""
    # One that Celery sends again has it already, and is sent by no request.
    headers.setdefault("request_id", current_id.get())


@task_prerun.connect
def take_request(task: Task, **_: Any) -> None:
    """Let the lines of a task have that id."""
    current_id.set(task.request.get("request_id"))


@task_postrun.connect
def forget_request(**_: Any) -> None:
    """Let the next line not have it."""
    current_id.set(None)

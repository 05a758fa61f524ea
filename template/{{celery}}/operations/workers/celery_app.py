"""Create Celery's application with Django's settings and logging, and pass the request id on to tasks."""

from typing import Any

from celery import Celery, Task
from celery.signals import before_task_publish, setup_logging, task_postrun, task_prerun

from operations.logs import current_id
from operations.workers import redis_transport
from operations.workers.shutdown import EndWithTasks


def make_app(name: str) -> Celery:
    """Return the application. It reads its settings when they are first needed."""
    redis_transport.use()
    app = Celery(name)
    app.config_from_object("django.conf:settings", namespace="CELERY")
    app.autodiscover_tasks()
    app.steps["worker"].add(EndWithTasks)
    return app


@setup_logging.connect
def leave_logs_to_django(**_: Any) -> None:
    """Keep the logging that LOGGING configures: with a receiver for this signal, Celery sets up none of its own."""


@before_task_publish.connect
def tell_request(headers: dict[str, Any], **_: Any) -> None:
    """Send the id of the current request with a task."""
    # A task that Celery sends again already has it, and there is no request then.
    headers.setdefault("request_id", current_id.get())


@task_prerun.connect
def take_request(task: Task, **_: Any) -> None:
    """Use that id in the task's log lines."""
    current_id.set(task.request.get("request_id"))


@task_postrun.connect
def forget_request(**_: Any) -> None:
    """Stop using that id when the task is over."""
    current_id.set(None)

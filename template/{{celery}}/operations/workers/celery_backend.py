"""Run Django's tasks (`@task` and `enqueue`) with Celery."""

import os
import sys
import uuid
from datetime import datetime, timedelta
from typing import Any, NoReturn, override

from celery import Celery, shared_task
from celery import Task as CeleryTask
from django.tasks import Task, TaskResult, TaskResultStatus
from django.tasks.backends.base import BaseTaskBackend
from django.tasks.signals import task_enqueued
from django.utils import timezone
from django.utils.json import normalize_json
from django.utils.module_loading import import_string

# Give up a task after this many of its processes have died: the task itself is likely to be the cause.
MOST_ATTEMPTS = 5
# How often a task that the worker does not know is retried, and after how many seconds each time.
UNKNOWN_TRIES = 10
UNKNOWN_WAIT = 30


class CeleryBackend(BaseTaskBackend):
    """Send tasks to Celery's broker, with the application `app` of config.celery or of the module OPTIONS["app"]."""

    supports_defer = True
    supports_async_task = True

    @property
    def app(self) -> Celery:
        """Return Celery's application."""
        app: Celery = import_string(f"{self.module}.app")
        return app

    @property
    def module(self) -> str:
        """Return the name of the module that has the application."""
        return str(self.options.get("app", "config.celery"))

    def enqueue(self, task: Task, args: Any, kwargs: Any) -> TaskResult:
        """Send a task to its queue.

        Raises:
            kombu.exceptions.OperationalError: the broker does not answer.
            ValueError: Redis cannot hold the task for that long.
        """
        self.validate_task(task)
        refuse_too_late(task.run_after, self.app)
        result: TaskResult = TaskResult(
            task=task,
            id=str(uuid.uuid4()),
            status=TaskResultStatus.READY,
            enqueued_at=timezone.now(),
            started_at=None,
            last_attempted_at=None,
            finished_at=None,
            args=list(args),
            kwargs=kwargs,
            backend=self.alias,
            errors=[],
            worker_ids=[],
        )
        options: dict[str, Any] = {
            "task_id": result.id,
            "queue": task.queue_name,
            "eta": task.run_after,
            # The name that Celery shows for the task.
            "shadow": task.module_path,
        }
        self.app.tasks[run.name].apply_async(
            (task.module_path, normalize_json(list(args)), normalize_json(kwargs)), **options
        )
        task_enqueued.send(type(self), task_result=result)
        return result

    def work(self) -> NoReturn:
        """Replace this process by a Celery worker."""
        # On SIGTERM, running tasks get CELERY_SHUTDOWN_SECONDS to finish; unfinished ones go back to the broker.
        # Celery reads this variable before it loads the site's settings.
        # https://docs.celeryq.dev/en/stable/userguide/workers.html#soft-shutdown
        os.environ.setdefault("REMAP_SIGTERM", "SIGQUIT")
        # Workers tell each other nothing: it takes four connections of a broker that may have 20.
        worker = ["-m", "celery", "--quiet", "--app", self.module, "worker", "--without-gossip", "--without-mingle"]
        os.execv(sys.executable, [sys.executable, *worker])  # noqa: S606 - no shell is wanted


def longest_wait(app: Celery) -> int | None:
    """Return for how many seconds a task can be deferred at most: its lease minus its time limit. None if unlimited.

    A worker takes a deferred task at once, holds it until it is time, and runs it within the same lease.
    https://docs.celeryq.dev/en/stable/getting-started/backends-and-brokers/redis.html#visibility-timeout
    """
    lease = app.conf.broker_transport_options.get("visibility_timeout")
    return lease - app.conf.task_time_limit if lease else None


def refuse_too_late(run_after: datetime | None, app: Celery) -> None:
    """Refuse a task that is deferred beyond its lease. Redis would give it to a second worker, and both would run it.

    Raises:
        ValueError: it is deferred for too long.
    """
    longest = longest_wait(app)
    if longest is not None and run_after and run_after > timezone.now() + timedelta(seconds=longest):
        raise ValueError(
            f"With Redis, a task can be deferred for {longest} s at most, which is half of TASK_TIME_LIMIT_SECONDS."
            " Raise that, or use the schedule in the admin."
        )


class QuietTask(CeleryTask[Any, Any]):
    """Keep a task's arguments out of logs and monitoring: an email may have a link that gives access to an account."""

    @override
    def apply_async(self, *args: Any, **options: Any) -> Any:
        """Send the task. Celery calls this for retries, too."""
        return super().apply_async(*args, **{**options, "argsrepr": "…", "kwargsrepr": "…"})


# A task whose process died is retried at once, MOST_ATTEMPTS times in all. Keep the name: queued messages have it.
@shared_task(
    bind=True,
    base=QuietTask,
    name="apps.operations.run",
    ignore_result=True,
    max_retries=MOST_ATTEMPTS - 1,
    default_retry_delay=0,
)
def run(self: QuietTask, path: str, args: list[Any], kwargs: dict[str, Any]) -> None:
    """Run the task whose function is at `path`. If it does not exist yet, retry later.

    Raises:
        ImportError: it did not exist for several minutes.
    """
    try:
        task: Task = import_string(path)
    except ImportError as error:
        # During a deploy, new pages may enqueue tasks that only the next worker knows.
        longest = longest_wait(self.app)
        wait = UNKNOWN_WAIT if longest is None else min(UNKNOWN_WAIT, longest)
        raise self.retry(exc=error, countdown=wait, max_retries=UNKNOWN_TRIES) from error
    task.call(*args, **kwargs)

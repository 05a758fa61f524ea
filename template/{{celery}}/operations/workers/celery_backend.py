"""Tasks by Celery, asked for by Django's own interface: `@task` and `enqueue`."""

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

# A task that has ended so many processes is what ends them, and is not tried again.
MOST_ATTEMPTS = 5
# How often a task that the worker does not know is sent again, and after how many seconds each time.
UNKNOWN_TRIES = 10
UNKNOWN_WAIT = 30


class CeleryBackend(BaseTaskBackend):
    """Sends tasks to Celery's broker, by the application `app` of config.celery, or of the module OPTIONS["app"]."""

    supports_defer = True
    supports_async_task = True

    @property
    def app(self) -> Celery:
        """Celery's application."""
        app: Celery = import_string(f"{self.module}.app")
        return app

    @property
    def module(self) -> str:
        """The module that has it."""
        return str(self.options.get("app", "config.celery"))

    def enqueue(self, task: Task, args: Any, kwargs: Any) -> TaskResult:
        """Send a task to its queue.

        Raises:
            kombu.exceptions.OperationalError: the broker does not answer.
            ValueError: Redis cannot keep the task for so long.
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
            # What is shown of it.
            "shadow": task.module_path,
        }
        self.app.tasks[run.name].apply_async(
            (task.module_path, normalize_json(list(args)), normalize_json(kwargs)), **options
        )
        task_enqueued.send(type(self), task_result=result)
        return result

    def work(self) -> NoReturn:
        """Become a worker."""
        # SIGTERM lets tasks end, for CELERY_SHUTDOWN_SECONDS at most; what is not done by then goes back to the broker.
        # Celery reads this before anything of the site's.
        # https://docs.celeryq.dev/en/stable/userguide/workers.html#soft-shutdown
        os.environ.setdefault("REMAP_SIGTERM", "SIGQUIT")
        worker = ["-m", "celery", "--quiet", "--app", self.module, "worker"]
        os.execv(sys.executable, [sys.executable, *worker])  # noqa: S606 - no shell is wanted


def longest_wait(app: Celery) -> int | None:
    """Seconds for which a task can be put off at most, which are what is left of its lease after its time limit.

    A task that is put off is lent to a worker, which keeps it until then and does it within the same lease.
    https://docs.celeryq.dev/en/stable/getting-started/backends-and-brokers/redis.html#visibility-timeout
    """
    lease = app.conf.broker_transport_options.get("visibility_timeout")
    return lease - app.conf.task_time_limit if lease else None


def refuse_too_late(run_after: datetime | None, app: Celery) -> None:
    """Refuse what Redis would give to another worker before it can be done, so that each of them would do it.

    Raises:
        ValueError: it is later than that.
    """
    longest = longest_wait(app)
    if longest is not None and run_after and run_after > timezone.now() + timedelta(seconds=longest):
        raise ValueError(
            f"Redis keeps a task that is put off for {longest} s at most, which is half of TASK_TIME_LIMIT_SECONDS."
            " Raise that, or let the schedule in the admin ask for the task when it is time."
        )


class QuietTask(CeleryTask[Any, Any]):
    """Shows nothing of what it was given: a mail has links that let one into an account."""

    @override
    def apply_async(self, *args: Any, **options: Any) -> Any:
        """Send it, as Celery also does by itself where it sends one again."""
        return super().apply_async(*args, **{**options, "argsrepr": "…", "kwargsrepr": "…"})


# A task whose process was lost is tried again at once, and so often. The name stays: messages in brokers have it.
@shared_task(
    bind=True,
    base=QuietTask,
    name="apps.operations.run",
    ignore_result=True,
    max_retries=MOST_ATTEMPTS - 1,
    default_retry_delay=0,
)
def run(self: QuietTask, path: str, args: list[Any], kwargs: dict[str, Any]) -> None:
    """Run the task whose function is at `path`, or later where there is none yet.

    Raises:
        ImportError: there was none for several minutes.
    """
    try:
        task: Task = import_string(path)
    except ImportError as error:
        # In a deploy the new pages ask for what the worker that runs has not heard of, and the next one has.
        longest = longest_wait(self.app)
        wait = UNKNOWN_WAIT if longest is None else min(UNKNOWN_WAIT, longest)
        raise self.retry(exc=error, countdown=wait, max_retries=UNKNOWN_TRIES) from error
    task.call(*args, **kwargs)

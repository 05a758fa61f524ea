"""Run tasks from the database, with what django-tasks-db lacks.

A task keeps the id of the request that enqueued it, a queue has a priority, a task has a time
limit, and a task whose worker died goes to another worker.
"""

import logging
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import FrameType
from typing import Any, override

from asgiref.sync import sync_to_async
from django.conf import settings
from django.tasks import Task, TaskResultStatus
from django.utils import timezone
from django.utils.crypto import get_random_string
from django.utils.json import normalize_json
from django.utils.module_loading import import_string
from django_tasks_db.backend import DatabaseBackend as PlainBackend
from django_tasks_db.management.commands.db_worker import Worker as PlainWorker
from django_tasks_db.models import DBTaskResult, get_date_max

from operations.logs import current_id

log = logging.getLogger("tasks")

# The priority of tasks in a queue if they have none of their own, from -100 to 100.
PRIORITIES = {"high": 50}
# Give up a task after this many of its workers have died: the task itself is likely to be the cause.
MOST_ATTEMPTS = 5
# How often a task that the worker does not know is deferred, and for how many seconds each time.
UNKNOWN_TRIES = 10
UNKNOWN_WAIT = 30
# Tasks between two checks for tasks whose workers died.
TASKS_A_ROUND = 100


class DatabaseBackend(PlainBackend):
    """Store tasks in the site's own database. A task is committed or rolled back with the rest of its transaction."""

    @override
    def _task_to_db_task(self, task: Task, args: Any, kwargs: Any) -> DBTaskResult:
        given = {"args": args, "kwargs": kwargs, "request_id": current_id.get()}
        return DBTaskResult.objects.create(
            id=self._get_id(),
            args_kwargs=normalize_json(given),
            priority=task.priority or PRIORITIES.get(task.queue_name, 0),
            task_path=task.module_path,
            queue_name=task.queue_name,
            run_after=task.run_after or get_date_max(),
            backend_name=self.alias,
        )

    @override
    async def _atask_to_db_task(self, task: Task, args: Any, kwargs: Any) -> DBTaskResult:
        return await sync_to_async(self._task_to_db_task)(task, args, kwargs)

    def forget(self, age: timedelta) -> None:
        """Delete the results of tasks that ended longer ago than `age`."""
        DBTaskResult.objects.finished().filter(finished_at__lt=timezone.now() - age).delete()

    def work(self) -> None:
        """Run tasks until SIGTERM or Ctrl-C."""
        worker = Worker()
        worker.configure_signals()
        worker.run()


class TaskTimeoutError(BaseException):
    """Say that a task took longer than TASK_TIME_LIMIT_SECONDS.

    It is no Exception, so that `except Exception` in the task does not swallow it.
    """


class TaskAbandonedError(Exception):
    """Say that a task's workers died again and again while they ran it."""


class Worker(PlainWorker):
    """Run tasks of all queues, one at a time, until a signal."""

    def __init__(self, interval: float = 1) -> None:
        """Create a worker that waits `interval` seconds when there are no tasks."""
        super().__init__(
            queue_names=["*"],
            interval=interval,
            # Return when no task is left, or after TASKS_A_ROUND.
            batch=True,
            backend_name="default",
            startup_delay=False,
            max_tasks=TASKS_A_ROUND,
            worker_id=get_random_string(32),
            excluded_queue_names=[],
        )

    @override
    def run(self) -> None:
        """Run tasks until SIGTERM or Ctrl-C, and finish the running one first."""
        # django-tasks-db would log several lines for each round.
        logging.getLogger("django_tasks_db").setLevel(logging.WARNING)
        log.info("worker %s waits for tasks", self.worker_id)
        while self.running:
            put_back_abandoned()
            self._run_tasks = 0
            super().run()
            if self.running:
                time.sleep(self.interval)

    @override
    def run_task(self, db_task_result: DBTaskResult) -> None:
        """Run a task with its request's id and within the time limit. Defer a task that is not known yet."""
        if not is_known(db_task_result) and len(db_task_result.worker_ids) <= UNKNOWN_TRIES:
            then = timezone.now() + timedelta(seconds=UNKNOWN_WAIT)
            # Update by id: this worker has marked the task as running.
            found = DBTaskResult.objects.filter(pk=db_task_result.pk)
            found.update(status=TaskResultStatus.READY, run_after=then)
            log.warning("task %s is deferred: there is no %s yet", db_task_result.pk, db_task_result.task_path)
            return
        token = current_id.set(db_task_result.args_kwargs.get("request_id"))
        try:
            with time_limit(settings.TASK_TIME_LIMIT):
                super().run_task(db_task_result)
        finally:
            current_id.reset(token)

    @override
    def configure_signals(self) -> None:
        """Finish the running task before SIGTERM ends the worker, even if the platform sends SIGTERM twice."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT):
            signal.signal(number, self.shutdown)

    @override
    def shutdown(self, signum: int, frame: FrameType | None) -> None:
        """End after the running task, or at once on a second Ctrl-C."""
        if self.running:
            # Do not exit here, even if no task runs: the worker may be taking one.
            self.running = False
            log.info("told to end: %s", signal.strsignal(signum))
        elif signum == signal.SIGINT:
            super().shutdown(signum, frame)


def is_known(result: DBTaskResult) -> bool:
    """Return whether this worker knows a task. In a deploy, new pages enqueue tasks that only the next worker knows."""
    try:
        import_string(result.task_path)
    except ImportError:
        return False
    return True


@contextmanager
def time_limit(seconds: int) -> Iterator[None]:
    """Raise TaskTimeoutError in the block after a number of seconds."""

    def end(*_: Any) -> None:
        raise TaskTimeoutError(f"longer than TASK_TIME_LIMIT_SECONDS, {seconds}")

    before = signal.signal(signal.SIGALRM, end)
    # Raise it again for a task that catches it: twice more before its lease is over.
    signal.setitimer(signal.ITIMER_REAL, seconds, seconds / 5)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def put_back_abandoned() -> None:
    """Put tasks back whose worker died: those that have been running for longer than TASK_LEASE."""
    for result in DBTaskResult.objects.running().filter(
        started_at__lt=timezone.now() - timedelta(seconds=settings.TASK_LEASE)
    ):
        # Several workers may do this at once. The filter lets only one put the task back.
        still_running = DBTaskResult.objects.running().filter(pk=result.pk, started_at=result.started_at)
        if len(result.worker_ids) >= MOST_ATTEMPTS:
            result.set_failed(TaskAbandonedError(f"{len(result.worker_ids)} workers died while they ran it"))
            log.error("task %s (%s) is given up: it ended %s workers", result.pk, result.task_path, MOST_ATTEMPTS)
        elif still_running.update(status=TaskResultStatus.READY):
            log.warning("task %s (%s) is put back: its worker died", result.pk, result.task_path)

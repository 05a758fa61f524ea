"""Tasks in the database: what django-tasks-db leaves to those who use it.

A task keeps the id of the request that asked for it, a queue has a priority, a task has a time
limit, and one that a worker has left behind goes to another worker.
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

# What the tasks of a queue have where they say nothing themselves: django.tasks counts from -100 to 100.
PRIORITIES = {"high": 50}
# A task whose worker has vanished so many times is what ends them, and is not tried again.
MOST_ATTEMPTS = 5
# How often a task that the worker does not know is put off, and for how many seconds each time.
UNKNOWN_TRIES = 10
UNKNOWN_WAIT = 30
# Tasks between two looks for what other workers have left behind.
TASKS_A_ROUND = 100


class DatabaseBackend(PlainBackend):
    """Puts tasks into the site's own database: a task is there exactly if the rest of its transaction is."""

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
        """Be a worker, until SIGTERM or Ctrl-C."""
        worker = Worker()
        worker.configure_signals()
        worker.run()


class TaskTimeoutError(BaseException):
    """The task took longer than TASK_TIME_LIMIT_SECONDS. Not an Exception: a task that goes on after those is ended too."""


class TaskAbandonedError(Exception):
    """The task's workers vanished again and again while they ran it."""


class Worker(PlainWorker):
    """Runs tasks of all queues, one at a time, until it is told to end."""

    def __init__(self, interval: float = 1) -> None:
        """A worker that waits `interval` seconds where there is nothing to do."""
        super().__init__(
            queue_names=["*"],
            interval=interval,
            # Comes back when there is nothing left, or after a round.
            batch=True,
            backend_name="default",
            startup_delay=False,
            max_tasks=TASKS_A_ROUND,
            worker_id=get_random_string(32),
            excluded_queue_names=[],
        )

    @override
    def run(self) -> None:
        """Run tasks until SIGTERM or Ctrl-C, after which the one that is being run is run to its end."""
        # Its own lines tell of each round.
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
        """Run a task under its request's id, and within the time limit; put off one that is not known yet."""
        if not is_known(db_task_result) and len(db_task_result.worker_ids) <= UNKNOWN_TRIES:
            then = timezone.now() + timedelta(seconds=UNKNOWN_WAIT)
            # This worker still has it: it is running.
            found = DBTaskResult.objects.filter(pk=db_task_result.pk)
            found.update(status=TaskResultStatus.READY, run_after=then)
            log.warning("task %s is put off: there is no %s yet", db_task_result.pk, db_task_result.task_path)
            return
        token = current_id.set(db_task_result.args_kwargs.get("request_id"))
        try:
            with time_limit(settings.TASK_TIME_LIMIT):
                super().run_task(db_task_result)
        finally:
            current_id.reset(token)

    @override
    def configure_signals(self) -> None:
        """Let SIGTERM end it after its task, however often it comes: a platform may send it twice."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT):
            signal.signal(number, self.shutdown)

    @override
    def shutdown(self, signum: int, frame: FrameType | None) -> None:
        """End after the task that is being done, and at once where Ctrl-C comes a second time."""
        if self.running:
            # Not here and now, even where no task is being done: it may be taking one.
            self.running = False
            log.info("told to end: %s", signal.strsignal(signum))
        elif signum == signal.SIGINT:
            super().shutdown(signum, frame)


def is_known(result: DBTaskResult) -> bool:
    """Whether there is such a task. In a deploy new pages ask for what only the next worker has heard of."""
    try:
        import_string(result.task_path)
    except ImportError:
        return False
    return True


@contextmanager
def time_limit(seconds: int) -> Iterator[None]:
    """Let what is done in the block fail with TaskTimeoutError after so many seconds."""

    def end(*_: Any) -> None:
        raise TaskTimeoutError(f"longer than TASK_TIME_LIMIT_SECONDS, {seconds}")

    before = signal.signal(signal.SIGALRM, end)
    # Told again to who goes on all the same, twice before its lease is over.
    signal.setitimer(signal.ITIMER_REAL, seconds, seconds / 5)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def put_back_abandoned() -> None:
    """Let tasks be run again whose worker has vanished: those that run for longer than a task can."""
    for result in DBTaskResult.objects.running().filter(
        started_at__lt=timezone.now() - timedelta(seconds=settings.TASK_LEASE)
    ):
        # Whoever comes first has it.
        still_running = DBTaskResult.objects.running().filter(pk=result.pk, started_at=result.started_at)
        if len(result.worker_ids) >= MOST_ATTEMPTS:
            result.set_failed(TaskAbandonedError(f"{len(result.worker_ids)} workers have vanished while they ran it"))
            log.error("task %s (%s) is given up: it has ended %s workers", result.pk, result.task_path, MOST_ATTEMPTS)
        elif still_running.update(status=TaskResultStatus.READY):
            log.warning("task %s (%s) is put back: its worker has vanished", result.pk, result.task_path)

"""Check tasks in the database: their order, their time limit, and what happens when a worker dies."""

import signal
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.apps import apps
from django.conf import settings
from django.contrib.admin.templatetags.admin_urls import admin_urlname
from django.core.management import CommandError, call_command
from django.tasks import TaskResultStatus, task, task_backends
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django_tasks_db.models import DBTaskResult
from pytest_django import Settings

from operations.logs import current_id
from operations.workers import database_backend
from operations.workers.database_backend import MOST_ATTEMPTS, UNKNOWN_TRIES, DatabaseBackend, TaskTimeoutError, Worker

done: list[tuple[str, str | None]] = []


@task
def note_down(word: str) -> None:
    """Record the argument, and the id of the request that enqueued the task."""
    done.append((word, current_id.get()))


@task
def fall_asleep() -> None:
    """Take too long."""
    time.sleep(30)


@task
def sleep_on() -> None:
    """Take too long, ignore every Exception, and ignore the first error of any kind."""
    with suppress(BaseException):
        time.sleep(30)
    with suppress(Exception):
        time.sleep(30)
    done.append(("slept on", None))


@pytest.fixture(autouse=True)
def in_the_database(settings: Settings, transactional_db: None) -> None:  # noqa: ARG001 - a worker commits
    """Store tasks in the database until a worker runs them."""
    settings.TASKS = {
        "default": {
            "BACKEND": "operations.workers.database_backend.DatabaseBackend",
            "QUEUES": ["high", "default"],
        }
    }
    done.clear()


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Return a function that lets a worker run all tasks, in one round."""
    look = database_backend.put_back_abandoned

    def run() -> None:
        worker = Worker(interval=0)
        rounds: list[None] = []

        def look_once() -> None:
            if rounds:
                # Stop it as SIGTERM does.
                worker.shutdown(signal.SIGTERM, None)
            rounds.append(look())

        monkeypatch.setattr(database_backend, "put_back_abandoned", look_once)
        worker.run()

    return run


def abandoned(attempts: int) -> DBTaskResult:
    """Return a task that a worker took long ago."""
    result = note_down.enqueue("again")
    then = timezone.now() - timedelta(seconds=settings.TASK_LEASE + 1)
    found = DBTaskResult.objects.filter(pk=result.id)
    found.update(status=TaskResultStatus.RUNNING, started_at=then, worker_ids=["vanished"] * attempts)
    return found.get()


def test_urgent_tasks_come_first_and_know_their_request(work: Callable[[], None]) -> None:
    token = current_id.set("the-request")
    note_down.enqueue("later")
    note_down.using(queue_name="high").enqueue("first")
    current_id.reset(token)
    work()
    assert done == [("first", "the-request"), ("later", "the-request")]
    assert set(DBTaskResult.objects.values_list("status", flat=True)) == {TaskResultStatus.SUCCESSFUL}


def test_a_view_that_is_asynchronous_may_ask_too() -> None:
    async_to_sync(note_down.aenqueue)("soon")
    assert DBTaskResult.objects.count() == 1


def test_a_task_whose_worker_has_vanished_is_done_by_another(work: Callable[[], None]) -> None:
    abandoned(1)
    work()
    assert done == [("again", None)]


def test_a_task_that_is_being_done_is_left_alone() -> None:
    result = abandoned(1)
    DBTaskResult.objects.filter(pk=result.pk).update(started_at=timezone.now())
    database_backend.put_back_abandoned()
    result.refresh_from_db()
    assert result.status == TaskResultStatus.RUNNING


def test_a_task_that_ends_its_workers_is_given_up() -> None:
    result = abandoned(MOST_ATTEMPTS)
    database_backend.put_back_abandoned()
    result.refresh_from_db()
    assert result.status == TaskResultStatus.FAILED
    assert "TaskAbandonedError" in result.traceback


def test_a_task_that_is_not_known_yet_is_done_by_the_next_worker(work: Callable[[], None]) -> None:
    found = DBTaskResult.objects.filter(pk=note_down.enqueue("new").id)
    known = found.get().task_path
    found.update(task_path="operations.tests.test_database_tasks.of_the_next_release")
    work()
    assert found.get().status == TaskResultStatus.READY
    assert found.get().run_after > timezone.now() + timedelta(seconds=20)
    found.update(task_path=known, run_after=timezone.now())
    work()
    assert done == [("new", None)]


def test_a_task_that_is_never_known_fails(work: Callable[[], None]) -> None:
    found = DBTaskResult.objects.filter(pk=note_down.enqueue("gone").id)
    found.update(task_path=f"{__name__}.gone", worker_ids=["another"] * UNKNOWN_TRIES)
    work()
    assert found.get().status == TaskResultStatus.FAILED
    assert "ImportError" in found.get().traceback


def test_a_task_that_takes_too_long_fails(settings: Settings, work: Callable[[], None]) -> None:
    settings.TASK_TIME_LIMIT = 1
    result = DBTaskResult.objects.get(pk=fall_asleep_soon())
    work()
    result.refresh_from_db()
    assert result.status == TaskResultStatus.FAILED
    assert TaskTimeoutError.__name__ in result.traceback


def test_a_task_that_takes_no_notice_of_its_limit_fails_all_the_same(
    settings: Settings, work: Callable[[], None]
) -> None:
    settings.TASK_TIME_LIMIT = 1
    result = DBTaskResult.objects.get(pk=sleep_on.enqueue().id)
    work()
    assert not done
    result.refresh_from_db()
    assert result.status == TaskResultStatus.FAILED
    assert TaskTimeoutError.__name__ in result.traceback


def fall_asleep_soon() -> str:
    """Enqueue the task that takes too long, and return its id."""
    return fall_asleep.enqueue().id


def test_a_worker_ends_after_its_task_and_not_in_it() -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT)}
    worker = Worker()
    try:
        worker.configure_signals()
        # A platform may send SIGTERM twice, also while the worker is taking a task.
        for _ in range(2):
            signal.raise_signal(signal.SIGTERM)
        assert not worker.running
        # A second Ctrl-C ends it at once.
        with pytest.raises(SystemExit):
            signal.raise_signal(signal.SIGINT)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_results_are_forgotten_after_a_while(work: Callable[[], None]) -> None:
    note_down.enqueue("old")
    work()
    backend = task_backends["default"]
    assert isinstance(backend, DatabaseBackend)
    backend.forget(timedelta(days=1))
    assert DBTaskResult.objects.count() == 1
    backend.forget(timedelta(0))
    assert DBTaskResult.objects.count() == 0


# Only if the project has the admin.
if apps.is_installed("django.contrib.admin"):

    def test_the_admin_shows_no_mails(admin_client: Client) -> None:
        result = note_down.enqueue("https://example.com/accounts/password/reset/key/secret/")
        page = admin_client.get(reverse(admin_urlname(DBTaskResult._meta, SafeString("change")), args=[result.id]))
        assert page.status_code == 200
        assert "note_down" in page.text
        assert "secret" not in page.text


def test_the_command_is_a_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Any] = []
    monkeypatch.setattr(Worker, "configure_signals", lambda worker: started.append(worker))
    monkeypatch.setattr(Worker, "run", lambda worker: started.append(worker))
    call_command("worker")
    assert len(started) == 2


def test_where_pages_do_their_tasks_there_is_nothing_for_a_worker(settings: Settings) -> None:
    settings.TASKS = {"default": {"BACKEND": "django.tasks.backends.immediate.ImmediateBackend"}}
    with pytest.raises(CommandError, match="there is nothing for a worker to do"):
        call_command("worker")

"""Check the health and readiness probes, and what visitors see when the database fails."""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from django.db import OperationalError, connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path
from pytest_django import Settings

from operations import probes
from operations.probes import Check


def passes() -> None:
    pass


def fails() -> None:
    raise RuntimeError("a detail that is nobody's business")


@pytest.fixture
def hangs() -> Iterator[Callable[[], None]]:
    """Return a check that does not end before the test does."""
    over = threading.Event()

    def hang() -> None:
        over.wait(timeout=60)

    yield hang
    over.set()


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Check]]:
    """Return a function that replaces the readiness checks: `checks(cache=fails)`."""

    def replace(**asked: Callable[[], None]) -> list[Check]:
        replaced = [Check(name, ask) for name, ask in asked.items()]
        monkeypatch.setattr(probes, "CHECKS", replaced)
        return replaced

    return replace


@pytest.fixture
def closed_with_their_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let checks close connections even to a database in memory: the tests' own connection keeps it alive."""

    def close_all() -> None:
        for one in connections.all(initialized_only=True):
            BaseDatabaseWrapper.close(one)

    monkeypatch.setattr(connections, "close_all", close_all)


def test_health_asks_nothing_of_the_database_or_the_cache(client: Client, settings: Settings) -> None:
    # This test has no `db` fixture, so that a query would fail.
    settings.CACHES = {"default": {"BACKEND": "there.is.none"}}
    answer = client.get("/health/")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Content-Length"] == str(len(answer.content))
    assert not answer.cookies


@pytest.mark.parametrize("path", ["/health/", "/ready/"])
def test_a_prober_is_never_redirected_and_never_refused_for_its_host(
    client: Client, settings: Settings, checks: Callable[..., list[Check]], path: str
) -> None:
    checks(database=passes)
    settings.SECURE_SSL_REDIRECT = True
    assert client.get(path, headers={"host": "10.0.0.7"}).status_code == 200
    assert client.head(path).status_code == 200
    assert client.get("/").status_code == 301


@pytest.mark.parametrize("path", ["/health/", "/ready/"])
def test_a_probe_changes_nothing(client: Client, path: str) -> None:
    answer = client.post(path)
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD")


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("closed_with_their_thread")
def test_the_site_is_ready_when_its_database_cache_and_migrations_are(
    client: Client, checks: Callable[..., list[Check]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probes, "BOUND", 60)
    asked = checks(**{check.name: check.ask for check in probes.CHECKS})
    answer = client.get("/ready/")
    assert answer.status_code == 200
    assert answer.json() == {"status": "ready", "checks": {check.name: True for check in asked}}
    assert set(answer.json()["checks"]) >= {"database", "cache", "migrations"}
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_check_that_fails_is_named_without_its_reason(client: Client, checks: Callable[..., list[Check]]) -> None:
    checks(database=passes, cache=fails)
    answer = client.get("/ready/")
    assert answer.status_code == 503
    assert answer.json() == {"status": "not ready", "checks": {"database": True, "cache": False}}


def test_a_check_that_hangs_is_waited_for_within_the_bound(
    client: Client, checks: Callable[..., list[Check]], hangs: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probes, "BOUND", 0.2)
    checks(database=hangs, cache=hangs, migrations=passes)
    # The checks hang until after this request is answered.
    answer = client.get("/ready/")
    assert answer.status_code == 503
    assert answer.json()["checks"] == {"database": False, "cache": False, "migrations": True}


def test_a_check_that_was_never_asked_has_not_passed() -> None:
    assert not Check("database", passes).result(time.monotonic())


def test_a_check_that_hangs_is_not_asked_again_meanwhile(
    client: Client, checks: Callable[..., list[Check]], hangs: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probes, "BOUND", 0.01)
    (check,) = checks(database=hangs)
    client.get("/ready/")
    asking = check.thread
    client.get("/ready/")
    assert check.thread is asking


def test_probers_that_meet_all_get_an_answer(
    client: Client, checks: Callable[..., list[Check]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A prober asks for the result at the moment when another one starts the check."""
    (check,) = checks(database=passes)
    assert client.get("/ready/").status_code == 200
    met = []

    class Meeting(threading.Thread):
        def start(self) -> None:
            met.append(check.result(time.monotonic() + probes.BOUND))
            super().start()

    monkeypatch.setattr(probes, "KEPT", 0)
    with monkeypatch.context() as patch:
        patch.setattr(threading, "Thread", Meeting)
        assert client.get("/ready/").status_code == 200
    assert met == [True]


def test_an_answer_is_kept_for_a_moment_and_then_asked_for_again(
    client: Client, checks: Callable[..., list[Check]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probes, "KEPT", 60)
    asked = []
    checks(database=lambda: asked.append("database"))
    client.get("/ready/")
    client.get("/ready/")
    assert len(asked) == 1
    monkeypatch.setattr(probes, "KEPT", 0)
    client.get("/ready/")
    assert len(asked) == 2


def test_a_cache_that_loses_what_is_written_is_not_ready(settings: Settings) -> None:
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
    with pytest.raises(RuntimeError, match="lost"):
        probes.cache()


@pytest.mark.django_db
def test_a_site_with_a_migration_to_apply_is_not_ready() -> None:
    (newest,) = MigrationLoader(connection).graph.leaf_nodes("sessions")
    MigrationRecorder(connection).record_unapplied(*newest)
    with pytest.raises(RuntimeError, match="not applied"):
        probes.migrations()


def away() -> None:
    raise OperationalError("there is no server")


def locked() -> None:
    error = sqlite3.OperationalError("database is locked")
    error.sqlite_errorcode = sqlite3.SQLITE_BUSY
    raise OperationalError from error


def mistaken() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM there_is_none")


@pytest.mark.django_db
@pytest.mark.parametrize(("asked", "status"), [(away, 503), (locked, 503), (mistaken, 500), (fails, 500)])
def test_a_page_is_unavailable_where_the_database_is_and_not_where_the_code_is_wrong(
    client: Client, settings: Settings, asked: Callable[[], None], status: int
) -> None:
    def page(_: HttpRequest) -> HttpResponse:
        asked()
        return HttpResponse()

    # The error page may be the project's own, so do not check it.
    settings.ROOT_URLCONF = (path("", page),)
    answer = client.get("/")
    assert (answer.status_code, answer.headers.get("Retry-After")) == (status, "10" if status == 503 else None)

"""Answer health checks (does the process serve?) and readiness checks (can the site serve a page now?).

Each check has a time limit, and so does the time that a page waits for the database.
"""

import logging
import threading
import time
from collections.abc import Callable, Generator
from contextlib import suppress
from functools import cache as once
from typing import Any

from django.conf import settings
from django.core.cache import caches
from django.db import connections
from django.db.backends.signals import connection_created
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse

log = logging.getLogger(__name__)

PROBES = ("/health/", "/ready/")

# Seconds that all checks may take together.
BOUND = 2.0
# Seconds after which a hanging check is started once more beside it.
GIVEN_UP = 10.0
# Seconds for which a result is reused, so that many probers cost no more than one.
KEPT = 1.0
# Seconds for the check of a kept connection, and for Django's first queries on a new one.
CHECK_SECONDS = 5


def database() -> None:
    """Ask the database for one row, over a connection that this thread has just made."""
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT 1")
        cursor.fetchone()


def cache() -> None:
    """Write to the cache and read it back."""
    caches["default"].set("readiness", "written", timeout=10)
    if caches["default"].get("readiness") != "written":
        raise RuntimeError("the cache lost what was written")


def migrations() -> None:
    """Check that all migrations are applied."""
    executor = MigrationExecutor(connections["default"])
    waiting = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if waiting:
        raise RuntimeError(f"{len(waiting)} migrations are not applied: run migrate")


class Check:
    """Run one check, in one thread at a time.

    The thread is new, and so is its connection: a hanging server would take longer to detect on a kept one. A check
    that hangs is not started again until it ends or is given up.
    """

    def __init__(self, name: str, ask: Callable[[], None]) -> None:
        self.name = name
        self.ask = ask
        self.lock = threading.Lock()
        self.thread: threading.Thread | None = None
        self.answered_at = float("-inf")
        self.asked_at = float("-inf")
        self.passed = False

    def begin(self) -> None:
        """Start the check, unless its last result is fresh or it is already running."""
        with self.lock:
            asking = self.thread is not None and self.thread.is_alive() and time.monotonic() - self.asked_at < GIVEN_UP
            if not asking and time.monotonic() - self.answered_at > KEPT:
                thread = threading.Thread(target=self.run, name=f"readiness-{self.name}", daemon=True)
                self.asked_at = time.monotonic()
                thread.start()
                # Store it only after the start: another prober may join it, and only a started thread can be joined.
                self.thread = thread

    def result(self, deadline: float) -> bool:
        """Return whether the check passed; False if there is no result by `deadline` (on the monotonic clock)."""
        thread = self.thread
        if thread is not None:
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                log.warning("%s gave no answer within %s s", self.name, BOUND)
                return False
        return self.passed

    def run(self) -> None:
        """Run the check once, and keep the result."""
        try:
            self.ask()
            self.passed = True
        except Exception as error:  # noqa: BLE001 - whatever it is, the site is not ready
            log.warning("%s failed: %s", self.name, error)
            self.passed = False
        finally:
            with suppress(Exception):
                connections.close_all()
            self.answered_at = time.monotonic()


CHECKS = [Check("database", database), Check("cache", cache), Check("migrations", migrations)]


def results() -> dict[str, bool]:
    """Run all checks at once within BOUND seconds, and return each one's name and whether it passed."""
    deadline = time.monotonic() + BOUND
    for check in CHECKS:
        check.begin()
    return {check.name: check.result(deadline) for check in CHECKS}


def bound_waits() -> None:
    """Let this process's new connections to PostgreSQL give up once an answer takes longer than DATABASE_TIMEOUT_SECONDS.

    The clock is on this side. A server that hangs has none that runs, and a pooler refuses a `statement_timeout`, or hands it on to
    migrations. Django has no signal ahead of the first statement of a connection, so its method is replaced.
    """
    for connection in connections.all():
        if connection.vendor == "postgresql" and settings.DATABASE_TIMEOUT_SECONDS:
            backend: Any = type(connection)
            bound_waits_of(backend)


@once
def bound_waits_of(backend: Any) -> None:
    """Do so for a class of Django's connections, once."""
    connect = backend.get_new_connection

    def get_new_connection(connection: Any, parameters: dict[str, Any]) -> Any:
        server = connect(connection, parameters)
        # A pool may return the same connection again.
        if "wait" not in vars(server):
            wait = server.wait
            server.wait = lambda steps, *args, **options: wait(until_late(connection, server, steps), *args, **options)
            server.is_new = True
        return server

    backend.get_new_connection = get_new_connection
    connection_created.connect(no_longer_new, sender=backend)


def no_longer_new(connection: Any, **_: Any) -> None:
    """Record that a connection has answered Django's first queries."""
    connection.connection.is_new = False


def until_late(connection: Any, server: Any, steps: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
    """Take psycopg's steps of an exchange with the server, which it makes some ten times a second while it waits.

    Args:
        connection: Django's connection.
        server: psycopg's own, which is closed when it is late.
        steps: the exchange.

    Returns:
        What the exchange gives.

    Raises:
        psycopg.OperationalError: it took too long, and the statement is cancelled.
    """
    seconds = settings.DATABASE_TIMEOUT_SECONDS
    check = server.is_new or (connection.health_check_enabled and not connection.health_check_done)
    if check:
        seconds = min(seconds, CHECK_SECONDS)
    deadline = time.monotonic() + seconds
    try:
        wanted = next(steps)
        while True:
            ready = yield wanted
            if not ready and time.monotonic() > deadline:
                break
            wanted = steps.send(ready)
    except StopIteration as done:
        return done.value
    steps.close()
    # A check that is late asks for nothing, and whoever does not answer it would not answer this either.
    with suppress(connection.Database.Error):
        if not check:
            server.cancel_safe(timeout=1)
    server.close()
    raise connection.Database.OperationalError(f"no answer from the database within {seconds} s")


class ProbeMiddleware:
    """Answer health and readiness checks before any other middleware can redirect or refuse them."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer the two probes' paths, and pass on every other request."""
        if request.path_info not in PROBES:
            return self.get_response(request)
        if request.method not in ("GET", "HEAD"):
            response: HttpResponse = JsonResponse(
                {"status": "method not allowed"}, status=405, headers={"Allow": "GET, HEAD"}
            )
        elif request.path_info == "/health/":
            response = JsonResponse({"status": "ok"})
        else:
            checks = results()
            ready = all(checks.values())
            response = JsonResponse(
                {"status": "ready" if ready else "not ready", "checks": checks}, status=200 if ready else 503
            )
        response["Cache-Control"] = "no-store"
        response["Content-Length"] = str(len(response.content))
        return response

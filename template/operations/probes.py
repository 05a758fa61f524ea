"""Health and readiness: whether the process serves, and whether the site could serve a page now.

Each thing that the site needs is asked within a bound.
"""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from django.core.cache import caches
from django.db import connections
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse

log = logging.getLogger(__name__)

PROBES = ("/health/", "/ready/")

# Seconds that all checks together may take.
BOUND = 2.0
# Seconds after which a question that hangs is asked once more beside it.
GIVEN_UP = 10.0
# Seconds for which an answer is given again, so that many probers cost as one.
KEPT = 1.0


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
    """See that no migration waits to be applied."""
    executor = MigrationExecutor(connections["default"])
    waiting = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if waiting:
        raise RuntimeError(f"{len(waiting)} migrations are not applied: run migrate")


class Check:
    """One thing asked, by one thread at a time.

    The thread is a fresh one, so that its connection is fresh too: over a kept connection a
    server that hangs would be waited for without a bound. A question that hangs is not asked
    again until it has come back, or was given up.
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
        """Ask, unless an answer is fresh or one is on its way."""
        with self.lock:
            asking = self.thread is not None and self.thread.is_alive() and time.monotonic() - self.asked_at < GIVEN_UP
            if not asking and time.monotonic() - self.answered_at > KEPT:
                thread = threading.Thread(target=self.run, name=f"readiness-{self.name}", daemon=True)
                self.asked_at = time.monotonic()
                thread.start()
                # Only now: another prober may be about to join it, and a thread that has not started cannot be joined.
                self.thread = thread

    def result(self, deadline: float) -> bool:
        """Whether it passed; False if no answer came by `deadline` (on the monotonic clock)."""
        thread = self.thread
        if thread is not None:
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                log.warning("%s gave no answer within %s s", self.name, BOUND)
                return False
        return self.passed

    def run(self) -> None:
        """Ask once, and keep the answer."""
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
    """Each check's name and whether it passed, all asked at once and within BOUND seconds."""
    deadline = time.monotonic() + BOUND
    for check in CHECKS:
        check.begin()
    return {check.name: check.result(deadline) for check in CHECKS}


class ProbeMiddleware:
    """Answers health and readiness ahead of all that could redirect or refuse a prober."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """The probe's answer on exactly the two paths, else the site's."""
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

"""Steady traffic on a test's own site while something is done to it, and what became of each request."""

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Lock, Thread

import requests
import urllib3

# Seconds between two requests of a client, the most that an answer may take, and the most that a client goes on for.
PAUSE = 0.2
PATIENCE = 60
LIMIT = 300.0


@dataclass
class Client:
    """Somebody who asks again and again.

    Attributes:
        ask: asks once, and gives the status of the answer.
        expects: the status that is a good answer.
    """

    ask: Callable[[], int]
    expects: int = 200


@dataclass
class Traffic:
    """What became of the requests so far.

    Attributes:
        succeeded: how many met a good answer, by its status.
        failures: what each of the others met.
        slowest: the seconds that the slowest answer took.
    """

    succeeded: Counter[int] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    slowest: float = 0.0
    lock: Lock = field(default_factory=Lock)


@contextlib.contextmanager
def steady_traffic(*clients: Client) -> Iterator[Traffic]:
    """Let clients ask, each one thing after the other, until the end of the block."""
    seen, ended = Traffic(), Event()
    threads = [Thread(target=_be, args=(client, seen, ended)) for client in clients]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def callers(
    number: int, address: str, host: str, path: str = "/", *, port: int = 443, ca_file: Path | None = None
) -> list[Client]:
    """Clients that ask for a page, each on a connection that it keeps.

    Args:
        number: how many.
        address: the address of loopback or of a container where the site answers.
        host: its name, as in the certificate.
        path: the page.
        port: where it answers.
        ca_file: the authority of its certificate; without one the requests are plain http, as by a proxy that ended https.
    """

    def caller() -> Client:
        headers = {"Host": host}
        pool: urllib3.HTTPConnectionPool
        if ca_file is None:
            pool = urllib3.HTTPConnectionPool(address, port, timeout=PATIENCE)
            headers["X-Forwarded-Proto"] = "https"
        else:
            pool = urllib3.HTTPSConnectionPool(
                address, port, timeout=PATIENCE, ca_certs=str(ca_file), server_hostname=host, assert_hostname=host
            )
        # Nothing is tried again: a request that is lost shall be seen.
        return Client(lambda: pool.request("GET", path, headers=headers, retries=False).status)

    return [caller() for _ in range(number)]


def visitors(number: int, session: Callable[[], requests.Session], url: str) -> list[Client]:
    """Clients that come on a connection of their own each time.

    Every second one sends a form, for which no proxy may ask a second time in its place. It has no token, so that 403
    is the good answer to it.

    Args:
        number: how many.
        session: makes a session that trusts the site.
        url: where the site is.
    """

    def visit(method: str, path: str) -> int:
        with session() as visitor:
            closing = {"Connection": "close"}
            return visitor.request(
                method, f"{url}{path}", headers=closing, timeout=PATIENCE, allow_redirects=False
            ).status_code

    reads = Client(lambda: visit("GET", "/"))
    sends = Client(lambda: visit("POST", "/accounts/login/"), expects=403)
    return [sends if each % 2 else reads for each in range(number)]


def _be(client: Client, seen: Traffic, ended: Event) -> None:
    """Ask until all is over."""
    deadline = time.monotonic() + LIMIT
    while not ended.wait(PAUSE):
        started = time.monotonic()
        if started > deadline:
            seen.failures.append(f"the traffic ended by itself after {LIMIT} s")
            return
        try:
            status, failure = client.ask(), ""
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            status, failure = 0, f"{type(error).__name__}: {error}"
        with seen.lock:
            seen.slowest = max(seen.slowest, time.monotonic() - started)
            if status == client.expects:
                seen.succeeded[status] += 1
            else:
                seen.failures.append(failure or str(status))

"""Send steady traffic to a test's own site, and record the outcome of each request."""

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Lock, Thread

import requests
import urllib3

# Seconds between two requests of a client, for one answer at most, and for all traffic at most.
PAUSE = 0.2
PATIENCE = 60
LIMIT = 300.0


@dataclass
class Client:
    """A client that sends one request after the other.

    Attributes:
        ask: sends one request and returns the answer's status.
        expects: the status of a good answer.
    """

    ask: Callable[[], int]
    expects: int = 200


@dataclass
class Traffic:
    """The outcome of the requests so far.

    Attributes:
        succeeded: the number of good answers, by their status.
        failures: a description of each other outcome.
        slowest: the seconds of the slowest answer.
    """

    succeeded: Counter[int] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    slowest: float = 0.0
    lock: Lock = field(default_factory=Lock)


@contextlib.contextmanager
def steady_traffic(*clients: Client) -> Iterator[Traffic]:
    """Let clients send requests until the end of the block."""
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
    """Return clients that request a page, each on one persistent connection.

    Args:
        number: how many clients.
        address: the site's IP address: of loopback or of a container.
        host: the site's host name, as in its certificate.
        path: the page's path.
        port: the site's port.
        ca_file: the authority of its certificate; without one, requests are plain HTTP, as from a proxy that terminates TLS.
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
        # No retries: a lost request must be counted.
        return Client(lambda: pool.request("GET", path, headers=headers, retries=False).status)

    return [caller() for _ in range(number)]


def visitors(number: int, session: Callable[[], requests.Session], url: str) -> list[Client]:
    """Return clients that open a new connection for each request.

    Every second one sends a form, because proxies must not retry a POST. The form has no CSRF token, so 403 is the
    expected answer.

    Args:
        number: how many clients.
        session: makes a session that trusts the site's certificate.
        url: the page's URL.
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
    """Send requests until the block ends."""
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

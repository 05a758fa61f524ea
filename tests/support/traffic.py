"""Steady traffic of a few clients on a test's own site, and what became of each request."""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Lock, Thread

import urllib3

# Seconds between two requests of a client, and the most that a client goes on for.
PAUSE = 0.05
LIMIT = 300.0


@dataclass
class Traffic:
    """What became of the requests so far.

    Attributes:
        succeeded: how many were answered by 200.
        failures: what each of the others met.
        slowest: the seconds that the slowest answer took.
    """

    succeeded: int = 0
    failures: list[str] = field(default_factory=list)
    slowest: float = 0.0
    lock: Lock = field(default_factory=Lock)


@contextlib.contextmanager
def steady_traffic(
    address: str, host: str, path: str = "/", *, port: int = 443, ca_file: Path | None = None, clients: int = 4
) -> Iterator[Traffic]:
    """Ask for a page, one request after the other by each client, until the end of the block.

    Args:
        address: the address of loopback or of a container where the site answers.
        host: its name, as in the certificate.
        path: the page.
        port: where it answers.
        ca_file: the authority of its certificate; without one the requests are plain http, as by a proxy that ended https.
        clients: how many ask at the same time, each on a connection that it keeps.
    """
    seen, ended = Traffic(), Event()
    threads = [Thread(target=_ask, args=(seen, ended, address, host, path, port, ca_file)) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def _ask(seen: Traffic, ended: Event, address: str, host: str, path: str, port: int, ca_file: Path | None) -> None:
    """Be one client."""
    headers = {"Host": host}
    pool: urllib3.HTTPConnectionPool
    if ca_file is None:
        pool = urllib3.HTTPConnectionPool(address, port, timeout=35)
        headers["X-Forwarded-Proto"] = "https"
    else:
        pool = urllib3.HTTPSConnectionPool(
            address, port, timeout=35, ca_certs=str(ca_file), server_hostname=host, assert_hostname=host
        )
    deadline = time.monotonic() + LIMIT
    with pool:
        while not ended.wait(PAUSE) and time.monotonic() < deadline:
            started = time.monotonic()
            try:
                # Nothing is tried again: a request that is lost shall be seen.
                status = pool.request("GET", path, headers=headers, retries=False).status
            except urllib3.exceptions.HTTPError as error:
                seen.failures.append(f"{type(error).__name__}: {error}")
                continue
            with seen.lock:
                seen.slowest = max(seen.slowest, time.monotonic() - started)
                if status == 200:
                    seen.succeeded += 1
                else:
                    seen.failures.append(str(status))
        if not ended.is_set():
            seen.failures.append(f"the traffic ended by itself after {LIMIT} s")

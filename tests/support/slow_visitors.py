"""Send a form slowly, byte by byte, to a site that a test has started."""

import contextlib
import re
import socket
from collections.abc import Callable, Iterator
from threading import Event, Thread

import requests

from tests.support.servers import HANGS

# Seconds between two bytes of one visitor.
PAUSE = 1.0
FORM = "/accounts/login/"


def form_of(page: requests.Response) -> dict[str, str]:
    """Return the headers with which the site accepts a page's form and reads its whole body."""
    (token,) = re.findall('name="csrfmiddlewaretoken" value="(.*?)"', page.text)[:1]
    cookies = "; ".join(f"{name}={value}" for name, value in page.cookies.items())
    return {"Cookie": cookies, "X-CSRFToken": token}


def head(url: str, length: int, **headers: str) -> bytes:
    """Return the request line and headers of a form of `length` bytes with a file."""
    host = url.split("://", 1)[1]
    told = {
        "Host": host,
        "Referer": f"https://{host}/",
        "Content-Type": "multipart/form-data; boundary=end",
        "Content-Length": str(length),
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    lines = [f"POST {FORM} HTTP/1.1", *(f"{name}: {value}" for name, value in told.items()), "", ""]
    return "\r\n".join(lines).encode()


def body(size: int) -> bytes:
    """Return the first `size` bytes of a body with an endless file."""
    start = b'--end\r\nContent-Disposition: form-data; name="file"; filename="file"\r\n\r\n'
    return start + b"x" * (size - len(start))


def status_of_announced(connect: Callable[[], socket.socket], url: str, length: int, **headers: str) -> int:
    """Return the status of the answer to a body of `length` bytes, none of them sent."""
    with connect() as connection:
        connection.settimeout(HANGS)
        connection.sendall(head(url, length, **headers))
        return int(connection.recv(100).split()[1])


@contextlib.contextmanager
def slow_visitors(
    number: int, connect: Callable[[], socket.socket], url: str, *, sent: int, length: int, **headers: str
) -> Iterator[list[socket.socket]]:
    """Let visitors send the first bytes of a form, then one byte a second, until the end of the block.

    Args:
        number: how many visitors.
        connect: makes a connection, with TLS if the site has it.
        url: the form's URL.
        sent: the bytes of the body that each sends at once.
        length: the length of the body in bytes, as each announces it.
        headers: more headers.
    """
    connections = [connect() for _ in range(number)]
    ended = Event()

    def start(connection: socket.socket) -> None:
        connection.settimeout(HANGS)
        # The site refuses some before they have sent all bytes.
        with contextlib.suppress(OSError):
            connection.sendall(head(url, length, **headers) + body(sent))

    def drip() -> None:
        while not ended.wait(PAUSE):
            for connection in connections:
                with contextlib.suppress(OSError):
                    connection.sendall(b"x")

    starting = [Thread(target=start, args=[connection]) for connection in connections]
    for thread in starting:
        thread.start()
    for thread in starting:
        thread.join()
    dripping = Thread(target=drip)
    dripping.start()
    try:
        yield connections
    finally:
        ended.set()
        dripping.join()
        for connection in connections:
            connection.close()

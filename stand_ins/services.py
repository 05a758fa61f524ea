"""Emulate a service that the site calls over HTTP: on loopback, with an answer or a fault that the test chooses."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, override

import brotli


@dataclass
class Request:
    """A request from the site."""

    path: str
    headers: dict[str, str]
    body: bytes


class StandIn:
    """The emulated service.

    Attributes:
        url: its URL, without a slash at the end.
        requests: the requests so far, oldest first.
        answer: answers a recorded request; it gets the handler, whose `wfile` leads to the site.
        over: set at the test's end, to release answers that hang.
    """

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.requests: list[Request] = []
        self.answer: Callable[[BaseHTTPRequestHandler], object] = says(200, b"{}")
        self.over = threading.Event()

    def hang(self, _: BaseHTTPRequestHandler) -> None:
        """Do not answer until the test ends."""
        self.over.wait()


def says(status: int, body: bytes, kind: str = "application/json") -> Callable[[BaseHTTPRequestHandler], None]:
    """Return a function that answers with this status and body."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


@contextlib.contextmanager
def stand_in() -> Iterator[StandIn]:
    """Run a service until the end of the block."""
    service: StandIn

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if self.headers.get("Content-Encoding") == "br":
                body = brotli.decompress(body)
            service.requests.append(Request(self.path, dict(self.headers), body))
            # The site may have closed the connection meanwhile.
            with contextlib.suppress(OSError):
                service.answer(self)

        do_GET = do_PUT = do_POST

        @override
        def log_message(self, format: str, *args: Any) -> None:
            """Write nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        server.block_on_close = False
        service = StandIn(server.server_port)
        thread = threading.Thread(target=server.serve_forever, args=[0.05])
        thread.start()
        try:
            yield service
        finally:
            service.over.set()
            server.shutdown()
            thread.join()

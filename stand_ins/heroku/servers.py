"""Run the emulated Heroku's servers: HTTP and HTTPS on one address, and a handler that answers by host name."""

import contextlib
import json
import socket
import ssl
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from http.server import BaseHTTPRequestHandler
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Lock, Thread
from typing import Any, override

import trustme

from tests.support.servers import PATIENCE, eventually

BLOCK = 64 * 1024

# Headers about one connection, which proxies do not pass on: RFC 9110, section 7.6.1.
HOP_BY_HOP = {"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}


class Certificates:
    """Certificates of the test's own authority.

    Attributes:
        context: the TLS context for servers, which picks the certificate by the requested host name.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self.authority = trustme.CA()
        self.context = self._context(*names)
        self.own: dict[str, ssl.SSLContext] = {}
        self.context.sni_callback = self._choose

    def issue(self, name: str) -> None:
        """Issue a certificate for a host name."""
        self.own[name] = self._context(name)

    def _context(self, *names: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.authority.issue_cert(*names).configure_cert(context)
        return context

    def _choose(self, asked: ssl.SSLSocket | ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> None:
        if name in self.own:
            asked.context = self.own[name]


class Server(ThreadingTCPServer):
    """A server on one port, with or without TLS, and with a thread for each connection."""

    allow_reuse_address = True
    request_queue_size = 128
    daemon_threads = True

    def __init__(
        self,
        address: tuple[str, int],
        handler: type[BaseRequestHandler],
        context: ssl.SSLContext | None,
        faults: list[str],
    ) -> None:
        super().__init__(address, handler)
        self.context = context
        self.faults = faults
        self.open: set[socket.socket] = set()
        self.lock = Lock()

    @override
    def finish_request(self, request: Any, client_address: Any) -> None:
        request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        request.settimeout(PATIENCE)
        try:
            connection = self.context.wrap_socket(request, server_side=True) if self.context else request
        except OSError:
            # A client that does not trust the certificate closes the connection.
            return
        connection.settimeout(None)
        with self.lock:
            self.open.add(connection)
        try:
            super().finish_request(connection, client_address)
        finally:
            with self.lock:
                self.open.discard(connection)
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    @override
    def handle_error(self, request: Any, client_address: Any) -> None:
        error = sys.exception()
        # The client may leave before the answer.
        if not isinstance(error, OSError):
            self.faults.append(f"{type(error).__name__}: {error}")

    @contextlib.contextmanager
    def serving(self) -> Iterator[None]:
        """Serve until the end of the block, then close all open connections."""
        with self:
            thread = Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05})
            thread.start()
            try:
                yield
            finally:
                self.shutdown()
                thread.join()
                with self.lock:
                    for connection in self.open:
                        with contextlib.suppress(OSError):
                            connection.shutdown(socket.SHUT_RDWR)
                eventually(lambda: not self.open)


type Site = Callable[["Exchange"], None]


class Front(Server):
    """An HTTP server; `find` returns the function that answers for a host name."""

    def __init__(
        self, address: tuple[str, int], context: ssl.SSLContext | None, faults: list[str], find: Callable[[str], Site]
    ) -> None:
        super().__init__(address, Exchange, context, faults)
        self.find = find


class Exchange(BaseHTTPRequestHandler):
    """A request and the answer to it."""

    server: Front
    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        """Call the function that answers for the requested host name."""
        self.began = time.monotonic()
        self.body_left = True
        self.server.find(self.host)(self)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = answer

    @property
    def host(self) -> str:
        """Return the requested host name, without a port."""
        return str(self.headers.get("Host", "")).split(":")[0].lower()

    @property
    def scheme(self) -> str:
        """Return the request's scheme: http or https."""
        return "https" if self.server.context else "http"

    @property
    def has_body(self) -> bool:
        """Return True if the request has a body."""
        return "Transfer-Encoding" in self.headers or int(self.headers.get("Content-Length", 0)) > 0

    def body(self) -> Iterator[bytes]:
        """Yield the request's body, piece by piece."""
        if "Transfer-Encoding" in self.headers:
            while size := int(self.rfile.readline().split(b";")[0], 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass
        else:
            left = int(self.headers.get("Content-Length", 0))
            while left > 0 and (piece := self.rfile.read(min(left, BLOCK))):
                left -= len(piece)
                yield piece
        self.body_left = False

    def json(self) -> dict[str, Any]:
        """Return the request's JSON; an empty body counts as an empty object."""
        found = json.loads(b"".join(self.body()) or b"{}")
        return found if isinstance(found, dict) else {}

    def reply(self, status: int, content: bytes, kind: str, **headers: str) -> None:
        """Send an answer; underscores in headers' names become dashes."""
        self.send_response_only(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def reply_json(self, status: int, content: Any, **headers: str) -> None:
        """Answer with JSON."""
        self.reply(status, json.dumps(content).encode(), "application/json", **headers)

    def stream(self, status: int, headers: Iterable[tuple[str, str]], pieces: Iterable[bytes]) -> None:
        """Send an answer piece by piece, as the pieces come."""
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for piece in pieces:
            if piece:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")

    @override
    def end_headers(self) -> None:
        # The unread rest of a body would be taken for the next request.
        self.close_connection = self.close_connection or (self.has_body and self.body_left)
        if self.close_connection:
            # Tell the client, which could otherwise send its next request just as the connection is closed.
            self.send_header("Connection", "close")
        super().end_headers()

    @override
    def log_message(self, format: str, *args: Any) -> None:
        """Write nothing: the emulated Heroku has its own log."""

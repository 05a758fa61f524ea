"""Emulate the router, which passes requests to web dynos. Its rules are from devcenter, "HTTP Routing"."""

import http.client
import re
import select
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from threading import Lock

from stand_ins.heroku.apps import App
from stand_ins.heroku.dynos import Dyno
from stand_ins.heroku.servers import BLOCK, HOP_BY_HOP, Exchange

# Timeouts in seconds: to connect, to the answer's first byte, between two bytes, and of an idle connection.
CONNECT_TIMEOUT = 5.0
FIRST_BYTE_TIMEOUT = 30.0
ROLLING_TIMEOUT = 55.0
KEPT_IDLE = 90.0
VIA = "1.1 heroku-router"
REQUEST_ID = re.compile(r"[a-zA-Z0-9+_,./=-]{20,200}")

# devcenter, "Heroku Error Codes".
ERRORS = {
    "H10": "App crashed",
    "H12": "Request timeout",
    "H13": "Connection closed without response",
    "H14": "No web processes running",
    "H18": "Server Request Interrupted",
    "H20": "App boot timeout",
    "H21": "Backend connection refused",
    "H80": "Maintenance mode",
}
PAGE = """<!DOCTYPE html>
<html><head><title>{title}</title></head><body><h1>{title}</h1><p>{text}</p></body></html>
"""


class Router:
    """A router for the requests of all apps."""

    def __init__(self) -> None:
        self.idle: dict[Dyno, list[tuple[float, http.client.HTTPConnection]]] = {}
        self.lock = Lock()

    def no_such_app(self, exchange: Exchange) -> None:
        """Answer a request for a host name that belongs to no app."""
        page = PAGE.format(title="No such app", text="There is no app configured at that hostname.")
        exchange.reply(404, page.encode(), "text/html; charset=utf-8")

    def route(self, exchange: Exchange, app: App) -> None:
        """Answer a request from one of the app's web dynos, or with an error page."""
        asked = exchange.headers.get("X-Request-ID", "")
        request_id = asked if REQUEST_ID.fullmatch(asked) else str(uuid.uuid4())
        dyno = "H80" if app.maintenance else app.web_dyno()
        if isinstance(dyno, str):
            self.refuse(exchange, app, dyno, request_id)
            return
        connection = self.take(dyno, app.address)
        began = time.monotonic()
        try:
            if connection.sock is None:
                connection.connect()
        except OSError:
            self.refuse(exchange, app, "H21", request_id, dyno)
            return
        connected = time.monotonic()
        # Keep the socket: the connection sets its own to None when the answer is marked as the last.
        upstream = connection.sock
        try:
            answer = ask(exchange, connection, request_id)
        except TimeoutError:
            connection.close()
            self.refuse(exchange, app, "H12", request_id, dyno)
            return
        except (OSError, http.client.HTTPException):
            connection.close()
            self.refuse(exchange, app, "H13", request_id, dyno)
            return
        upstream.settimeout(ROLLING_TIMEOUT)
        try:
            size = hand_on(exchange, answer)
        except (OSError, http.client.HTTPException):
            connection.close()
            exchange.close_connection = True
            error(exchange, app, "H18", request_id, dyno)
            return
        if answer.will_close:
            connection.close()
        else:
            self.give_back(dyno, connection)
        times = f"connect={(connected - began) * 1000:.0f}ms service={(time.monotonic() - connected) * 1000:.0f}ms"
        tail = f"dyno={dyno.name} {times} status={answer.status} bytes={size} protocol={exchange.scheme}"
        app.log.write("heroku", "router", f"at=info {described(exchange, request_id)} {tail}")

    def take(self, dyno: Dyno, address: str) -> http.client.HTTPConnection:
        """Return a connection to a dyno: an idle one that is still open, or a new one."""
        while True:
            with self.lock:
                kept = self.idle.get(dyno, [])
                since, connection = kept.pop() if kept else (0.0, None)
            if connection is None:
                return http.client.HTTPConnection(address, dyno.port, timeout=CONNECT_TIMEOUT)
            if time.monotonic() - since < KEPT_IDLE and not select.select([connection.sock], [], [], 0)[0]:
                return connection
            connection.close()

    def give_back(self, dyno: Dyno, connection: http.client.HTTPConnection) -> None:
        """Keep a connection for the next request."""
        with self.lock:
            self.idle.setdefault(dyno, []).append((time.monotonic(), connection))

    def close(self) -> None:
        """Close all idle connections."""
        with self.lock:
            for kept in self.idle.values():
                for _, connection in kept:
                    connection.close()
            self.idle = {}

    def refuse(self, exchange: Exchange, app: App, code: str, request_id: str, dyno: Dyno | None = None) -> None:
        """Answer with an error page, and log the error."""
        error(exchange, app, code, request_id, dyno)
        title = "Offline for Maintenance" if code == "H80" else "Application error"
        text = "Check back soon." if code == "H80" else "An error occurred in the application."
        page = PAGE.format(title=title, text=text).encode()
        exchange.reply(503, page, "text/html; charset=utf-8", Cache_Control="no-cache, no-store")


def ask(exchange: Exchange, connection: http.client.HTTPConnection, request_id: str) -> http.client.HTTPResponse:
    """Pass a request on, and wait for the answer to begin.

    Raises:
        TimeoutError: it did not begin within FIRST_BYTE_TIMEOUT seconds.
        OSError: the connection broke.
        http.client.HTTPException: the connection was closed, or the answer is not HTTP.
    """
    connection.sock.settimeout(FIRST_BYTE_TIMEOUT)
    connection.putrequest(exchange.command, exchange.path, skip_host=True, skip_accept_encoding=True)
    own = own_headers(exchange, request_id)
    for name, value in exchange.headers.items():
        if name.lower() not in HOP_BY_HOP and name.lower() not in own:
            connection.putheader(name, value)
    for name, value in own.items():
        connection.putheader(name.title(), value)
    chunked = "Transfer-Encoding" in exchange.headers
    if chunked:
        connection.putheader("Transfer-Encoding", "chunked")
    connection.endheaders()
    for piece in exchange.body() if exchange.has_body else ():
        connection.send(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
    if chunked:
        connection.send(b"0\r\n\r\n")
    return connection.getresponse()


def own_headers(exchange: Exchange, request_id: str) -> dict[str, str]:
    """Return the headers that the router sets and visitors cannot: devcenter, "HTTP Routing", "Heroku Headers"."""
    seen = exchange.headers.get("X-Forwarded-For")
    came_by = exchange.headers.get("Via")
    return {
        "x-forwarded-for": f"{seen}, {exchange.client_address[0]}" if seen else exchange.client_address[0],
        "x-forwarded-proto": exchange.scheme,
        "x-forwarded-port": "443" if exchange.scheme == "https" else "80",
        "x-request-id": request_id,
        "x-request-start": str(int(datetime.now(UTC).timestamp() * 1000)),
        "via": f"{came_by}, {VIA}" if came_by else VIA,
    }


def hand_on(exchange: Exchange, answer: http.client.HTTPResponse) -> int:
    """Pass a dyno's answer to the visitor; return the number of bytes of its body."""
    headers = [(name, value) for name, value in answer.getheaders() if name.lower() not in HOP_BY_HOP]
    headers.append(("Via", VIA))
    size = 0

    def pieces() -> Iterator[bytes]:
        nonlocal size
        while piece := answer.read1(BLOCK):
            size += len(piece)
            yield piece

    whole = exchange.command == "HEAD" or answer.status in {204, 304} or answer.length is not None
    if not whole and exchange.request_version != "HTTP/1.0":
        exchange.stream(answer.status, headers, pieces())
        return size
    exchange.close_connection = exchange.close_connection or not whole
    exchange.send_response_only(answer.status, answer.reason)
    for name, value in headers:
        exchange.send_header(name, value)
    exchange.end_headers()
    expected = answer.length or 0
    for piece in pieces():
        exchange.wfile.write(piece)
    if size < expected:
        raise http.client.IncompleteRead(b"", expected - size)
    return size


def described(exchange: Exchange, request_id: str) -> str:
    """Return a request in the format of the router's log."""
    return (
        f'method={exchange.command} path="{exchange.path}" host={exchange.host} request_id={request_id} '
        f'fwd="{exchange.headers.get("X-Forwarded-For") or exchange.client_address[0]}"'
    )


def error(exchange: Exchange, app: App, code: str, request_id: str, dyno: Dyno | None) -> None:
    """Log a router error."""
    name = dyno.name if dyno else ""
    head = f'at={"info" if code == "H80" else "error"} code={code} desc="{ERRORS[code]}"'
    tail = f"dyno={name} connect= service= status=503 bytes= protocol={exchange.scheme}"
    app.log.write("heroku", "router", f"{head} {described(exchange, request_id)} {tail}")

"""Visit a site as the proxy that terminates TLS passes requests on: over TCP or a Unix socket."""

import http.client
import secrets
import socket
from dataclasses import dataclass
from http.cookies import SimpleCookie
from typing import override
from urllib.parse import urlencode

from tests.support.servers import HANGS


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=HANGS)
        self.path = path

    @override
    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


@dataclass
class Answer:
    """The answer to a request."""

    status: int
    text: str
    headers: http.client.HTTPMessage


class Visitor:
    """A visitor who keeps cookies as a browser does that uses HTTPS.

    Args:
        where: a port on loopback, or the path of a Unix socket.
        address: the loopback address that requests to a port come from; by default one of this
            visitor's own, since limits count by address.
        headers: the headers that the proxy adds to each request.
    """

    def __init__(self, where: int | str, address: str | None = None, **headers: str) -> None:
        self.where = where
        self.address = address or ".".join(["127", *(str(1 + secrets.randbelow(254)) for _ in range(3))])
        self.headers = {"Host": "localhost", "X-Forwarded-Proto": "https", "Referer": "https://localhost/", **headers}
        self.cookies: dict[str, str] = {}

    def ask(self, method: str, path: str, form: dict[str, str] | None = None) -> Answer:
        """Send a request on a new connection, which any worker may accept."""
        connection = (
            UnixConnection(self.where)
            if isinstance(self.where, str)
            else http.client.HTTPConnection("127.0.0.1", self.where, timeout=HANGS, source_address=(self.address, 0))
        )
        headers = {**self.headers, "Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        if form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        connection.request(method, path, body=urlencode(form) if form is not None else None, headers=headers)
        response = connection.getresponse()
        answer = Answer(response.status, response.read().decode(), response.headers)
        connection.close()
        for line in answer.headers.get_all("Set-Cookie", []):
            for name, morsel in SimpleCookie(line).items():
                self.cookies[name] = morsel.value
        return answer

    def post(self, path: str, **fields: str) -> Answer:
        """Load the page at `path`, and send its form."""
        self.ask("GET", path)
        return self.ask("POST", path, {**fields, "csrfmiddlewaretoken": self.cookies["__Host-csrftoken"]})

    def log_in(self, email: str, password: str) -> Answer:
        """Send the login page's form: 302 where it is accepted."""
        return self.post("/accounts/login/", login=email, password=password)

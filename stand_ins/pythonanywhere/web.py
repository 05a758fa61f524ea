"""Emulate the platform's web servers: a proxy that terminates TLS, and uWSGI behind it for each web app."""

import contextlib
import http.client
import mimetypes
import signal
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from importlib.util import find_spec
from pathlib import Path
from socketserver import ThreadingTCPServer
from threading import Thread
from typing import Any, override

from stand_ins.pythonanywhere.account import Account
from tests.support.servers import Running, eventually, free_port, running

# Headers about one connection, which proxies do not pass on: RFC 9110, section 7.6.1.
HOP_BY_HOP = {"connection", "content-length", "keep-alive", "transfer-encoding"}
# Start uWSGI with a virtual environment's Python, so that it finds that environment's packages.
UWSGI = "import sys, pyuwsgi; pyuwsgi.run(sys.argv[1:])"
# The WSGI file of a new web app.
DEFAULT_WSGI = """
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/html")])
    return [b"<h1>Hello, World!</h1>"]
"""


@dataclass
class WebApp:
    """A web app: https://help.pythonanywhere.com/pages/API has its fields."""

    id: int
    domain_name: str
    python_version: str
    source_directory: str = ""
    virtualenv_path: str = ""
    force_https: bool = False
    static_files: list[dict[str, Any]] = field(default_factory=list)
    starts: int = 0

    @property
    def wsgi_file(self) -> str:
        """Return the path of the WSGI file, which uWSGI loads."""
        return f"/var/www/{self.domain_name.replace('.', '_')}_wsgi.py"


class WebServer:
    """A uWSGI server for one web app of the account."""

    def __init__(self, account: Account, folder: Path) -> None:
        self.account = account
        self.folder = folder
        self.port = 0
        self.server: Running | None = None
        self.stack = contextlib.ExitStack()
        # A folder with only uWSGI: the account does not have the tests' other packages.
        self.modules = folder / "uwsgi"
        self.modules.mkdir()
        spec = find_spec("pyuwsgi")
        assert spec is not None
        assert spec.origin is not None
        module = Path(spec.origin)
        (self.modules / module.name).symlink_to(module)
        if (libraries := module.with_name("pyuwsgi.libs")).exists():
            (self.modules / libraries.name).symlink_to(libraries)

    def restart(self, webapp: WebApp) -> None:
        """Restart with the web app's current settings."""
        self.stop()
        webapp.starts += 1
        self.port = free_port()
        python = f"{webapp.virtualenv_path}/bin/python" if webapp.virtualenv_path else f"python{webapp.python_version}"
        options = [
            *("--http-socket", f"127.0.0.1:{self.port}", "--wsgi-file", webapp.wsgi_file, "--master", "--die-on-term"),
            # As on the platform, touching the file reloads the code. uWSGI itself keeps running, since the
            # packaged uWSGI does not find its environment after a restart.
            *("--lazy-apps", "--touch-workers-reload", webapp.wsgi_file, "--buffer-size", "32768"),
        ]
        command = self.account.command([python, "-c", UWSGI, *options])
        environment = {**self.account.environment, "PYTHONPATH": str(self.modules)}
        log = self.folder / f"server-{webapp.starts}.log"
        self.server = self.stack.enter_context(running(command, self.folder, environment, log))
        assert eventually(self.listens), self.log()

    def listens(self) -> bool:
        """Return True if it accepts requests, or has ended."""
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True
        return self.server is None or self.server.process.poll() is not None

    def stop(self) -> None:
        """Kill it if it is running: uWSGI does not end promptly while it loads the code."""
        if self.server:
            self.server.stop(signal.SIGKILL)
        self.stack.close()
        self.server = None

    def log(self) -> str:
        """Return its output since its last start."""
        return self.server.output() if self.server else ""


class AlwaysOn:
    """A command that always runs in the account. Of a console's variables it has only HOME.

    Attributes:
        fields: its fields in the API.
    """

    def __init__(self, account: Account, log: Path, fields: dict[str, Any]) -> None:
        self.account = account
        self.log = log
        self.fields = fields
        self.process: Running | None = None
        self.stack = contextlib.ExitStack()

    def restart(self) -> None:
        """Stop it if it is running, and start it."""
        self.stop()
        clean = ["env", "-i", f"HOME=/home/{self.account.user}", f"PATH={self.account.environment['PATH']}"]
        command = self.account.command([*clean, "bash", "-c", f"cd && {self.fields['command']}"])
        self.process = self.stack.enter_context(
            running(command, self.log.parent, dict(self.account.environment), self.log)
        )

    def stop(self) -> None:
        """Stop it if it is running."""
        if self.process:
            self.process.stop()
        self.stack.close()
        self.process = None


type Answer = Callable[["Exchange"], None]


class Front(ThreadingTCPServer):
    """A server on a port of the platform's address, with or without TLS."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, address: tuple[str, int], context: ssl.SSLContext | None, answer: Answer) -> None:
        super().__init__(address, Exchange)
        self.context = context
        self.answer = answer

    @override
    def finish_request(self, request: Any, client_address: Any) -> None:
        try:
            connection = self.context.wrap_socket(request, server_side=True) if self.context else request
        except OSError:
            # A client that does not trust the certificate closes the connection.
            return
        with connection:
            super().finish_request(connection, client_address)

    @contextlib.contextmanager
    def serving(self) -> Iterator[None]:
        """Serve until the end of the block."""
        with self:
            thread = Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05})
            thread.start()
            try:
                yield
            finally:
                self.shutdown()
                thread.join()


class Exchange(BaseHTTPRequestHandler):
    """A request and the answer to it."""

    server: Front

    def answered(self) -> None:
        """Read the request, and have the platform answer it."""
        self.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.answer(self)

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = do_HEAD = answered

    @property
    def host(self) -> str:
        """Return the requested host name."""
        return str(self.headers.get("Host", "")).split(":")[0].lower()

    def reply(self, status: int, content: bytes, kind: str = "text/html", **headers: str) -> None:
        """Send an answer; underscores in headers' names become dashes."""
        self.send_response_only(status)
        if status != 204:
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD" and status != 204:
            self.wfile.write(content)

    def visit(self, webapp: WebApp, server: WebServer) -> None:
        """Answer a web app's visitor as the platform does."""
        if webapp.force_https and not self.server.context:
            self.reply(301, b"", Location=f"https://{self.host}{self.path}")
            return
        path = self.path.partition("?")[0]
        for mapping in webapp.static_files:
            prefix = f"/{mapping['url'].strip('/')}/"
            if path.startswith(prefix):
                self.send_file(server.account, f"{mapping['path'].rstrip('/')}/{path.removeprefix(prefix)}")
                return
        self.pass_on(server)

    def send_file(self, account: Account, path: str) -> None:
        """Send a file of the account, as the platform does: without a Cache-Control header."""
        file = account.home / path.removeprefix(f"/home/{account.user}/")
        if ".." in path or not file.is_file():
            self.reply(404, b"<h1>404 Not Found</h1>")
            return
        self.reply(200, file.read_bytes(), mimetypes.guess_type(path)[0] or "application/octet-stream")

    def pass_on(self, server: WebServer) -> None:
        """Pass the request to uWSGI, with the visitor's IP address and without a sign of HTTPS."""
        headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP}
        headers = {name: value for name, value in headers.items() if name.lower() != "x-forwarded-proto"}
        headers |= {"X-Real-IP": self.client_address[0], "Connection": "close"}
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        try:
            connection.request(self.command, self.path, self.body or None, headers)
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException):
            self.reply(502, b"<h1>Something went wrong :-(</h1>")
            return
        finally:
            connection.close()
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in HOP_BY_HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    @override
    def log_message(self, format: str, *args: Any) -> None:
        """Write nothing."""

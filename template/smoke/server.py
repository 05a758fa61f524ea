"""Start the site on this machine, with the command that serves it live, behind a stand-in that terminates TLS."""

import http.client
import os
import secrets
import signal
import socket
import ssl
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from io import StringIO
from pathlib import Path
from socketserver import ThreadingTCPServer
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any, override

import trustme
from dotenv import dotenv_values

from .known import Known, known

# Seconds that the server may take to answer its first request, and to stop.
START_TIMEOUT = 30
STOP_TIMEOUT = 10
# Seconds that a request may take.
REQUEST_TIMEOUT = 30

# Headers about one connection, which must not be passed on to the next.
HOP_BY_HOP = {"connection", "content-length", "keep-alive", "transfer-encoding"}


@dataclass
class Site:
    """Hold where a site answers, and what the checks have seen so far.

    Attributes:
        url: its https URL, without a slash at the end.
        http_url: where it answers plain http; None if that is not known, and `no_http` says why.
        no_tasks: why its tasks cannot run; empty if they can.
        ca_file: the certificates to trust; None for those that this machine trusts.
        log: the server's log; None for a live site.
        known: what its owner says about it.
        set_cookies: each Set-Cookie header seen so far.
        files: the files that the pages seen so far load, each with the first page that names it.
    """

    url: str
    http_url: str | None
    no_http: str = ""
    no_tasks: str = ""
    ca_file: str | None = None
    log: Path | None = None
    known: Known = field(default_factory=Known)
    set_cookies: list[str] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)


class NotStartedError(Exception):
    """Say why the site could not be started, with its programs' output."""


@contextmanager
def served(project: Path, broker_url: str | None = None) -> Iterator[Site]:
    """Serve the site of the project in a folder until the end of the block.

    Args:
        project: the folder.
        broker_url: the broker for its tasks, if they need one.

    Raises:
        NotStartedError: the site, or a command that it needs first, failed.
    """
    settings = tomllib.loads((project / "pyproject.toml").read_text())["tool"]["smoke"]
    with TemporaryDirectory(prefix="smoke-") as name, ends_with_this_process():
        folder = Path(name)
        port = free_port()
        environment = production_environment(project, folder, port) | settings.get("variables", {})
        worker, no_tasks = settings.get("worker"), ""
        if broker_url:
            environment["CELERY_BROKER_URL"] = broker_url
        elif worker and "CELERY_BROKER_URL" in settings.get("variables", {}):
            worker, no_tasks = None, "tasks need a broker: set --broker-url"
        for task in ("migrate", "collectstatic"):
            manage(task, project, environment)
        ca_file, log = folder / "ca.pem", folder / "server.log"
        with (
            running(settings["start"], project, environment, log),
            started(worker, project, environment, folder / "worker.log") if worker else nullcontext(),
            stand_in(port, ca_file) as address,
        ):
            site = Site(f"https://{address}", f"http://{address}", no_tasks=no_tasks, ca_file=str(ca_file), log=log)
            site.known = known(project)
            if not settings.get("redirects_to_https", True):
                site.http_url = None
                site.no_http = "the live site's proxy redirects to https, and there is none here"
            yield site


def production_environment(project: Path, folder: Path, port: int) -> dict[str, str]:
    """Return this process's environment, with what production needs and nothing from `.env`.

    Variables in `.env` are set to the empty string. Settings treat that as not set, and `.env` overrides no variable
    that exists.
    """
    # A file that is no text is refused by what reads it next, which names the line.
    dotenv = project / ".env"
    text = dotenv.read_text(encoding="utf-8", errors="replace") if dotenv.is_file() else ""
    # Except WEB_CONCURRENCY: gunicorn refuses an empty one, and reads it before `.env` is loaded.
    names = {name for name in dotenv_values(stream=StringIO(text)) if name.isidentifier()} - {"WEB_CONCURRENCY"}
    return {
        **dict.fromkeys(names, ""),
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "TMPDIR": str(folder),
        "DJANGO_SETTINGS_MODULE": "config.settings.production",
        "SECRET_KEY": secrets.token_urlsafe(50),
        "SECRET_KEY_FILE": "",
        "DATABASE_URL": f"sqlite:///{folder / 'smoke.sqlite3'}",
        "DATABASE_URL_FILE": "",
        "ALLOWED_HOSTS": "127.0.0.1",
        "PORT": str(port),
        # The stand-in's own addresses: only its headers are trusted.
        "FORWARDED_ALLOW_IPS": "127.0.0.1,::1,::ffff:127.0.0.1",
        "TRUSTED_PROXY_COUNT": "1",
    }


def manage(task: str, project: Path, environment: dict[str, str]) -> None:
    """Run one of Django's commands.

    Raises:
        NotStartedError: it failed.
    """
    done = subprocess.run(
        [sys.executable, "manage.py", task, "--noinput"],
        cwd=project,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise NotStartedError(f"manage.py {task} ended with code {done.returncode}:\n{done.stdout}")


@contextmanager
def running(command: str, project: Path, environment: dict[str, str], log: Path) -> Iterator[None]:
    """Start the server, wait for its first answer at PORT, and keep it running until the end of the block.

    Raises:
        NotStartedError: it ended, or did not answer within START_TIMEOUT.
    """
    with started(command, project, environment, log) as process:
        deadline = time.monotonic() + START_TIMEOUT
        while not answers(int(environment["PORT"])):
            if process.poll() is not None:
                raise NotStartedError(f"`{command}` ended with code {process.returncode}:\n{log.read_text()}")
            if time.monotonic() > deadline:
                raise NotStartedError(f"`{command}` gave no answer in {START_TIMEOUT} s:\n{log.read_text()}")
            time.sleep(0.05)
        yield


@contextmanager
def started(command: str, project: Path, environment: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command that writes to `log` until the end of the block, then end it and the processes that it started."""
    with log.open("wb") as output:
        # A process group of its own, so that the processes that it starts end with it.
        process = subprocess.Popen(
            ["/bin/sh", "-c", command],
            cwd=project,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        end(process)


def answers(port: int) -> bool:
    """Return whether a server answers at a port, with any status."""
    connection = http.client.HTTPConnection("localhost", port, timeout=REQUEST_TIMEOUT)
    try:
        connection.request("GET", "/health/")
        connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return True


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process and its group: with SIGTERM as a deploy does, and with SIGKILL after STOP_TIMEOUT."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_TIMEOUT)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@contextmanager
def ends_with_this_process() -> Iterator[None]:
    """Make SIGTERM and SIGHUP (a closed terminal) do what Ctrl-C does: clean up first."""
    before = {number: signal.signal(number, signal.default_int_handler) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def free_port() -> int:
    """Return a port that is free."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
    return port


@contextmanager
def stand_in(port: int, ca_file: Path) -> Iterator[str]:
    """Run a stand-in for the proxy that terminates TLS in front of the server at a port; yield its host and port.

    It answers both https and plain http, and writes the certificate to trust to `ca_file`.
    """
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(ca_file))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with StandIn(port, context) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


class StandIn(ThreadingTCPServer):
    """Pass requests on to the server. Take TLS and plain http on one port, and tell the server which it was."""

    daemon_threads = True

    def __init__(self, port: int, context: ssl.SSLContext) -> None:
        super().__init__(("127.0.0.1", 0), PassOn)
        self.port = port
        self.context = context

    @override
    def finish_request(self, request: Any, client_address: Any) -> None:
        request.settimeout(REQUEST_TIMEOUT)
        # TLS starts with this byte, and plain http never does.
        if request.recv(1, socket.MSG_PEEK) != b"\x16":
            super().finish_request(request, client_address)
            return
        try:
            encrypted = self.context.wrap_socket(request, server_side=True)
        except OSError:
            # A client that does not trust the certificate closes the connection.
            return
        with encrypted:
            super().finish_request(encrypted, client_address)


class PassOn(BaseHTTPRequestHandler):
    """Pass one request on, with the headers that say where it came from."""

    server: StandIn

    def do_GET(self) -> None:
        """Send the request to the server, and return its response unchanged."""
        scheme = "https" if isinstance(self.connection, ssl.SSLSocket) else "http"
        headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP}
        headers |= {"X-Forwarded-For": self.client_address[0], "X-Forwarded-Proto": scheme, "Connection": "close"}
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        connection = http.client.HTTPConnection("localhost", self.server.port, timeout=REQUEST_TIMEOUT)
        try:
            connection.request(self.command, self.path, body or None, headers)
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self.send_error(502, f"The server did not answer: {type(error).__name__}")
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

    do_POST = do_GET  # noqa: N815 - the standard library's name

    @override
    def log_message(self, format: str, *args: Any) -> None:
        """Write nothing: the server has its own log."""

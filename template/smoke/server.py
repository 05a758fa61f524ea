"""The site served on this machine: by the command that serves it live, behind a stand-in that ends TLS."""

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
from pathlib import Path
from socketserver import ThreadingTCPServer
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any, override

import trustme
from dotenv import dotenv_values

from .known import Known, known

# Seconds for the server to answer its first request, and to end when it is told to.
START_TIMEOUT = 30
STOP_TIMEOUT = 10
# Seconds that a request may take.
REQUEST_TIMEOUT = 30

# About one connection, and not for the next.
HOP_BY_HOP = {"connection", "content-length", "keep-alive", "transfer-encoding"}


@dataclass
class Site:
    """Where a site answers, and what has been seen of it.

    Attributes:
        url: its https address, without a slash at the end.
        http_url: where it answers plain http; None if that is not known, for the reason `no_http`.
        no_tasks: why its tasks cannot be done; empty where they can.
        ca_file: the certificates by which it is trusted; None for those that this machine trusts.
        log: what its server writes; None if that is elsewhere.
        known: what its owner says of it.
        set_cookies: each Set-Cookie header that it has sent so far.
        files: what the pages that it has sent so far load, each with the page that names it first.
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
    """The site could not be started; the text is what its programs said."""


@contextmanager
def served(project: Path, broker_url: str | None = None) -> Iterator[Site]:
    """The site of the project in a folder, served until the end of the block.

    Args:
        project: the folder.
        broker_url: what its tasks go through, where they want a service of their own.

    Raises:
        NotStartedError: a program that is needed for it failed.
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
            worker, no_tasks = None, "tasks want a broker, which --broker-url names"
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
                site.no_http = "what stands before the live server redirects, and the stand-in does not"
            yield site


def production_environment(project: Path, folder: Path, port: int) -> dict[str, str]:
    """This process's environment, with what production needs and nothing from `.env`.

    Settings take an empty variable for one that is not set, and `.env` replaces none.
    """
    # gunicorn cannot read an empty WEB_CONCURRENCY, and reads it before `.env` is.
    names = dotenv_values(project / ".env").keys() - {"WEB_CONCURRENCY"}
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
        # The stand-in's own addresses: its headers are believed, and nobody else's.
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
    """Keep the server running, from its first answer at PORT to the end of the block.

    Raises:
        NotStartedError: it ended, or gave no answer for too long.
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
    """Start a command that writes into `log`; the end of the block ends it, and what it has started."""
    with log.open("wb") as output:
        # A group of its own, so that what it starts ends with it.
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
    """Whether a server answers there, whatever it says."""
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
    """End a process and its group: as a deploy would, and for good if that takes too long."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_TIMEOUT)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@contextmanager
def ends_with_this_process() -> Iterator[None]:
    """Let a request to end, or a closed terminal, do what Ctrl-C does: clean up first."""
    before = {number: signal.signal(number, signal.default_int_handler) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
    return port


@contextmanager
def stand_in(port: int, ca_file: Path) -> Iterator[str]:
    """The address of a stand-in for the machine that ends TLS before the server at a port.

    It answers https and plain http alike; `ca_file` is where the certificate is written by
    which it can be trusted.
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
    """Passes on what it is asked, over TLS or plain on one port, and says by which it came."""

    daemon_threads = True

    def __init__(self, port: int, context: ssl.SSLContext) -> None:
        super().__init__(("127.0.0.1", 0), PassOn)
        self.port = port
        self.context = context

    @override
    def finish_request(self, request: Any, client_address: Any) -> None:
        request.settimeout(REQUEST_TIMEOUT)
        # The first byte of TLS, which is no letter of plain http.
        if request.recv(1, socket.MSG_PEEK) != b"\x16":
            super().finish_request(request, client_address)
            return
        try:
            encrypted = self.context.wrap_socket(request, server_side=True)
        except OSError:
            # A visitor who does not trust the certificate breaks off.
            return
        with encrypted:
            super().finish_request(encrypted, client_address)


class PassOn(BaseHTTPRequestHandler):
    """One request, passed on with the headers that tell where it came from."""

    server: StandIn

    def do_GET(self) -> None:
        """Ask the server, and give its answer unchanged."""
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
            self.send_error(502, f"The server gave no answer: {type(error).__name__}")
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

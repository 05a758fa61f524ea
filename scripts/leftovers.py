"""Remove what a test run leaves: its processes, its folders, and what it made on a Docker engine.

The run is a child subreaper, prctl(2): a descendant that loses its parent becomes the run's child, so that none escapes.
"""

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.support.containers import SCRIPT, engine_of
from tests.support.environments import RUN_FOLDER, RUN_PROCESS

# Seconds to wait for processes to end after SIGTERM, and after SIGKILL.
GRACE = 2.0
PR_SET_CHILD_SUBREAPER = 36
# The signals that end a run.
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# The folder that Linux keeps in memory, and the bytes that must be free in it. Twice as many must be free in memory.
IN_MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of this run's own is made in it
MEMORY = 6 * 1024**3
# The folder of scripts/docker-engine. Other runs may be using its engine at the same time.
ENGINE = Path(os.environ.get("COPIER_DJANGO_ENGINE", "/var/lib/copier-django/engine"))


def with_all_descendants(main: Callable[[], int]) -> int:
    """Run `main` in a child process and return its exit code.

    This process adopts and reaps the descendants that lose their parents, as init does, so that no zombie is left.
    """
    if not Path("/proc/self/stat").exists():
        return main()
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    child = os.fork()
    if child == 0:
        # In a process group of its own: a terminal's signal reaches the parent only, which passes it on once.
        os.setpgid(0, 0)
        return main()
    for number in ENDING:
        signal.signal(number, lambda sent, _: os.kill(child, sent))
    while True:
        process, status = os.waitpid(-1, 0)
        if process == child:
            return os.waitstatus_to_exitcode(status)


@contextlib.contextmanager
def leaving_nothing() -> Iterator[dict[str, str]]:
    """Yield the environment variables for the run's programs; at the end, remove everything that the run left."""
    folder = Path(tempfile.mkdtemp(prefix="tests-"))
    in_memory = folder_in_memory()
    # Other users must be able to enter the folder: PostgreSQL does not run as root.
    for each in (folder, in_memory):
        if each:
            each.chmod(0o711)
    own = {"TMPDIR": str(in_memory or folder), RUN_FOLDER: str(folder), RUN_PROCESS: str(os.getpid())}
    try:
        yield own
    finally:
        for number in ENDING:
            signal.signal(number, signal.SIG_IGN)
        end_processes()
        engine = engine_of(folder)
        if engine is not None:
            engine.remove_what_was_written_down()
        subprocess.run([SCRIPT, "stop", str(os.getpid())], check=False)
        for each in (folder, in_memory):
            if each:
                shutil.rmtree(each, ignore_errors=True)


def folder_in_memory() -> Path | None:
    """Make a folder in memory and return it; it halves the time of tests that write many files.

    Return None if the machine has too little memory, or if programs cannot be run from such a folder.
    """
    try:
        available = int(
            dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())["MemAvailable"].split()[0]
        )
        if min(shutil.disk_usage(IN_MEMORY).free, 1024 * available / 2) < MEMORY:
            return None
        folder = Path(tempfile.mkdtemp(prefix="tests-", dir=IN_MEMORY))
    except (OSError, KeyError):
        return None
    program = folder / "program"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    try:
        subprocess.run([program], check=True)
    except (OSError, subprocess.CalledProcessError):
        shutil.rmtree(folder)
        return None
    program.unlink()
    return folder


def descendants(*ancestors: int) -> set[int]:
    """Return the running descendants of these processes."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # The program's name, in parentheses, may itself contain spaces and parentheses.
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    found: set[int] = set()
    last = set(ancestors)
    while last := {process for process, parent in parents.items() if parent in last} - found:
        found |= last
    return found


def is_engine(process: int) -> bool:
    """Return True for a process that runs a program of the Docker engine."""
    try:
        return Path(f"/proc/{process}/exe").readlink().is_relative_to(ENGINE / "bin")
    except OSError:
        return False


def end_processes() -> None:
    """End the processes that this run has started, except the Docker engine and its containers."""
    for sent in (signal.SIGTERM, signal.SIGKILL):
        left = descendants(os.getppid()) - {os.getpid()}
        engine = set(filter(is_engine, left))
        left -= engine | descendants(*engine)
        for process in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, sent)
                # A stopped process handles SIGTERM only after SIGCONT.
                os.kill(process, signal.SIGCONT)
        deadline = time.monotonic() + GRACE
        while left and time.monotonic() < deadline:
            left &= descendants(os.getppid())
            time.sleep(0.02)

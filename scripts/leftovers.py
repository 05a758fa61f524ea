"""Remove what a run of tests leaves: its processes, its folders, and what it made on a Docker engine.

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
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.support.containers import SCRIPT, engine_of
from tests.support.environments import RUN_FOLDER, RUN_PROCESS

# Seconds that processes have to end after SIGTERM, and after SIGKILL.
GRACE = 2.0
PR_SET_CHILD_SUBREAPER = 36
# What asks a run to end.
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# Where Linux has files in memory, and the bytes that must be free there, and twice as many in memory.
IN_MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of this run's own is made in it
MEMORY = 6 * 1024**3
# The folder of scripts/docker-engine, whose engine other runs may use at the same time.
ENGINE = Path(os.environ.get("COPIER_DJANGO_ENGINE", "/var/lib/copier-django/engine"))


def with_all_descendants(main: Callable[[], int]) -> int:
    """Run `main` in a process of its own, and give its exit code; this one waits for whatever is left to it meanwhile.

    So a process that has ended is gone, as it is below a machine's first process, and none of them gets away.
    """
    if not Path("/proc/self/stat").exists():
        return main()
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    child = os.fork()
    if child == 0:
        # In a group of its own, so that what a terminal sends comes once, by way of the other.
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
    """Gives the variables that programs of a run are started with; at its end nothing of the run is there any more."""
    folder = Path(tempfile.mkdtemp(prefix="tests-"))
    in_memory = folder_in_memory()
    # Other users pass through to what is theirs: PostgreSQL does not run as root.
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
    """Make a folder in memory, which halves the time of tests that write many files, and return it.

    None where the machine has not that much memory, or no such folder from which programs can be run.
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
    """Return the running processes that these and their descendants have started."""
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
    """Return True for a process that runs a program of the Docker engine."""
    try:
        return Path(f"/proc/{process}/exe").readlink().is_relative_to(ENGINE / "bin")
    except OSError:
        return False


def end_processes() -> None:
    """End what this run has started, but for the engine and what runs in its containers."""
    for sent in (signal.SIGTERM, signal.SIGKILL):
        left = descendants(os.getppid()) - {os.getpid()}
        engine = set(filter(is_engine, left))
        left -= engine | descendants(*engine)
        for process in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, sent)
                # One that is stopped ends only when it goes on.
                os.kill(process, signal.SIGCONT)
        deadline = time.monotonic() + GRACE
        while left and time.monotonic() < deadline:
            left &= descendants(os.getppid())
            time.sleep(0.02)

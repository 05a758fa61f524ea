"""Run the tests and clean up after them, even when the run is interrupted: `make test`.

    python -m scripts.run_tests [--level LEVEL | --changed] [--all] [arguments of pytest ...]

A level is a folder of tests/. `--changed` runs the tests that changes since the main branch can affect: scripts/reach.py.
Without `--all`, the tests in tests/nightly.py are left out, unless the arguments name tests.
"""

import argparse
import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType

import pytest

from scripts.leftovers import ENDING, leaving_nothing, with_all_descendants
from scripts.reach import changed_files, reached_by
from tests.support.left_out import EACH_CHANGE

ROOT = Path(__file__).resolve().parents[1]
LEVELS = sorted({path.parent.name for path in ROOT.glob("tests/*/test_*.py")})
# Seconds that tests have to clean up after an interrupt.
GRACE = 20.0


class BrokenOffError(Exception):
    """Raised when a signal ends the run."""


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def chosen(level: str | None, *, changed: bool) -> list[str]:
    """Return the test files and folders to run; an empty list means all.

    Raises:
        SystemExit: there is nothing to run.
    """
    if level:
        return [f"tests/{level}"]
    if not changed:
        return []
    files = changed_files(ROOT)
    reached = reached_by(files, ROOT)
    say(f"{len(files)} changed files reach {' '.join(reached) or 'no test'}")
    if not reached:
        raise SystemExit(0)
    return reached


def check_the_machine() -> None:
    """Print before the first test what this machine lacks.

    Raises:
        SystemExit: it lacks something, and CI is set.
    """
    command = [str(ROOT / "scripts/install-machine"), "--check"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        if os.environ.get("CI"):
            raise SystemExit(f"{done.stdout.strip()}\nCI is set, so no test may be skipped.")
        say(done.stdout.strip())


def run(arguments: list[str], *, nightly: bool) -> int:
    """Run pytest; return its exit code, or a shell's exit code for the signal that interrupted it.

    Args:
        arguments: pytest's arguments.
        nightly: run the tests in tests/nightly.py too.
    """

    def break_off(number: int, _: FrameType | None) -> None:
        raise BrokenOffError(number)

    for number in ENDING:
        signal.signal(number, break_off)
    with leaving_nothing() as variables:
        command = [sys.executable, "-m", "pytest", f"--basetemp={variables['TMPDIR']}/pytest", *arguments]
        # In a session of its own, so that Ctrl-C reaches only this process, which then interrupts pytest.
        env = {**os.environ, **variables, EACH_CHANGE: "" if nightly else "1"}
        tests = subprocess.Popen(command, cwd=ROOT, env=env, start_new_session=True)
        try:
            return tests.wait()
        except BrokenOffError as broken_off:
            say("\nInterrupted; cleaning up ...")
            # Interrupt all of pytest's processes, so that each stops its test and cleans up.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(tests.pid, signal.SIGINT)
            try:
                tests.wait(GRACE)
            except (subprocess.TimeoutExpired, BrokenOffError):
                tests.kill()
            return 128 + int(broken_off.args[0])


def main() -> int:
    """Choose the tests, run them and clean up; return the exit code."""
    parser = argparse.ArgumentParser(description="Run the tests, and leave nothing behind.", allow_abbrev=False)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--level", choices=LEVELS)
    which.add_argument("--changed", action="store_true")
    parser.add_argument("--all", action="store_true", help="run the tests in tests/nightly.py too")
    ours, pytests = parser.parse_known_args()
    paths = chosen(ours.level, changed=ours.changed)
    check_the_machine()
    nightly = ours.all or any(argument.startswith("tests/") for argument in pytests)
    code = run(["--numprocesses=auto", "--dist=worksteal", *paths, *pytests], nightly=nightly)
    return 0 if code == pytest.ExitCode.NO_TESTS_COLLECTED else code


if __name__ == "__main__":
    sys.exit(with_all_descendants(main))

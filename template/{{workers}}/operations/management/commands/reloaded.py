"""`manage.py reloaded PROGRAM`: run a program, and start it again after each change. `make dev-all` runs workers so."""

import argparse
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

# What a worker loads.
SUFFIXES = {".py", ".html", ".txt"}
# Folders with files of others, apart from those whose names start with a dot.
OTHERS = {"__pycache__", "media", "node_modules", "staticfiles", "venv"}
# Seconds between two looks at the files, and for which a program may finish its task.
LOOK = 1
PATIENCE = 20


class Command(BaseCommand):
    """Run a program until SIGTERM or Ctrl-C."""

    help = "Runs a program, and starts it again after each change of the project's code. For development."
    # The program does that itself, and code with an error must not end this one.
    requires_system_checks = ()

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the program and its arguments."""
        parser.add_argument("program", nargs=argparse.REMAINDER)

    def handle(self, *_: Any, program: list[str], **__: Any) -> None:
        """Run the program, and look for changes. A program that fails is started again after the next one."""
        signal.signal(signal.SIGTERM, lambda *_: sys.exit())
        seen, process, told = files(settings.BASE_DIR), start(program), False
        try:
            while True:
                time.sleep(LOOK)
                now = files(settings.BASE_DIR)
                if now != seen:
                    seen, told = now, False
                    end(process)
                    process = start(program)
                elif process.poll() is not None and not told:
                    told = True
                    self.stderr.write(f"{' '.join(program)} ended, and is started again after the next change.")
        except KeyboardInterrupt:
            # Ctrl-C is for the program too.
            pass
        finally:
            end(process)


def files(folder: Path) -> dict[Path, int]:
    """Return when each file of the project's code was last changed."""
    found = {}
    for place, folders, names in folder.walk():
        folders[:] = [name for name in folders if not name.startswith(".") and name not in OTHERS]
        for path in (place / name for name in names):
            if path.suffix in SUFFIXES:
                with suppress(FileNotFoundError):
                    found[path] = path.stat().st_mtime_ns
    return found


def start(program: list[str]) -> subprocess.Popen[bytes]:
    """Start a program."""
    return subprocess.Popen(program)  # noqa: S603 - the developer's own


def end(process: subprocess.Popen[bytes]) -> None:
    """Let a program finish its task, and end it if that takes too long."""
    process.terminate()
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()

"""Measure the time from `copier copy` to the first page of `runserver`: `make benchmark`.

Does what a new user does (`copier copy`, then `make dev`) five times with caches warm, on
SQLite, and prints the minimum, median and maximum of each part, in seconds.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from benchmarks import page
from tests.support.servers import free_port

ROOT = Path(__file__).resolve().parents[1]
RUNS = 5
# Seconds after which a run counts as failed.
PATIENCE = 60.0
# Variables that this process has and a user's shell has not.
FOREIGN = ("VIRTUAL_ENV", "UV", "MAKEFLAGS", "MAKELEVEL", "MFLAGS")
ANSWERS = ["--data", "project_name=Todo List", "--data", "platform=docker"]


def of_a_user() -> dict[str, str]:
    """Return the variables of a user's shell, which finds uv and is in no virtual environment."""
    env = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    uv = Path(os.environ.get("UV") or shutil.which("uv") or "uv")
    return env | {"PATH": f"{uv.parent}{os.pathsep}{env['PATH']}"}


def copy(folder: Path, template: Path = ROOT) -> None:
    """Render `template` into `folder` by Copier's program."""
    subprocess.run(
        [Path(sys.prefix, "bin/copier"), "copy", "--quiet", "--defaults", "--vcs-ref=HEAD", *ANSWERS, template, folder],
        env={**of_a_user(), "PYTHONWARNINGS": "ignore"},
        check=True,
    )


def one_run(folder: Path, template: Path = ROOT) -> dict[str, float]:
    """Render `template` into `folder` and serve it; return the seconds to render, and the seconds to the first page.

    Raises:
        TimeoutError: no page came within PATIENCE seconds.
    """
    started = time.perf_counter()
    copy(folder, template)
    rendered = time.perf_counter()
    port = free_port()
    with (folder / "make-dev.log").open("wb") as log:
        server = subprocess.Popen(
            ["make", "dev", f"PORT={port}"], cwd=folder, env=of_a_user(), stdout=log, stderr=log, start_new_session=True
        )
        try:
            wait_for_page(f"http://127.0.0.1:{port}/")
            return {"render": rendered - started, "first page": time.perf_counter() - started}
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait(timeout=10)


def wait_for_page(url: str) -> None:
    """Request a page until the server answers.

    Raises:
        TimeoutError: there was no answer within PATIENCE seconds.
    """
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=PATIENCE) as answer:  # noqa: S310 - loopback alone
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.02)
    raise TimeoutError(f"{url} gave no page within {PATIENCE} s")


def main() -> None:
    """Measure, print, and write the page."""
    with tempfile.TemporaryDirectory(prefix="copier-django-benchmark-") as scratch:
        one_run(Path(scratch, "warms-the-caches"))
        seen = [one_run(Path(scratch, f"run{number}")) for number in range(RUNS)]
        files = sum(path.is_file() for path in rendered_files(Path(scratch, "run0")))
    rows = [[part, page.spread([run[part] for run in seen], 2)] for part in seen[0]]
    figures = f"{files} files; seconds of {RUNS} runs.\n\n{page.table(['until', 's'], rows)}"
    sys.stdout.write(figures)
    page.write("first page", figures)


def rendered_files(project: Path) -> list[Path]:
    """Return the files that Copier rendered in a project, without those that running it added."""
    added = {".venv", "__pycache__", "uv.lock", "make-dev.log"}
    return [path for path in project.rglob("*") if not added & set(path.parts) and "sqlite3" not in path.name]


if __name__ == "__main__":
    main()

"""Measure the commands that an owner runs all day, against what we want: `make benchmark`.

In a fresh project with the default answers for Docker, three rounds, after one that warms the caches:

- `make test` and `make lint`;
- a commit of one file of Python, and one of a page, with the project's git hooks installed.

benchmarks/first_page.py measures the way to the first page. Prints the seconds and, since other work on the machine changes them, the seconds of processor time.
"""

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks import page
from benchmarks.copying import committed, git
from benchmarks.first_page import ROOT, copy, of_a_user

ROUNDS = 3
# Seconds that we want each to take at most.
WANTED = {
    "`make test`": 8.0,
    "`make lint`": 8.0,
    "commit of a view, with hooks": 3.0,
    "commit of a page, with hooks": 3.0,
}
Took = tuple[float, float]


def took(action: Callable[[], object]) -> Took:
    """Return the seconds of processor time and of time that an action took, with the programs that it ran."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    action()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return used, time.perf_counter() - started


class Owner:
    """Somebody who works on a fresh project."""

    def __init__(self, scratch: Path, template: Path) -> None:
        self.scratch = scratch
        self.project = scratch / "project"
        copy(self.project, template)
        self.run("make", "install")
        committed(self.project)
        self.run(str(Path(sys.prefix, "bin/prek")), "install")

    def run(self, *command: str) -> None:
        """Run a command in the project.

        Raises:
            RuntimeError: it failed; the message is its output.
        """
        tools = str(Path(sys.prefix, "bin"))
        env = of_a_user()
        # Neither the hooks nor the project may meet this repository's own packages.
        env["PATH"] = os.pathsep.join(part for part in env["PATH"].split(os.pathsep) if part != tools)
        # Other runs of pytest would delete the folders of this one.
        env |= {"PREK_HOME": str(self.scratch / "prek"), "TMPDIR": str(self.scratch)}
        done = subprocess.run(
            command, cwd=self.project, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout}")

    def commit(self, name: str, number: int) -> None:
        """Change a file, and commit it with the hooks."""
        file = self.project / name
        comment = f"{{# {number} #}}" if file.suffix == ".html" else f"# {number}"
        file.write_text(f"{comment}\n{file.read_text()}")
        git(self.project, "add", name)
        self.run("git", *who(), "commit", "--quiet", f"--message=Change {number}")

    def warm_up(self) -> None:
        """Fill the caches of Python, pytest and mypy."""
        self.run("uv", "run", "pytest", "--quiet", "tests/test_pages.py")
        self.run("make", "lint")

    def round(self, number: int) -> dict[str, Took]:
        """Return what each command took."""
        actions: dict[str, Callable[[], object]] = {
            "`make test`": lambda: self.run("make", "test"),
            "`make lint`": lambda: self.run("make", "lint"),
            "commit of a view, with hooks": lambda: self.commit("apps/pages/views.py", number),
            "commit of a page, with hooks": lambda: self.commit("templates/pages/home.html", number),
        }
        return {name: took(action) for name, action in actions.items()}


def who() -> list[str]:
    """Return git's options for the name of who commits."""
    return ["-c", "user.name=Benchmark", "-c", "user.email=benchmark@example.com"]


def measured(scratch: Path, template: Path = ROOT, rounds: int = ROUNDS) -> dict[str, list[Took]]:
    """Return for each command what it took in each round."""
    owner = Owner(scratch, template)
    owner.warm_up()
    seen: dict[str, list[Took]] = {name: [] for name in WANTED}
    for number in range(rounds):
        for name, values in owner.round(number).items():
            seen[name].append(values)
    return seen


def report(seen: dict[str, list[Took]]) -> str:
    """Return a table with a row for each command, its goal, and whether the median meets it."""
    rows = []
    for name, values in seen.items():
        seconds = [each for _, each in values]
        met = "met" if statistics.median(seconds) <= WANTED[name] else "**missed**"
        rows.append(
            [name, page.spread([used for used, _ in values], 1), page.spread(seconds, 1), f"{WANTED[name]:g}", met]
        )
    return page.table(["command", "s of processor", "s", "wanted, s", ""], rows)


def main() -> None:
    """Measure, print, and write the page."""
    with tempfile.TemporaryDirectory(prefix="copier-django-benchmark-") as scratch:
        figures = report(measured(Path(scratch)))
    load = os.getloadavg()[2]
    figures += f"\nWhile this was measured, {load:.0f} processes shared the machine's {os.cpu_count()} processors.\n"
    sys.stdout.write(figures)
    page.write("commands", figures)


if __name__ == "__main__":
    main()

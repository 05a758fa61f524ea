"""Measure what a copy and an update cost, beside Copier's own cost for as many plain files: `make benchmark`.

In turns and in one run, so that other load on the machine slows all alike:

- a copy of this template, for Docker with the default answers;
- a copy of a template without questions, whose files are those that the first copy rendered;
- an update of a project to a version that changes nothing.

Prints for each the median of processor seconds (of the command and the programs that it started), and the ratios.
"""

import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import page

ROOT = Path(__file__).resolve().parents[1]
RUNS = 7
ANSWERS = ["--data", "project_name=Todo List", "--data", "platform=docker"]


def copier(*arguments: str | Path, folder: Path) -> tuple[float, float]:
    """Run Copier's program in a folder; return its seconds of processor time and of time.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    env = {**os.environ, "PYTHONWARNINGS": "ignore"}
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([Path(sys.prefix, "bin/copier"), *arguments], cwd=folder, env=env, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return used, time.perf_counter() - started


def git(folder: Path, *arguments: str) -> None:
    """Run git in a folder."""
    who = ["-c", "user.name=Benchmark", "-c", "user.email=benchmark@example.com"]
    subprocess.run(["git", *who, *arguments], cwd=folder, stdout=subprocess.DEVNULL, check=True)


def committed(folder: Path, version: str = "") -> None:
    """Commit everything in a folder; tag it with the version, if there is one."""
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message=Start")
    if version:
        git(folder, "tag", version)


def templates(scratch: Path) -> tuple[Path, Path]:
    """Make the repositories of both templates, each with the version 1.0.0; return their folders."""
    ours, plain = scratch / "ours", scratch / "plain"
    ours.mkdir()
    for name in ("copier.yml", "questions", "template"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, ours / name)
    committed(ours, "v1.0.0")
    copier("copy", "--quiet", "--defaults", *ANSWERS, ours, plain / "template", folder=scratch)
    (plain / "template/.copier-answers.yml").unlink()
    (plain / "copier.yml").write_text("_subdirectory: template\n_templates_suffix: .jinja\n")
    committed(plain, "v1.0.0")
    return ours, plain


def measured(scratch: Path, runs: int = RUNS) -> dict[str, list[tuple[float, float]]]:
    """Return for each command the seconds of processor time and of time that each run took."""
    ours, plain = templates(scratch)
    project = scratch / "project"
    copier("copy", "--quiet", "--defaults", *ANSWERS, ours, project, folder=scratch)
    committed(project)
    (ours / "README.md").write_text("Nothing of a project.\n")
    committed(ours, "v1.0.1")
    seen: dict[str, list[tuple[float, float]]] = {"copy": [], "plain": [], "update": []}
    # Everything that a round runs ran above, so the caches are warm.
    for number in range(runs):
        fresh, empty = scratch / f"fresh{number}", scratch / f"plain{number}"
        took = {
            "copy": copier("copy", "--quiet", "--defaults", *ANSWERS, ours, fresh, folder=scratch),
            "plain": copier("copy", "--quiet", "--defaults", plain, empty, folder=scratch),
            "update": copier("update", "--quiet", "--defaults", folder=project),
        }
        git(project, "checkout", "--quiet", "--", ".")
        for command, values in took.items():
            seen[command].append(values)
        shutil.rmtree(fresh)
        shutil.rmtree(empty)
    return seen


def report(seen: dict[str, list[tuple[float, float]]]) -> str:
    """Return a table with a row for each command, and a line with the ratios."""
    used = {command: statistics.median(used for used, _ in values) for command, values in seen.items()}
    rows = [
        [command, page.spread([used for used, _ in values], 2), page.spread([took for _, took in values], 2)]
        for command, values in seen.items()
    ]
    ratios = f"copy / plain = {used['copy'] / used['plain']:.2f}, update / copy = {used['update'] / used['copy']:.2f}"
    return page.table(["command", "s of processor", "s"], rows) + f"\n{ratios}\n"


def main() -> None:
    """Measure, print, and write the page."""
    with tempfile.TemporaryDirectory(prefix="copier-django-benchmark-") as scratch:
        figures = report(measured(Path(scratch)))
    sys.stdout.write(figures)
    page.write("copying", figures)


if __name__ == "__main__":
    main()

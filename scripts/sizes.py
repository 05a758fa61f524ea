"""Count a project's files and lines by folder, and the share of conditions in the template."""

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import copier

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/sizes.md"
# The projects to count, by their names on the page.
PROJECTS: dict[str, dict[str, object]] = {
    "Docker, otherwise defaults": {"platform": "docker"},
    "Docker, SQLite, no CI": {"platform": "docker", "database": "sqlite", "ci": "none"},
    "Docker, everything": {"platform": "docker", "tasks": "celery", "extras": ["sentry", "s3", "ai", "tailwind"]},
    "Heroku, otherwise defaults": {"platform": "heroku"},
    "PythonAnywhere, otherwise defaults": {"platform": "pythonanywhere"},
    "gunicorn, otherwise defaults": {"platform": "gunicorn"},
}
FOLDERS = ("apps", "config", "tests", "operations", "smoke", "deploy", "docs", "templates", "static")
# A Jinja statement. HTML files are not counted: they are never rendered by Jinja, and `{%` in them is Django's.
CONDITION = re.compile(r"{%")


def lines(path: Path) -> list[str]:
    """Return the lines of a text file."""
    return path.read_text(encoding="utf-8").splitlines()


def files(folder: Path) -> list[Path]:
    """Return all files below a folder, except Python's compiled ones."""
    return sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)


def listed(*names: str) -> list[str]:
    """Return this repository's files below these names, both committed and new ones that git does not ignore."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *names]
    found = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
    return [name for name in found.split("\0") if name and (ROOT / name).exists()]


def conditions() -> tuple[int, int]:
    """Return how many of the template's lines have a Jinja statement, and the number of all lines."""
    found = total = 0
    for name in listed("template"):
        text = lines(ROOT / name)
        total += len(text)
        if name.endswith(".jinja"):
            found += sum(bool(CONDITION.search(line)) for line in text)
    return found, total


def size(paths: Iterable[Path]) -> tuple[int, int]:
    """Return the number of files, and the number of their lines."""
    counted = [len(lines(path)) for path in paths]
    return len(counted), sum(counted)


def table(project: Path) -> dict[str, tuple[int, int]]:
    """Return the number of files and lines of each of a project's folders, of its root, and of the whole project."""
    by_folder = {folder: size(files(project / folder)) for folder in FOLDERS if (project / folder).is_dir()}
    every = files(project)
    named = [path for path in every if path.relative_to(project).parts[0] in FOLDERS]
    return {**by_folder, "the rest": size(set(every) - set(named)), "all": size(every)}


def page(projects: dict[str, dict[str, tuple[int, int]]], share: tuple[int, int]) -> str:
    """Return the page's Markdown with these figures."""
    rows = [*FOLDERS, "the rest", "all"]
    head = [
        "# Sizes",
        "",
        "What a project has, as `files / lines`, and what the template is made of. `make sizes` writes this page.",
        "",
        f"| | {' | '.join(projects)} |",
        f"| --- |{' ---: |' * len(projects)}",
    ]
    body = [
        f"| {f'`{row}/`' if row in FOLDERS else row} | "
        + " | ".join("{} / {:,}".format(*sizes[row]) if row in sizes else "" for sizes in projects.values())
        + " |"
        for row in rows
    ]
    found, total = share
    questions = len(lines(ROOT / "copier.yml"))
    foot = [
        "",
        f"The template has {total:,} lines. {found} of them ({found / total:.1%}) hold a Jinja statement, such as a condition. "
        f"`copier.yml` has {questions} lines.",
    ]
    return "\n".join([*head, *body, *foot]) + "\n"


def main() -> None:
    """Render the projects, count, and write the page."""
    sizes = {}
    with tempfile.TemporaryDirectory() as folder:
        template = Path(folder, "template")
        for name in listed("copier.yml", "questions", "template"):
            (template / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, template / name)
        for number, (name, answers) in enumerate(PROJECTS.items()):
            project = Path(folder, str(number))
            data = {"project_name": "Todo List", **answers}
            copier.run_copy(str(template), project, data=data, defaults=True, quiet=True)
            sizes[name] = table(project)
    PAGE.write_text(page(sizes, conditions()), encoding="utf-8")
    sys.stdout.write(PAGE.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()

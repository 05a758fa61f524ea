"""Render, update and switch projects of any release with plain Copier, as their owners do."""

import os
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import copier
import yaml

from tests.support.environments import clean_environment, run, uv
from tests.support.releases import AGAIN, tag
from tests.support.rendered import files
from tests.support.rendering import ANSWERS
from tests.support.repositories import commit

ANSWERS_FILE = ".copier-answers.yml"


def render_release(released: Path, destination: Path, release: str = AGAIN, **answers: Any) -> Path:
    """Render a release of the template, with defaults for unanswered questions; return the project."""
    data = {**ANSWERS, **answers}
    copier.run_copy(str(released), destination, data=data, defaults=True, quiet=True, vcs_ref=tag(release))
    return destination


def tracked(project: Path) -> Path:
    """Make a project a git repository with everything committed; return the project."""
    run(["git", "init", "--quiet", "--initial-branch=main"], project)
    commit(project, "Start")
    return project


def update(project: Path, release: str = AGAIN, **answers: Any) -> None:
    """Update a project to a release, with changed answers if there are any, and without `--trust`."""
    copier.run_update(
        project, data=answers, defaults=True, overwrite=True, quiet=True, unsafe=False, vcs_ref=tag(release)
    )


def status(project: Path) -> list[str]:
    """Return the changes since the last commit as git lists them, one line for each file."""
    return run(["git", "status", "--porcelain", "--untracked-files=all"], project).splitlines()


def unsettled(project: Path) -> list[str]:
    """Return the files with conflict markers."""
    rejected = [str(path.relative_to(project)) for path in project.rglob("*.rej")]
    return run(["git", "diff", "--name-only", "--diff-filter=U"], project).splitlines() + rejected


def differences(project: Path, other: Path) -> list[str]:
    """Return the files whose content or permissions differ between two projects."""
    mine, others = dict(tree(project)), dict(tree(other))
    return sorted(name for name in mine.keys() | others.keys() if mine.get(name) != others.get(name))


def tree(project: Path) -> Iterator[tuple[str, tuple[int, bytes]]]:
    """Return all files of a project with their permissions and content."""
    for path in files(project):
        name = path.relative_to(project)
        if name.parts[0] != ".git":
            yield str(name), (path.stat().st_mode & 0o111, path.read_bytes())


def answers_of(project: Path) -> dict[str, Any]:
    """Return the content of the answers file."""
    answers: dict[str, Any] = yaml.safe_load((project / ANSWERS_FILE).read_text())
    return answers


# The template's URL, as the documentation gives it.
ADDRESS = "https://github.com/copier-django/copier-django.git"


def owners_machine(repository: Path, folder: Path) -> dict[str, str]:
    """Return the environment variables of a machine where the template's URL leads to `repository`.

    uv and uvx are on its path. uvx installs the Copier version that these tests use, from uv's usual package index.

    Args:
        repository: a clone of the template.
        folder: an empty folder for the machine's own files.
    """
    (folder / "gitconfig").write_text(f'[url "{repository}"]\n\tinsteadOf = {ADDRESS}\n')
    (folder / "constraints.txt").write_text(f"copier=={version('copier')}\n")
    clean = clean_environment(
        GIT_CONFIG_GLOBAL=str(folder / "gitconfig"),
        UV_CONSTRAINT=str(folder / "constraints.txt"),
    )
    return {**clean, "PATH": f"{Path(uv()).parent}{os.pathsep}{clean['PATH']}"}

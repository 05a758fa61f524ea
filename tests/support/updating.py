"""Projects of any release, updated and switched on plain Copier, as their owners do it."""

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
    """Render a release of the template, with defaults for what is not answered; gives the project."""
    data = {**ANSWERS, **answers}
    copier.run_copy(str(released), destination, data=data, defaults=True, quiet=True, vcs_ref=tag(release))
    return destination


def tracked(project: Path) -> Path:
    """Make a project a git repository in which all is committed; gives the project."""
    run(["git", "init", "--quiet", "--initial-branch=main"], project)
    commit(project, "Start")
    return project


def update(project: Path, release: str = AGAIN, **answers: Any) -> None:
    """Update a project to a release, with other answers where some are given, and without trust."""
    copier.run_update(
        project, data=answers, defaults=True, overwrite=True, quiet=True, unsafe=False, vcs_ref=tag(release)
    )


def status(project: Path) -> list[str]:
    """What git sees of changes since the last commit, a line a file."""
    return run(["git", "status", "--porcelain", "--untracked-files=all"], project).splitlines()


def unsettled(project: Path) -> list[str]:
    """The files in which a conflict is left."""
    rejected = [str(path.relative_to(project)) for path in project.rglob("*.rej")]
    return run(["git", "diff", "--name-only", "--diff-filter=U"], project).splitlines() + rejected


def differences(project: Path, other: Path) -> list[str]:
    """The files that two projects do not have alike, their rights and what they hold."""
    mine, others = dict(tree(project)), dict(tree(other))
    return sorted(name for name in mine.keys() | others.keys() if mine.get(name) != others.get(name))


def tree(project: Path) -> Iterator[tuple[str, tuple[int, bytes]]]:
    """Every file that is the project's, with its rights and what it holds."""
    for path in files(project):
        name = path.relative_to(project)
        if name.parts[0] != ".git":
            yield str(name), (path.stat().st_mode & 0o111, path.read_bytes())


def answers_of(project: Path) -> dict[str, Any]:
    """What the answers file says."""
    answers: dict[str, Any] = yaml.safe_load((project / ANSWERS_FILE).read_text())
    return answers


# Where the documentation says that the template is.
ADDRESS = "https://github.com/copier-django/copier-django.git"


def owners_machine(repository: Path, folder: Path) -> dict[str, str]:
    """The environment of a machine on which the template's address leads to `repository`.

    uv and uvx are on its path, and uvx brings the Copier that these tests run with, from wherever uv gets packages.

    Args:
        repository: a clone of the template.
        folder: an empty folder for what the machine keeps.
    """
    (folder / "gitconfig").write_text(f'[url "{repository}"]\n\tinsteadOf = {ADDRESS}\n')
    (folder / "constraints.txt").write_text(f"copier=={version('copier')}\n")
    clean = clean_environment(
        GIT_CONFIG_GLOBAL=str(folder / "gitconfig"),
        UV_CONSTRAINT=str(folder / "constraints.txt"),
    )
    return {**clean, "PATH": f"{Path(uv()).parent}{os.pathsep}{clean['PATH']}"}

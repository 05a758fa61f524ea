"""Projects of any release, updated and switched on plain Copier, as their owners do it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import copier
import yaml

from tests.support.environments import run
from tests.support.releases import AGAIN, tag
from tests.support.rendered import files
from tests.support.rendering import ANSWERS
from tests.support.repositories import commit

ANSWERS_FILE = ".copier-answers.yml"


def render_release(released: Path, destination: Path, version: str = AGAIN, **answers: Any) -> Path:
    """Render a release of the template, with defaults for what is not answered; gives the project."""
    data = {**ANSWERS, **answers}
    copier.run_copy(str(released), destination, data=data, defaults=True, quiet=True, vcs_ref=tag(version))
    return destination


def tracked(project: Path) -> Path:
    """Make a project a git repository in which all is committed; gives the project."""
    run(["git", "init", "--quiet", "--initial-branch=main"], project)
    commit(project, "Start")
    return project


def update(project: Path, version: str = AGAIN, **answers: Any) -> None:
    """Update a project to a release, with other answers where some are given, and without trust."""
    copier.run_update(
        project, data=answers, defaults=True, overwrite=True, quiet=True, unsafe=False, vcs_ref=tag(version)
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

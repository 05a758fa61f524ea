"""A rendered project as a git repository, as its user has it."""

from pathlib import Path

from tests.support.environments import run, uv


def repository(project: Path) -> Path:
    """Make a project a repository with its first commit, `uv.lock` in it; gives the project."""
    run([uv(), "lock", "--quiet"], project)
    run(["git", "init", "--quiet", "--initial-branch=main"], project)
    commit(project, "Start")
    return project


def commit(project: Path, message: str) -> None:
    """Commit all that has changed in a project."""
    run(["git", "add", "--all"], project)
    run(["git", "commit", "--quiet", f"--message={message}"], project)

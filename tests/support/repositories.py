"""Make a git repository of a rendered project, as its owner has it."""

from pathlib import Path

from tests.support.environments import run, uv


def repository(project: Path) -> Path:
    """Make a project a repository with a first commit that includes `uv.lock`; return the project."""
    run([uv(), "lock", "--quiet"], project)
    run(["git", "init", "--quiet", "--initial-branch=main"], project)
    commit(project, "Start")
    return project


def commit(project: Path, message: str) -> None:
    """Commit all changes in a project."""
    run(["git", "add", "--all"], project)
    run(["git", "commit", "--quiet", f"--message={message}"], project)

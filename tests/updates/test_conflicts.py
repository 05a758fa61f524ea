"""A conflict that an update leaves is reported: to the owner, by the project's lint, and by its CI."""

import shutil
from collections.abc import Callable
from pathlib import Path

import copier
import pytest

from tests.support.environments import Environments, run
from tests.support.faults import text
from tests.support.releases import FOLLOWING, release
from tests.support.repositories import commit, repository
from tests.support.updating import render_release, status, tracked, unsettled, update
from tests.support.workflows import Runner, github_workflow, gitlab_job

# Files that both change: ones that another lint rule reads too, and ones that none reads.
BOTH_CHANGE = [
    ("templates/404.html", "There is no page at this address."),
    ("config/settings/base.py", 'LANGUAGE_CODE = "en-us"'),
    ("pyproject.toml", 'requires-python = ">=3.13"'),
    ("README.md", "## Stay current"),
    (".github/workflows/ci.yml", "name: CI"),
]


def released_with(following: Path, name: str, old: str) -> None:
    """Release the template with a changed line."""
    template = following / "template"
    (path,) = [*template.glob(f"{name}*"), *template.glob(f"{{{{*}}}}/{name}*")]
    text(path.name, old.replace("3.13", "{{ python_version }}"), "theirs")(path.parent)
    release(following, FOLLOWING)


@pytest.fixture
def conflicting(following: Path, tmp_path: Path) -> Callable[..., Path]:
    """A project with a conflict after an update; `conflicting(name, old)` names the file and the line."""

    def updated(name: str, old: str, ci: str = "github", start: Callable[[Path], Path] = tracked) -> Path:
        project = start(render_release(following, tmp_path / "project", ci=ci))
        text(name, old, "ours")(project)
        commit(project, "Ours")
        released_with(following, name, old)
        update(project, FOLLOWING)
        return project

    return updated


@pytest.mark.parametrize(("name", "old"), BOTH_CHANGE, ids=[name for name, _ in BOTH_CHANGE])
def test_lint_names_a_conflict(conflicting: Callable[..., Path], name: str, old: str) -> None:
    project = conflicting(name, old)
    assert unsettled(project) == [name]
    assert f"UU {name}" in status(project)
    with pytest.raises(AssertionError, match=rf"make lint exited 2:\n{name}:\d+:<<<<<<< before updating\n"):
        run(["make", "lint"], project)
    # If it is committed by mistake, the next run of lint reports it.
    commit(project, "Update")
    with pytest.raises(AssertionError, match="Resolve the conflicts in these lines"):
        run(["make", "conflicts"], project)


def test_lint_names_what_an_update_rejected(following: Path, tmp_path: Path) -> None:
    project = tracked(render_release(following, tmp_path / "project"))
    text("README.md", "## Stay current", "ours")(project)
    commit(project, "Ours")
    released_with(following, "README.md", "## Stay current")
    copier.run_update(project, defaults=True, overwrite=True, quiet=True, conflict="rej")
    with pytest.raises(AssertionError, match=r"make lint exited 2:\nREADME.md.rej\n"):
        run(["make", "lint"], project)
    (project / "README.md.rej").unlink()
    run(["make", "conflicts"], project)


@pytest.mark.parametrize("ci", ["github", "gitlab"])
def test_ci_fails_on_a_conflict(conflicting: Callable[..., Path], environments: Environments, ci: str) -> None:
    project = conflicting("README.md", "## Stay current", ci, repository)
    commit(project, "Update")
    runner = Runner(project, environments.at_work(project), {})
    if ci == "github":
        code, said = runner.github(github_workflow(project, "test.yml"), "test")
    else:
        code, said = runner.gitlab(gitlab_job(project, "test"), {})
    assert code != 0
    assert "README.md:" in said
    assert said.splitlines()[-2] == "Resolve the conflicts in these lines: README.md, Stay current."


def test_without_git_nothing_passes_for_settled(fresh: Callable[..., Path], tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for program in ("make", "sh"):
        (tools / program).symlink_to(shutil.which(program) or program)
    with pytest.raises(AssertionError, match="git: not found"):
        run(["make", "conflicts"], fresh(), env={"PATH": str(tools)})


def test_a_project_that_is_no_repository_is_looked_through_too(fresh: Callable[..., Path]) -> None:
    project = fresh()
    run(["make", "conflicts"], project)
    (project / "notes.md").write_text("<<<<<<< before updating\n")
    # Conflicts in files that git ignores are not reported.
    (project / ".venv").mkdir()
    (project / ".venv/notes.md").write_text("<<<<<<< before updating\n")
    with pytest.raises(AssertionError, match=r"make conflicts exited 2:\nnotes.md:1:<<<<<<< before updating\nResolve"):
        run(["make", "conflicts"], project)

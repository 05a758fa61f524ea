"""An update from any release to the newest loses nothing, changes nothing needlessly and needs no `--trust`."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.edits import LOCK, OF_THE_PROJECT, OF_THE_SHELL, edit
from tests.support.environments import run
from tests.support.releases import AGAIN, NEXT, RELEASES, tag
from tests.support.rendering import Answers, combination_id, pairwise_combinations, question_choices
from tests.support.repositories import commit
from tests.support.updating import ANSWERS_FILE, differences, render_release, status, tracked, unsettled, update

Fresh = Callable[..., Path]


@pytest.mark.parametrize("answers", pairwise_combinations(), ids=combination_id)
def test_an_update_without_news_changes_the_version_and_nothing_else(
    released: Path, tmp_path: Path, answers: Answers
) -> None:
    project = tracked(render_release(released, tmp_path / "project", NEXT, **answers))
    update(project)
    assert status(project) == [f" M {ANSWERS_FILE}"]
    changed = run(["git", "diff", "--unified=0"], project).splitlines()[-2:]
    assert changed == [f"-_commit: {tag(NEXT)}", f"+_commit: {tag(AGAIN)}"]


# Pages that updates never change.
THE_OWNERS = ("templates/base.html", "templates/pages/home.html")
# Each release on each platform, and with answers other than the defaults.
UPDATES: list[tuple[str, Answers]] = [
    *((version, {"platform": platform}) for version in RELEASES for platform in question_choices("platform")),
    ("0.1.0", {"platform": "gunicorn", "database": "sqlite", "python_version": "3.12"}),
    ("0.2.0", {"platform": "heroku", "ci": "gitlab"}),
    ("0.3.0", {"platform": "docker", "database": "sqlite", "ci": "none"}),
    ("0.4.0", {"platform": "pythonanywhere", "database": "sqlite", "ci": "gitlab", "python_version": "3.12"}),
    ("0.5.0", {"platform": "docker", "tasks": "celery", "extras": ["ai", "s3", "sentry"]}),
    ("0.5.0", {"platform": "gunicorn", "database": "sqlite", "tasks": "database", "ci": "gitlab"}),
    ("0.6.0", {"platform": "heroku", "tasks": "celery", "extras": ["s3"]}),
]


@pytest.mark.parametrize(
    ("version", "answers"), UPDATES, ids=lambda each: each if isinstance(each, str) else combination_id(each)
)
def test_an_update_brings_what_is_new_and_keeps_what_was_edited(
    released: Path, fresh: Fresh, tmp_path: Path, version: str, answers: Answers
) -> None:
    edits = (*OF_THE_PROJECT, OF_THE_SHELL[answers["platform"]], LOCK)
    project = tracked(render_release(released, tmp_path / "project", version, **answers))
    edit(project, *edits)
    commit(project, "Ours")
    pages = {name: (project / name).read_text() for name in THE_OWNERS}
    update(project)
    assert not unsettled(project)
    assert {name: (project / name).read_text() for name in THE_OWNERS} == pages
    assert set(differences(project, edit(fresh(**answers), *edits))) <= set(THE_OWNERS)


def test_a_projects_python_is_raised_by_an_update(released: Path, fresh: Fresh, tmp_path: Path) -> None:
    """Its owner runs `copier update --vcs-ref=:current: --data python_version=3.14`, and then `uv lock`."""
    project = tracked(render_release(released, tmp_path / "project", AGAIN, python_version="3.12"))
    edit(project, *OF_THE_PROJECT)
    commit(project, "Ours")
    update(project, python_version="3.14")
    assert not unsettled(project)
    assert (project / ".python-version").read_text() == "3.14\n"
    assert differences(project, edit(fresh(platform="docker", python_version="3.14"), *OF_THE_PROJECT)) == []


def test_an_update_on_windows_changes_the_files_that_it_changes_elsewhere(released: Path, tmp_path: Path) -> None:
    project = tracked(render_release(released, tmp_path / "project", "0.6.0"))
    on_windows = tmp_path / "on windows"
    # Git for Windows's default. 0.6.0 had no .gitattributes to override it.
    run(["git", "clone", "--quiet", "--config=core.autocrlf=true", str(project), str(on_windows)], tmp_path)
    assert b"\r\n" in (on_windows / "manage.py").read_bytes()
    for each in (project, on_windows):
        update(each)
        assert not unsettled(each)
        run(["git", "add", "--all"], each)
    assert status(on_windows) == status(project)
    assert [line for line in status(project) if line.endswith(" .gitattributes")] == ["A  .gitattributes"]


def test_pages_that_were_deleted_come_back_as_the_template_has_them(
    released: Path, fresh: Fresh, tmp_path: Path
) -> None:
    project = tracked(render_release(released, tmp_path / "project", "0.6.0", platform="docker"))
    run(["git", "rm", "--quiet", *THE_OWNERS], project)
    commit(project, "Take the new pages")
    update(project)
    assert not unsettled(project)
    assert not differences(project, fresh(platform="docker"))

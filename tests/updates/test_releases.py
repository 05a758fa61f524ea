"""Releases are known, and none removes what projects of an earlier one rely on."""

import re
import tomllib
from pathlib import Path

import copier
import pytest
from copier.errors import UnsafeTemplateError

from tests.support.environments import run
from tests.support.releases import (
    AGAIN,
    BEFORE_THE_HOUSE,
    FOLLOWING,
    GONE,
    NEXT,
    RELEASES,
    MissingReleaseError,
    promises,
    release,
    repository_of_releases,
    reserved_slugs,
    tag,
)
from tests.support.rendering import ROOT
from tests.support.repositories import commit
from tests.support.updating import answers_of, render_release, status, tracked, unsettled, update


def unknown_releases(changelog: str, tags: dict[str, str], head: str) -> list[str]:
    """Return the changelog's versions that the table of releases lacks or has with another commit.

    A release cannot contain its own commit, so the newest one is added to the table in the next commit.

    Args:
        changelog: the changelog's text.
        tags: the commit of each tagged version.
        head: the current commit.
    """
    sections = re.findall(r"^## ([0-9.]+) - \d{4}-\d{2}-\d{2}$", changelog, re.MULTILINE)
    missing = [version for version in sections if version not in RELEASES]
    if missing == sections[:1] and tags.get(missing[0], head) == head:
        missing = []
    gone = [version for version in RELEASES if version not in sections]
    return [
        *missing,
        *gone,
        *(version for version, commit in tags.items() if RELEASES.get(version, commit) != commit),
    ]


def test_every_release_has_its_section_in_the_changelog_and_its_commit_in_the_table() -> None:
    shown = run(
        ["git", "for-each-ref", "--format=%(refname:strip=2) %(objectname) %(*objectname)", "refs/tags/v*"], ROOT
    )
    tags = {name.removeprefix("v"): commits[-1] for name, *commits in map(str.split, shown.splitlines())}
    head = run(["git", "rev-parse", "HEAD"], ROOT).strip()
    changelog = (ROOT / "CHANGELOG.md").read_text()
    assert unknown_releases(changelog, tags, head) == []

    newest = f"## 9.0.0 - 2030-01-01\n\n{changelog}"
    known = next(iter(RELEASES))
    assert unknown_releases(newest, {"9.0.0": head}, head) == []
    assert unknown_releases(newest, {"9.0.0": head}, "the commit after it") == ["9.0.0"]
    assert unknown_releases(f"## 9.1.0 - 2030-01-02\n\n{newest}", {}, head) == ["9.1.0", "9.0.0"]
    assert unknown_releases(changelog, {known: head}, head) == [known]
    assert unknown_releases(changelog.replace(f"## {known} -", "##"), {}, head) == [known]


def test_the_version_is_that_of_the_newest_section() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    sections = re.findall(r"^## ([0-9.]+) - ", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert version == sections[0]


def test_a_shallow_clone_is_refused_in_a_line(tmp_path: Path) -> None:
    shallow = tmp_path / "shallow"
    run(["git", "clone", "--quiet", "--depth=1", f"file://{ROOT}", str(shallow)], tmp_path)
    with pytest.raises(MissingReleaseError, match=r"^.* lacks .* 0\.1\.0\. .*: git fetch --unshallow$"):
        repository_of_releases(tmp_path / "released", shallow)


@pytest.mark.parametrize("version", RELEASES)
def test_no_question_answer_or_file_of_a_release_has_vanished(released: Path, version: str) -> None:
    """Copier silently drops an answer that is no longer a choice, and edits in a file that no longer exists."""
    assert promises(released, version) - promises(released, NEXT) == {
        name for name in GONE if name in promises(released, version)
    }


def test_what_was_taken_away_is_a_documented_decision() -> None:
    decisions = (ROOT / "docs/decisions.md").read_text()
    for name, decision in GONE.items():
        assert f"**{decision}" in decisions, f"docs/decisions.md does not say why {name} is gone"


def test_the_changelog_says_what_to_do_about_the_files_that_moved() -> None:
    """Copier silently deletes them, with their owner's changes."""
    changelog = (ROOT / "CHANGELOG.md").read_text()
    to_do = (
        changelog[: changelog.index("## 0.5.0 - ")]
        .partition("To do before the update")[2]
        .partition("What else changed")[0]
    )
    for folder in BEFORE_THE_HOUSE:
        assert f"`{'/'.join(folder.split('/')[:2])}/" in to_do


def test_what_vanishes_is_found(following: Path) -> None:
    questions = (following / "copier.yml").read_text()
    questions = questions.replace("value: gitlab\n", "value: gitlab-ci\n").replace("\ndomain:\n", "\nhost:\n")
    (following / "copier.yml").write_text(questions.replace('    "3.12":\n      value: "3.12"\n', ""))
    run(["git", "mv", "template/Procfile.dev.jinja", "template/Procfile.development"], following)
    # A file that becomes a Jinja template is still the same file.
    run(["git", "mv", "template/manage.py", "template/manage.py.jinja"], following)
    release(following, FOLLOWING)
    assert promises(following, NEXT) - promises(following, FOLLOWING) == {
        "the question domain",
        "the answer ci=gitlab",
        "the answer python_version=3.12",
        "the file Procfile.dev",
    }


@pytest.mark.parametrize("slug", ["user", "services"])
def test_a_project_whose_slug_is_reserved_by_now_keeps_it(released: Path, tmp_path: Path, slug: str) -> None:
    """Its units, folders and database have this name: an update that renamed it would lose them."""
    version = "0.6.0"
    assert slug in reserved_slugs(released, NEXT) - reserved_slugs(released, version)
    project = tracked(render_release(released, tmp_path / "project", version, platform="gunicorn", project_slug=slug))
    update(project)
    assert not unsettled(project)
    assert answers_of(project)["project_slug"] == slug
    commit(project, "Update")
    update(project, AGAIN, ci="none")
    assert answers_of(project)["project_slug"] == slug
    commit(project, "Update again")
    # Its owner can change the slug, and no new project can choose it.
    update(project, AGAIN, project_slug=f"{slug}-site")
    assert answers_of(project)["project_slug"] == f"{slug}-site"
    with pytest.raises(ValueError, match="taken: use"):
        render_release(released, tmp_path / "new", NEXT, platform="gunicorn", project_slug=slug)


def test_the_platform_has_no_default_to_fall_back_to(released: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='Question "platform" is required'):
        copier.run_copy(str(released), tmp_path / "project", {"project_name": "Todo"}, defaults=True, quiet=True)


def test_a_migration_of_a_release_would_ask_for_trust(following: Path, tmp_path: Path) -> None:
    """Every project that a migration is for would need `--trust`, so the template has no migrations."""
    with (following / "copier.yml").open("a") as questions:
        questions.write(f'\n---\n_migrations:\n  - version: {FOLLOWING}\n    command: "true"\n')
    release(following, FOLLOWING)
    project = tracked(render_release(following, tmp_path / "project", AGAIN))
    with pytest.raises(UnsafeTemplateError, match="migrations"):
        update(project, FOLLOWING)
    assert status(project) == []


def test_no_release_has_what_asks_for_trust(released: Path) -> None:
    for version in (*RELEASES, NEXT):
        questions = run(
            ["git", "grep", "--no-line-number", "-h", "", tag(version), "--", "copier.yml", "questions"], released
        )
        assert not re.findall(
            "^(_tasks|_migrations|_jinja_extensions|_external_data|_secret_questions):", questions, re.M
        )

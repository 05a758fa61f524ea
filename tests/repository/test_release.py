"""`make release` makes a release, or lists all that prevents it; `make tags` makes the tags that a clone lacks."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from scripts.release_notes import section
from tests.support.environments import run
from tests.support.releases import RELEASES, tag

VERSION = "900.0.0"


@pytest.fixture
def repository(clone: Path) -> Path:
    """A clone with unreleased changes and without tags."""
    for name in run(["git", "tag"], clone).split():
        run(["git", "tag", "--delete", name], clone)
    run(["git", "checkout", "--quiet", "-B", "main"], clone)
    changelog = clone / "CHANGELOG.md"
    text = changelog.read_text().replace("## Unreleased\n", "")
    newest = text.index("\n## ")
    changelog.write_text(f"{text[:newest]}\n## Unreleased\n\n- Something is better.\n{text[newest:]}")
    run(["git", "add", "--all"], clone)
    run(["git", "commit", "--quiet", "--message=Ours"], clone)
    return clone


def release(repository: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the program of `make release` with the Python of these tests."""
    command = [sys.executable, "-m", "scripts.release", *arguments]
    # A PYTHONPATH of the tests would lead to this repository instead of the clone.
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(command, cwd=repository, env=env, capture_output=True, text=True, check=False)


def test_a_release_is_a_tagged_commit_with_its_section_and_its_place_in_the_table(repository: Path) -> None:
    done = release(repository, VERSION)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"git push origin main {tag(VERSION)}" in done.stdout
    log = run(["git", "log", "--format=%s", "-2"], repository).splitlines()
    assert log == [f"Try each update from {VERSION} too", f"Release {VERSION}"]
    tagged = run(["git", "rev-parse", f"{tag(VERSION)}^{{commit}}"], repository).strip()
    assert tagged == run(["git", "rev-parse", "HEAD~1"], repository).strip()
    assert f'"{VERSION}": "{tagged}",' in (repository / "tests/support/releases.py").read_text()
    assert run(["git", "status", "--porcelain"], repository) == ""
    released = run(["git", "show", f"{tag(VERSION)}:pyproject.toml"], repository)
    assert tomllib.loads(released)["project"]["version"] == VERSION
    assert "Something is better." in section(run(["git", "show", f"{tag(VERSION)}:CHANGELOG.md"], repository), VERSION)
    # The repository's own test on releases accepts it.
    names = ["test_every_release_has_its_section_in_the_changelog_and_its_commit_in_the_table", "test_the_version_is"]
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-n0",
        "tests/updates/test_releases.py",
        "-k",
        " or ".join(names),
    ]
    assert "2 passed" in run(command, repository)


def test_all_that_prevents_a_release_is_said_at_once_and_nothing_is_changed(repository: Path) -> None:
    changelog = repository / "CHANGELOG.md"
    changelog.write_text(changelog.read_text().replace("## Unreleased\n\n- Something is better.\n", "## Unreleased\n"))
    run(["git", "switch", "--quiet", "--create", "other"], repository)
    before = run(["git", "rev-parse", "HEAD"], repository), changelog.read_text()
    for version, why in (("7", '"7" is no version'), ("0.1.0", "0.1.0 does not follow"), ("", '"" is no version')):
        done = release(repository, version)
        assert done.returncode == 1
        first, *others = done.stderr.splitlines()
        assert first.startswith(why)
        begins = (
            'CHANGELOG.md has no text under "## Unreleased"',
            "There are changes which no commit",
            "This branch is not",
        )
        assert [line.startswith(begin) for line, begin in zip(others, begins, strict=True)] == [True] * 3
    assert before == (run(["git", "rev-parse", "HEAD"], repository), changelog.read_text())
    assert run(["git", "tag"], repository) == ""


def test_make_release_tries_the_updates_between_the_check_and_the_commits(repository: Path) -> None:
    planned = run(["make", "--dry-run", "release", f"VERSION={VERSION}", "UV=uv"], repository)
    steps = [" ".join(line.split()) for line in re.findall(r"scripts\.release.*|run_tests.*", planned)]
    assert steps == [
        f"scripts.release --check '{VERSION}'",
        "run_tests --level updates --all",
        f"scripts.release '{VERSION}'",
    ]


def test_missing_tags_are_made_and_those_that_are_there_stay(repository: Path) -> None:
    first, *rest = RELEASES
    run(["git", "tag", "--annotate", "--message=First", tag(first), RELEASES[first]], repository)
    done = release(repository, "--tags")
    assert (done.returncode, done.stdout.split(":")[0].split()) == (0, [tag(version) for version in rest])
    for version, commit in RELEASES.items():
        assert run(["git", "rev-parse", f"{tag(version)}^{{commit}}"], repository).strip() == commit
    assert release(repository, "--tags").stdout == "No tag is missing.\n"


def test_a_tag_of_another_commit_and_a_shallow_clone_are_refused(repository: Path, tmp_path: Path) -> None:
    newest = list(RELEASES)[-1]
    run(["git", "tag", tag(newest), "HEAD"], repository)
    done = release(repository, "--tags")
    assert done.returncode == 1
    assert f"{tag(newest)} is the tag of" in done.stderr
    shallow = tmp_path / "shallow"
    run(["git", "clone", "--quiet", "--no-tags", "--depth=1", f"file://{repository}", str(shallow)], tmp_path)
    done = release(shallow, "--tags")
    assert (done.returncode, done.stderr.splitlines()[-1]) == (
        1,
        f"This clone lacks release {next(iter(RELEASES))}. Run: git fetch --unshallow",
    )

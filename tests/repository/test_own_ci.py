"""This repository's CI is valid, safe, and runs the commands that people run; `make check` finds what a change broke."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from scripts.release_notes import section
from scripts.run_tests import LEVELS, chosen
from tests.support import actionlint
from tests.support.environments import clean_environment, run, uv
from tests.support.faults import Change, text
from tests.support.rendered import parse, run_tool
from tests.support.rendering import ROOT
from tests.support.workflows import github_workflow

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
MAKEFILE = (ROOT / "Makefile").read_text()


def test_workflows_follow_their_schema_and_are_safe() -> None:
    names = [str(path) for path in WORKFLOWS]
    run_tool("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *names, folder=ROOT)
    run_tool("check-jsonschema", "--builtin-schema", "vendor.dependabot", ".github/dependabot.yml", folder=ROOT)
    run_tool("zizmor", "--offline", "--quiet", "--min-severity=medium", ".github", folder=ROOT)
    assert actionlint.findings(WORKFLOWS) == []
    for path in WORKFLOWS:
        assert github_workflow(ROOT, path.name)["permissions"] == {"contents": "read"}


def test_a_development_container_has_this_repositorys_python_and_uv() -> None:
    container = parse(ROOT / ".devcontainer/devcontainer.json")
    assert container["image"].endswith(f"/python:{(ROOT / '.python-version').read_text().strip()}")
    command, target = container["postCreateCommand"].split()
    assert (command, target in re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE)) == ("make", True)


def test_they_run_what_people_run() -> None:
    """Each step runs a make target or a script, or installs what these need."""
    targets = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
    steps: list[dict[str, Any]] = [
        step
        for path in WORKFLOWS
        for job in github_workflow(ROOT, path.name)["jobs"].values()
        for step in job.get("steps", [])
    ]
    ran = [line for step in steps if "run" in step for line in step["run"].splitlines()]
    for line in ran:
        if found := re.match(r"make (?:--\S+ )*([a-z-]+)", line):
            assert found[1] in targets
        else:
            assert line.startswith(("scripts/install-machine", "apt-get ", "chown ", "gh release create "))
    assert {"make check", "make docs", "scripts/install-machine"} <= set(ran)
    assert (ROOT / ".ci/run").read_text().splitlines()[-2:] == ["scripts/install-machine", "make test"]


def test_the_levels_are_the_workflows_jobs_and_the_folders_of_tests() -> None:
    matrix = github_workflow(ROOT, "test.yml")["jobs"]["level"]["strategy"]["matrix"]["level"]
    assert set(matrix) == set(LEVELS)
    page = (ROOT / "CONTRIBUTING.md").read_text()
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == set(LEVELS)
    # There are no tests elsewhere.
    assert not [path for path in ROOT.glob("tests/**/test_*.py") if path.parent.parent != ROOT / "tests"]
    assert chosen("sites", changed=False) == ["tests/sites"]


def test_nothing_is_compiled_where_the_tools_are_installed() -> None:
    """A machine may have no compiler: each package has a wheel, or is pure Python."""
    packages = tomllib.loads((ROOT / "uv.lock").read_text())["package"]
    assert {package["name"] for package in packages if "sdist" in package and "wheels" not in package} <= {"docopt"}


def test_a_level_that_there_is_not_is_refused() -> None:
    with pytest.raises(AssertionError, match=r"invalid choice: 'nothing'.*rendering"):
        run(["make", "test", "LEVEL=nothing"], ROOT, env={**os.environ, "UV": uv()})


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A copy of this repository's working tree that the test may break."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
    copy = tmp_path / "repository"
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).exists():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, copy / name)
    run(["git", "init", "--quiet"], copy)
    return copy


def make(repository: Path, *words: str, **variables: str) -> str:
    """Run `make` in a copy, with these tests' packages and these variables."""
    variables |= {
        "UV": uv(),
        "UV_NO_SYNC": "1",
        "UV_PROJECT_ENVIRONMENT": sys.prefix,
        # Share the caches of earlier copies of the same files.
        "MYPY_CACHE_DIR": str(repository.parents[1] / "mypy"),
    }
    return run(["make", *words], repository, env=clean_environment(**variables))


def appended(name: str, lines: str) -> Change:
    """Append lines to a file."""
    return lambda copy: (copy / name).write_text((copy / name).read_text() + lines)


CAUGHT = {
    "lint": (appended("scripts/demo.py", "\nimport json\n"), "E402"),
    "format": (appended("scripts/demo.py", "\nx  =  1\n"), "would be reformatted"),
    "types": (appended("scripts/demo.py", '\nx: int = ""\n'), "Incompatible types in assignment"),
}
# Each fault affects another test or project, so that one run finds all of them.
CAUGHT_BY_TESTS = {
    "a blank line too many": (
        text("template/README.md.jinja", "## Work\n", "## Work{{ '\\n\\n' if platform == 'docker' else '' }}\n"),
        "README.md has a scar of blank lines",
    ),
    "Jinja that is left over": (
        text("template/README.md.jinja", "## Start\n", "## Start{{ ' {{' if platform == 'gunicorn' else '' }}\n"),
        "Jinja is left over in README.md",
    ),
    "style of a project": (appended("template/config/wsgi.py", "\nimport json\n"), "F401"),
    "a question": (
        text("copier.yml", "elif not project_slug | regex_search", "elif not 'x' | regex_search"),
        "FAILED tests/questions/test_questions.py",
    ),
}


@pytest.mark.parametrize("error", CAUGHT)
def test_make_check_catches(repository: Path, error: str) -> None:
    change, said = CAUGHT[error]
    change(repository)
    with pytest.raises(AssertionError, match=f"(?s)make check exited 2.*{re.escape(said)}"):
        make(repository, "check", PYTEST_ADDOPTS="--exitfirst")


def test_make_check_catches_what_tests_see(repository: Path) -> None:
    for change, _ in CAUGHT_BY_TESTS.values():
        change(repository)
    with pytest.raises(AssertionError, match="make check exited 2") as failure:
        make(repository, "check")
    for error, (_, said) in CAUGHT_BY_TESTS.items():
        assert said in str(failure.value), error


def test_a_release_has_its_section_of_the_changelog() -> None:
    version = parse(ROOT / "pyproject.toml")["project"]["version"]
    notes = section((ROOT / "CHANGELOG.md").read_text(), version)
    assert notes
    assert not re.search("^## ", notes, re.MULTILINE)


@pytest.mark.parametrize(
    "changelog",
    ["# Changelog\n", "## 1.0.0 - 2026-11-21\n\n", "## 1.0.0 - soon\n\n- A\n", "## 11.0.0 - 2026-11-21\n\n- A\n"],
)
def test_a_release_without_its_section_is_refused(changelog: str) -> None:
    with pytest.raises(LookupError, match="no section"):
        section(changelog, "1.0.0")


def test_a_section_ends_where_the_next_begins() -> None:
    changelog = "# C\n\n## 1.1.0 - 2026-12-01\n\n- B\n\n### By hand\n\n- C\n\n## 1.0.0 - 2026-11-21\n\n- A\n"
    assert section(changelog, "1.1.0") == "- B\n\n### By hand\n\n- C"
    assert section(changelog, "1.0.0") == "- A"

"""CI passes on a fresh project, and each of its steps catches the error that it is for."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.databases import PostgreSQL
from tests.support.environments import Environments, run, uv
from tests.support.faults import Change, route, settings, text
from tests.support.rendered import parse
from tests.support.rendering import render
from tests.support.repositories import repository
from tests.support.smoke import CHECKS
from tests.support.workflows import Runner, github_workflow, gitlab_job


class Pipeline:
    """The test job of a project's CI, with this machine's database instead of the CI service."""

    def __init__(self, project: Path, environments: Environments, database: PostgreSQL) -> None:
        self.project = repository(project)
        # Stop after the first failing test.
        self.runner = Runner(project, {**environments.at_work(project), "PYTEST_ADDOPTS": "--exitfirst"}, {})
        self.database = database
        self.on_gitlab = (project / ".gitlab-ci.yml").exists()

    def run(self, command: str = "") -> tuple[int, str]:
        """Run all steps in order, or only the one with a command; return the exit code and the output."""
        if self.on_gitlab:
            job = gitlab_job(self.project, "test")
            job["script"] = [line for line in job["script"] if line.startswith(command)]
            assert job["script"], f"no line runs {command}"
            # Use this machine's cache of packages.
            cache = subprocess.run([uv(), "cache", "dir"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
            return self.runner.gitlab(job, {"TEST_DATABASE_URL": self.database.url, "UV_CACHE_DIR": cache})
        workflow = github_workflow(self.project, "test.yml")
        job = workflow["jobs"]["test"]
        job["env"]["TEST_DATABASE_URL"] = self.database.url
        job["steps"] = [step for step in job["steps"] if "run" not in step or step["run"].startswith(command)]
        assert any("run" in step for step in job["steps"]), f"no step runs {command}"
        return self.runner.github(workflow, "test")


@pytest.fixture(scope="module", params=["github", "gitlab"])
def fresh(
    request: pytest.FixtureRequest,
    template: Path,
    tmp_path_factory: pytest.TempPathFactory,
    environments: Environments,
    database: PostgreSQL,
) -> Pipeline:
    """A fresh project's pipeline on each CI."""
    project = tmp_path_factory.mktemp(request.param) / "project"
    return Pipeline(render(template, project, platform="heroku", ci=request.param), environments, database)


@pytest.fixture
def pipeline(fresh: Pipeline) -> Iterator[Pipeline]:
    """The same pipeline; the project's files are restored after the test."""
    yield fresh
    run(["git", "reset", "--quiet", "--hard"], fresh.project)
    run(["git", "clean", "--quiet", "--force", "-d"], fresh.project)


def test_a_fresh_project_passes(pipeline: Pipeline) -> None:
    # Both have the same commands: tests/rendering/test_ci.py. GitLab reads the coverage from the output of one of them.
    code, said = pipeline.run("make test" if pipeline.on_gitlab else "")
    assert code == 0, said
    assert re.search(r"^TOTAL .*%$", said, re.MULTILINE)
    if pipeline.on_gitlab:
        coverage = parse(pipeline.project / ".gitlab-ci.yml")["test"]["coverage"].strip("/")
        assert re.search(coverage, said, re.MULTILINE)
    else:
        assert f"{len(CHECKS)} passed" in said


def added(name: str, lines: str) -> Change:
    """Append lines to a file, or create it."""

    def change(project: Path) -> None:
        with (project / name).open("a") as file:
            file.write(lines)

    return change


ADDS_A_COLUMN = """from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0001_initial")]
    operations = [migrations.AddField("user", "nickname", models.CharField(max_length=50, default=""))]
"""
NICKNAME = text(
    "apps/accounts/models.py",
    "    USERNAME_FIELD",
    "    nickname = models.CharField(max_length=50, default='')\n    USERNAME_FIELD",
)
ERRORS: dict[str, tuple[str, list[Change], str]] = {
    "lock": (
        "uv sync",
        [text("pyproject.toml", '"dj-database-url>=', '"idna>=3",\n    "dj-database-url>=')],
        "needs to be updated",
    ),
    "lint": ("make style", [added("config/urls.py", "\nimport os\n")], "F401"),
    "format": ("make style", [added("config/urls.py", "\nx  =  1\n")], "1 file would be reformatted"),
    "page": ("make style", [added("templates/base.html", "<p>\n")], "templates/base.html"),
    "types": ("make types", [added("config/urls.py", '\nx: int = ""\n')], "Incompatible types in assignment"),
    "migration that is missing": ("make migrations", [NICKNAME], "+ Add field nickname to user"),
    "migration that breaks": (
        "make migrations",
        [NICKNAME, added("apps/accounts/migrations/0002_nickname.py", ADDS_A_COLUMN)],
        "apps/accounts/migrations/0002_nickname.py: During a deploy the previous release still serves",
    ),
    "settings": ("make check", [settings("SESSION_COOKIE_HTTPONLY = False")], "security.W0"),
    "tests": ("make test", [added("tests/test_0.py", "def test_it() -> None:\n    assert not 1\n")], "1 failed"),
    "coverage": (
        "make test",
        [text("pyproject.toml", "fail_under = 0", "fail_under = 90"), added("apps/unused.py", "x = 1\n" * 400)],
        "Coverage failure",
    ),
    "site": ("make smoke", [route("^$", "lambda request: HttpResponse(status=500)")], "FAIL  the home page is shown"),
}


# Both have the same commands, but stop at an error in different ways.
PLANTED = [
    *(("github", error) for error in ERRORS),
    *(("gitlab", error) for error in ("lock", "lint", "types", "tests")),
]


@pytest.mark.parametrize(("fresh", "error"), PLANTED, indirect=["fresh"])
def test_a_planted_error_is_caught_by_its_step(pipeline: Pipeline, error: str) -> None:
    command, changes, said_of_it = ERRORS[error]
    for change in changes:
        change(pipeline.project)
    code, said = pipeline.run(command)
    assert code
    assert said_of_it in said


WORKFLOWS = {
    "github": {
        "an unknown key": (".github/workflows/test.yml", "    timeout-minutes:", "    timeout:", "timeout"),
        "no YAML": (".github/workflows/ci.yml", "jobs:", "jobs: [", "ci.yml"),
        "a title that becomes a command": (
            ".github/workflows/test.yml",
            "run: make check",
            "run: echo ${{ github.event.pull_request.title }}",
            "template-injection",
        ),
        "an action that may move": (
            ".github/workflows/test.yml",
            "setup-uv@d31148d669074a8d0a63714ba94f3201e7020bc3",
            "setup-uv@main",
            "unpinned-uses",
        ),
        "a bot that nobody knows": (
            ".github/dependabot.yml",
            "package-ecosystem: uv",
            "package-ecosystem: pip3",
            "pip3",
        ),
    },
    "gitlab": {
        "an unknown key": (".gitlab-ci.yml", "  timeout:", "  time_out:", "time_out"),
        "no YAML": (".gitlab/deploy-heroku.yml", "deploy:", "deploy: [", "deploy-heroku.yml"),
        "a bot that does not understand": ("renovate.json", '"enabled": true', '"enabled": "yes"', "'yes'"),
    },
}


def test_an_error_in_cis_own_files_is_caught_by_its_step(pipeline: Pipeline, subtests: pytest.Subtests) -> None:
    for name, (file, right, wrong, said_of_it) in WORKFLOWS["gitlab" if pipeline.on_gitlab else "github"].items():
        with subtests.test(name):
            text(file, right, wrong)(pipeline.project)
            # Run the step's command directly: CI itself would not start with a malformed file.
            code, said = pipeline.runner.script("make workflows", {})
            assert code
            assert said_of_it in said
            run(["git", "reset", "--quiet", "--hard"], pipeline.project)

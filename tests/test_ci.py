"""The CI of a rendered project is valid by its language's rules, and asks for no more than it needs."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.databases import PostgreSQL
from tests.support.environments import Environments, clean_environment, uv
from tests.support.rendered import run_tool
from tests.support.rendering import question_choices
from tests.support.repositories import repository
from tests.support.smoke import CHECKS
from tests.support.workflows import Runner, github_workflow, gitlab_job

Render = Callable[..., Path]

# For zizmor: an action is named by a version that its maintainers do not move.
ACTIONS_AT_A_VERSION = """
rules:
  unpinned-uses:
    config:
      policies:
        "*": ref-pin
"""


@pytest.mark.parametrize("platform", question_choices("platform"))
def test_workflows_follow_their_schema_and_are_safe(render: Render, tmp_path: Path, platform: str) -> None:
    project = render(platform=platform, ci="github", extras=question_choices("extras"))
    workflows = sorted(str(path) for path in (project / ".github/workflows").iterdir())
    run_tool("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *workflows, folder=project)
    (tmp_path / "zizmor.yml").write_text(ACTIONS_AT_A_VERSION)
    # Below that it dislikes `./` for the repository's own workflows, and programs that no lock file holds.
    options = ("--offline", "--quiet", "--min-severity=medium", f"--config={tmp_path / 'zizmor.yml'}")
    run_tool("zizmor", *options, ".github", folder=project)


@pytest.mark.parametrize("platform", question_choices("platform"))
@pytest.mark.parametrize("database", question_choices("database"))
def test_gitlabs_pipeline_follows_its_schema(render: Render, platform: str, database: str) -> None:
    if (platform, database) == ("heroku", "sqlite"):
        return
    project = render(platform=platform, database=database, ci="gitlab", extras=question_choices("extras"))
    pipelines = [".gitlab-ci.yml", *(str(path.relative_to(project)) for path in project.glob(".gitlab/*.yml"))]
    run_tool("check-jsonschema", "--builtin-schema", "vendor.gitlab-ci", *pipelines, folder=project)


@pytest.mark.parametrize("ci", ["github", "gitlab"])
def test_what_ci_runs_passes_on_a_fresh_project(
    render: Render, environments: Environments, database: PostgreSQL, ci: str
) -> None:
    """Its own steps, in order, with this machine's database in the place of the service."""
    project = repository(render(platform="heroku", ci=ci))
    folder = str(environments.install(project).parent)
    runner = Runner(project, clean_environment(UV_PROJECT_ENVIRONMENT=folder, PATH=with_uv()), {})
    if ci == "github":
        workflow = github_workflow(project, "test.yml")
        workflow["jobs"]["test"]["env"]["DATABASE_URL"] = database.url
        code, said = runner.github(workflow, "test")
    else:
        code, said = runner.gitlab(gitlab_job(project, "test"), {"DATABASE_URL": database.url})
    assert code == 0, said
    assert "Required test coverage" in said
    assert f"{len(CHECKS)} passed" in said


def with_uv() -> str:
    """This machine's path, with uv on it."""
    return f"{Path(uv()).parent}{os.pathsep}{clean_environment()['PATH']}"


def test_what_raises_versions_follows_its_schema(render: Render) -> None:
    project = render(platform="docker", ci="github")
    run_tool("check-jsonschema", "--builtin-schema", "vendor.dependabot", ".github/dependabot.yml", folder=project)


def test_no_ci_leaves_nothing_behind(render: Render) -> None:
    for platform in question_choices("platform"):
        project = render(platform=platform, ci="none")
        assert not [path for path in project.iterdir() if path.name in (".github", ".gitlab", ".gitlab-ci.yml")]

"""The CI of a rendered project is valid by its language's rules, and asks for no more than it needs."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.rendered import run_tool
from tests.support.rendering import question_choices

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
    project = render(platform=platform, ci="github")
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
    project = render(platform=platform, database=database, ci="gitlab")
    pipelines = [".gitlab-ci.yml", *(str(path.relative_to(project)) for path in project.glob(".gitlab/*.yml"))]
    run_tool("check-jsonschema", "--builtin-schema", "vendor.gitlab-ci", *pipelines, folder=project)


def test_no_ci_leaves_nothing_behind(render: Render) -> None:
    project = render(platform="heroku", ci="none")
    assert not [path for path in project.iterdir() if path.name in (".github", ".gitlab", ".gitlab-ci.yml")]

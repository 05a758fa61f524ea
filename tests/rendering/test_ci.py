"""A rendered project's CI is valid, and has no more permissions than it needs."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support import actionlint
from tests.support.environments import run
from tests.support.rendered import parse, run_tool
from tests.support.rendering import question_choices
from tests.support.repositories import repository
from tests.support.workflows import Runner, github_workflow, gitlab_job

Render = Callable[..., Path]

# The commits that actions are pinned to, each from the action's own repository.
COMMITS = {"astral-sh/setup-uv": "d31148d669074a8d0a63714ba94f3201e7020bc3 # v8.3.0"}
BY_VERSION = re.compile(r"v\d+(\.\d+)*$")

every_platform = pytest.mark.parametrize("platform", question_choices("platform"))


def workflows(project: Path) -> list[Path]:
    """Return a project's workflows."""
    return sorted((project / ".github/workflows").iterdir())


def names_used(project: Path) -> set[str]:
    """Return the secrets and variables that a project's deploy needs."""
    used = re.findall(
        r"\b(?:secrets|vars)\.(\w+)", "".join(path.read_text() for path in project.glob(".github/**/*.yml"))
    )
    gitlab = "".join(re.sub("#.*", "", path.read_text()) for path in project.glob(".gitlab/*.yml"))
    own = re.compile(r"CI_|DEPLOY_ENVIRONMENT$|DOCKER_|PWD$|REGISTRY_")
    named = re.findall(r"\$\{?([A-Z][A-Z_]{3,})", gitlab)
    if (project / ".gitlab/deploy-heroku.yml").exists():
        # Variables that the job's programs read.
        named += ["HEROKU_API_KEY", "HEROKU_APP"]
    if (project / ".gitlab/deploy-docker.yml").exists():
        named += ["DEPLOY_TO", "DEPLOY_FOLDER"]
    return set(used) | {name for name in named if not own.match(name)}


@every_platform
def test_workflows_follow_their_schema_and_are_safe(render: Render, platform: str) -> None:
    project = render(platform=platform, ci="github", extras=question_choices("extras"))
    names = [str(path) for path in workflows(project)]
    run_tool("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *names, folder=project)
    run_tool("check-jsonschema", "--builtin-schema", "vendor.dependabot", ".github/dependabot.yml", folder=project)
    # At lower severities it rejects `./` for the repository's own workflows, and programs that no lock file pins.
    run_tool("zizmor", "--offline", "--quiet", "--min-severity=medium", ".github", folder=project)
    assert actionlint.findings(workflows(project)) == []


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("needs: test", "needs: tests", "tests"),
        ("    timeout-minutes: 60\n", "    timeout: 60\n", 'unexpected key "timeout"'),
        ("secrets.HEROKU_API_KEY", "secret.HEROKU_API_KEY", 'undefined variable "secret"'),
    ],
)
def test_actionlint_reads_them(render: Render, right: str, wrong: str, said: str) -> None:
    workflow = render(platform="heroku", ci="github") / ".github/workflows/deploy-heroku.yml"
    assert right in workflow.read_text()
    workflow.write_text(workflow.read_text().replace(right, wrong))
    assert said in "\n".join(actionlint.findings([workflow]))


@every_platform
@pytest.mark.parametrize("database", question_choices("database"))
def test_gitlabs_pipeline_follows_its_schema(render: Render, platform: str, database: str) -> None:
    if (platform, database) == ("heroku", "sqlite"):
        return
    project = render(platform=platform, database=database, ci="gitlab", extras=question_choices("extras"))
    pipelines = [".gitlab-ci.yml", *(str(path.relative_to(project)) for path in project.glob(".gitlab/*.yml"))]
    run_tool("check-jsonschema", "--builtin-schema", "vendor.gitlab-ci", *pipelines, folder=project)
    run_tool("check-jsonschema", "--builtin-schema", "vendor.renovate", "renovate.json", folder=project)


@every_platform
def test_a_workflow_may_read_the_code_and_no_more(render: Render, platform: str) -> None:
    project = render(platform=platform, ci="github", extras=["sentry"])
    for path in workflows(project):
        workflow = github_workflow(project, path.name)
        assert workflow["permissions"] == {"contents": "read"}
        more = {its for job in workflow["jobs"].values() for its in job.get("permissions", {}).items()}
        # Images are pushed to the repository's own registry and pulled from it. Sentry's job asks whether the deploy was skipped.
        needed = {
            "deploy-docker.yml": {("packages", "write"), ("packages", "read")},
            "sentry.yml": {("actions", "read")},
        }
        assert not more - {("contents", "read")} - needed.get(path.name, set())
        for job in workflow["jobs"].values():
            assert "uses" in job or job["timeout-minutes"] <= 60
            for step in job.get("steps", []):
                if step.get("uses", "").startswith("actions/checkout@"):
                    assert step["with"]["persist-credentials"] is False


@every_platform
def test_actions_are_pinned_as_the_page_says(render: Render, platform: str) -> None:
    project = render(platform=platform, ci="github")
    used = {match for path in workflows(project) for match in re.findall(r"uses: ([^.@\s]+)@(.+)", path.read_text())}
    rows = dict(re.findall(r"^\| `([^`]+/[^`]+)` \| (.+) \|$", (project / "docs/ci.md").read_text(), re.MULTILINE))
    assert {action for action, _ in used} == set(rows)
    for action, pin in used:
        assert pin == COMMITS.get(action) or (action not in COMMITS and BY_VERSION.match(pin))
        assert rows[action].startswith("the commit" if action in COMMITS else "its version")


def test_a_new_push_cancels_the_tests_of_the_one_before_and_no_deploy(render: Render) -> None:
    project = render(platform="heroku", ci="github")
    assert github_workflow(project, "ci.yml")["concurrency"]["cancel-in-progress"] is True
    assert github_workflow(project, "deploy-heroku.yml")["concurrency"]["cancel-in-progress"] is False
    pipeline = parse(render(platform="heroku", ci="gitlab") / ".gitlab-ci.yml")
    assert pipeline["test"]["interruptible"] is True
    assert "interruptible" not in pipeline["default"]


@every_platform
def test_a_deploy_waits_for_the_tests_and_goes_where_it_is_told(render: Render, platform: str) -> None:
    project = render(platform=platform, ci="github")
    workflow = github_workflow(project, f"deploy-{platform}.yml")
    jobs: dict[str, Any] = workflow["jobs"]
    assert jobs["test"] == {"uses": "./.github/workflows/test.yml"}
    assert jobs["image" if platform == "docker" else "deploy"]["needs"] == "test"
    assert workflow["on"]["workflow_dispatch"]["inputs"]["environment"]["options"] == ["production", "staging"]
    assert jobs["deploy"]["environment"] == "${{ inputs.environment || 'production' }}"
    assert "inputs.environment" in workflow["concurrency"]["group"]
    assert (
        "github.ref == 'refs/heads/main' || inputs.environment == 'staging'"
        in jobs["image" if platform == "docker" else "deploy"]["if"]
    )

    project = render(platform=platform, ci="gitlab")
    pipeline = parse(project / ".gitlab-ci.yml")
    assert pipeline["stages"] == ["test", "deploy"]
    assert pipeline["variables"]["DEPLOY_ENVIRONMENT"]["value"] == "production"
    deploy = yaml.safe_load((project / f".gitlab/deploy-{platform}.yml").read_text())["deploy"]
    assert (deploy["environment"]["name"], deploy["resource_group"]) == ("$DEPLOY_ENVIRONMENT", "$DEPLOY_ENVIRONMENT")
    assert "$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH" in deploy["rules"][0]["if"]
    assert deploy["rules"][1]["if"] == '$CI_PIPELINE_SOURCE == "web" && $DEPLOY_ENVIRONMENT == "staging"'


def comes(rules: list[dict[str, str]], **variables: str) -> bool:
    """Return True if GitLab runs a job or pipeline with these rules: the first that matches decides.

    It supports the parts of conditions that the template uses: variables, `==`, `!=`, and `&&` before `||`.
    https://docs.gitlab.com/ci/jobs/job_rules/#cicd-variable-expressions
    """
    known = {"CI_DEFAULT_BRANCH": "main", "CI_COMMIT_BRANCH": "", "DEPLOY_ENVIRONMENT": "production", **variables}

    def value(word: str) -> str:
        return known.get(word[1:], "") if word.startswith("$") else word.strip('"')

    def holds(comparison: str) -> bool:
        left, *rest = comparison.split()
        if not rest:
            return bool(value(left))
        operator, right = rest
        return {"==": value(left) == value(right), "!=": value(left) != value(right)}[operator]

    for rule in rules:
        if any(all(map(holds, part.split("&&"))) for part in rule["if"].split("||")):
            return rule.get("when") != "never"
    return False


def test_gitlab_tests_a_branch_once_and_any_that_is_asked_for(render: Render) -> None:
    rules = parse(render(ci="gitlab") / ".gitlab-ci.yml")["workflow"]["rules"]
    with_request = {"CI_OPEN_MERGE_REQUESTS": "group/project!1"}
    assert comes(rules, CI_PIPELINE_SOURCE="push", CI_COMMIT_BRANCH="topic")
    assert not comes(rules, CI_PIPELINE_SOURCE="push", CI_COMMIT_BRANCH="topic", **with_request)
    assert comes(rules, CI_PIPELINE_SOURCE="merge_request_event", **with_request)
    assert comes(rules, CI_PIPELINE_SOURCE="web", CI_COMMIT_BRANCH="topic", **with_request)
    assert comes(rules, CI_PIPELINE_SOURCE="push", CI_COMMIT_BRANCH="main", **with_request)
    assert not comes(rules, CI_PIPELINE_SOURCE="push", CI_COMMIT_TAG="v1")


@every_platform
@pytest.mark.parametrize("ci", ["github", "gitlab"])
def test_a_deploy_without_its_settings_is_skipped_and_with_some_of_them_fails(
    render: Render, subtests: pytest.Subtests, platform: str, ci: str
) -> None:
    project = render(platform=platform, ci=ci)
    expressions, names = {"github.token": "token"}, names_used(project) - {"TEMPLATE_TOKEN", "IMAGE_RUNNER"}

    def deploy(*given: str) -> tuple[int, str]:
        """Run the job on a machine with no program that deploys; only `given` are set."""
        values = {name: "set" if name in given else "" for name in names}
        runner = Runner(project, {"PATH": "/usr/bin:/bin", "HOME": str(project / "home")}, expressions)
        if ci == "gitlab":
            return runner.gitlab(gitlab_job(project, "deploy"), values)
        for name, value in values.items():
            expressions.update({f"secrets.{name}": value, f"vars.{name}": value})
        return runner.github(github_workflow(project, f"deploy-{platform}.yml"), "deploy")

    code, said = deploy()
    if ci == "gitlab":
        # GitLab shows this code as a warning.
        assert code == gitlab_job(project, "deploy")["allow_failure"]["exit_codes"]
    else:
        assert (code, said.startswith("::notice title=Not deployed::")) == (0, True)
    (line,) = said.splitlines()
    listed = re.findall(r"[A-Z]+_[A-Z_]+", line)
    assert (set(listed), len(listed)) == (names, len(names))
    assert "docs/ci.md" in line
    for name in names:
        with subtests.test(name):
            code, said = deploy(*names - {name})
            (line,) = said.splitlines()
            assert code == 1
            assert re.search(f"Not set: {name}. docs/ci.md says where", line)
            assert ci == "gitlab" or line.startswith("::error ")


@every_platform
def test_sentry_is_told_of_what_goes_to_production_alone(render: Render, platform: str) -> None:
    project = render(platform=platform, ci="github", extras=["sentry"])
    named = github_workflow(project, f"deploy-{platform}.yml")["run-name"]
    (condition,) = (job["if"] for job in github_workflow(project, "sentry.yml")["jobs"].values())
    assert named == "Deploy to ${{ inputs.environment || 'production' }}"
    # Sentry's job finds the deploy by the start of its step's name.
    steps = github_workflow(project, f"deploy-{platform}.yml")["jobs"]["deploy"]["steps"]
    assert len([step for step in steps if step.get("name", "").startswith("Deploy, ")]) == 1
    assert "github.event.workflow_run.display_title == 'Deploy to production'" in condition

    project = render(platform=platform, ci="gitlab", extras=["sentry"])
    sentry = parse(project / ".gitlab-ci.yml")["sentry"]
    deploy = yaml.safe_load((project / f".gitlab/deploy-{platform}.yml").read_text())["deploy"]
    assert sentry["needs"] == ["deploy"]
    given = {"SENTRY_AUTH_TOKEN": "token", "CI_COMMIT_BRANCH": "main"}
    for told, variables in (
        (True, {"CI_PIPELINE_SOURCE": "push"}),
        (True, {"CI_PIPELINE_SOURCE": "web"}),
        (False, {"CI_PIPELINE_SOURCE": "web", "DEPLOY_ENVIRONMENT": "staging"}),
        (False, {"CI_PIPELINE_SOURCE": "schedule"}),
        (False, {"CI_PIPELINE_SOURCE": "push", "SENTRY_AUTH_TOKEN": ""}),
        (False, {"CI_PIPELINE_SOURCE": "push", "CI_COMMIT_BRANCH": "topic"}),
    ):
        assert comes(sentry["rules"], **{**given, **variables}) == told, variables
        # This job needs the deploy: if that is missing, GitLab refuses the pipeline.
        assert not told or comes(deploy["rules"], **{**given, **variables}), variables


def test_a_machine_for_staging_takes_commits_of_the_branch_that_its_clone_names(render: Render, tmp_path: Path) -> None:
    project = repository(render(platform="gunicorn", ci="github"))
    run(["git", "switch", "--quiet", "--create=staging"], project)
    run(["git", "commit", "--quiet", "--allow-empty", "--message=Try"], project)
    tried = run(["git", "rev-parse", "HEAD"], project).strip()
    run(["git", "switch", "--quiet", "main"], project)
    clone = tmp_path / "clone"
    run(["git", "clone", "--quiet", str(project), str(clone)], tmp_path)
    # It runs instead of the deploy.
    (tmp_path / "uv").write_text("#!/bin/sh\necho deployed\n")
    (tmp_path / "uv").chmod(0o755)
    asked = {"SSH_ORIGINAL_COMMAND": f"deploy {tried}", "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    with pytest.raises(AssertionError, match="not a commit of the main branch"):
        run(["deploy/forced-command"], clone, env={**os.environ, **asked})
    (command,) = re.findall(r"(git remote set-head \S+ \S+)", (project / "docs/server.md").read_text())
    run(command.split(), clone)
    assert run(["deploy/forced-command"], clone, env={**os.environ, **asked}) == "deployed\n"
    assert run(["git", "rev-parse", "HEAD"], clone).strip() == tried


@every_platform
@pytest.mark.parametrize("ci", ["github", "gitlab"])
def test_the_pages_name_what_has_to_be_set(render: Render, platform: str, ci: str) -> None:
    project = render(platform=platform, ci=ci)
    pages = [(project / name).read_text() for name in ("docs/ci.md", "docs/deploy.md")]
    (where,) = re.findall(r"## What it needs to deploy\n(.*?)\n## ", pages[0], re.DOTALL)
    (section,) = re.findall(r"## Deploy from (?:CI|GitHub|GitLab)\b.*?\n(.*?)\n## ", pages[1], re.DOTALL)
    rows = re.findall(r"^\| `([A-Z_]+)` \| \w+", section, re.MULTILINE)
    # The deploy does not need this token. The template's page says how to get it.
    assert re.findall("`([A-Z_]+)`", where) == ["TEMPLATE_TOKEN"]
    # Some are for a few servers only, and are in a sentence elsewhere.
    problems = (project / "docs/troubleshooting.md").read_text()
    for_some = re.findall(r"set the variable `([A-Z_]+)` of\s+the repository", problems)
    assert {*rows, *for_some, "TEMPLATE_TOKEN"} == names_used(project)


def test_both_run_the_same_commands_which_the_page_lists(render: Render) -> None:
    github, gitlab = (render(platform="docker", ci=ci) for ci in ("github", "gitlab"))
    steps = [step["run"] for step in github_workflow(github, "test.yml")["jobs"]["test"]["steps"] if "run" in step]
    assert parse(gitlab / ".gitlab-ci.yml")["test"]["script"] == steps
    for project in (github, gitlab):
        listed = re.findall(r"^\| `((?:uv|make) [^`]+)` \|", (project / "docs/ci.md").read_text(), re.MULTILINE)
        assert listed == steps


def test_no_ci_leaves_nothing_behind(render: Render) -> None:
    for platform in question_choices("platform"):
        project = render(platform=platform, ci="none")
        left = {".github", ".gitlab", ".gitlab-ci.yml", "renovate.json"} & {path.name for path in project.iterdir()}
        assert not left
        assert not (project / "docs/ci.md").exists()
        told = [path.name for path in project.rglob("*.md") if re.search(r"\bci\.md|GitHub|GitLab", path.read_text())]
        assert not told

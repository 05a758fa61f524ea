"""A rendered project's pre-commit hooks run the same commands as CI, and each stops the commit that it is for."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.support.environments import Environments, run
from tests.support.faults import Change, text
from tests.support.rendering import question_choices
from tests.support.repositories import repository

Render = Callable[..., Path]

TABLE = """

class Note(models.Model):
    text = models.TextField()

    def __str__(self) -> str:
        return self.text
"""
TIMEOUT = {"github": (".github/workflows/test.yml", "    timeout-minutes:"), "gitlab": (".gitlab-ci.yml", "  timeout:")}


def planted(ci: str) -> dict[str, tuple[str, Change]]:
    """Return for each hook a file and an error to plant in it."""

    def ended(name: str, lines: str) -> tuple[str, Change]:
        return name, lambda project: (project / name).write_text((project / name).read_text() + lines)

    return {
        "lock": ("pyproject.toml", text("pyproject.toml", '"dj-database-url>=', '"idna>=3",\n    "dj-database-url>=')),
        "conflicts": ended("README.md", "<<<<<<< before updating\n"),
        "ruff-check": ended("config/urls.py", "\nimport os\n"),
        "ruff-format": ended("config/urls.py", "\nx  =  1\n"),
        "djlint": ended("templates/base.html", "<p>\n"),
        "mypy": ended("config/urls.py", '\nx: int = ""\n'),
        "migrations": ended("apps/accounts/models.py", TABLE),
        "workflows": (TIMEOUT[ci][0], text(*TIMEOUT[ci], "    time:")),
    }


def hooks(project: Path) -> dict[str, str]:
    """Return the commands of a project's hooks by their names."""
    (own,) = yaml.safe_load((project / ".pre-commit-config.yaml").read_text())["repos"]
    assert own["repo"] == "local"
    return {hook["id"]: hook["entry"] for hook in own["hooks"]}


@pytest.mark.parametrize("ci", question_choices("ci"))
@pytest.mark.parametrize("platform", ["docker", "pythonanywhere"])
def test_hooks_run_what_lint_runs(render: Render, platform: str, ci: str) -> None:
    project = render(platform=platform, ci=ci)
    entries = set(hooks(project).values()) - {"uv lock --check --quiet"}
    makefile = (project / "Makefile").read_text()
    (parts,) = [line for line in makefile.splitlines() if line.startswith("lint: ")]
    targets = parts.removeprefix("lint: ").split(" ##")[0].split()
    style = makefile.split("\nstyle: ")[1].split("\n\n")[0].splitlines()[1:]
    assert entries == {f"make {target}" for target in targets if target != "style"} | {
        line.strip().removesuffix(" templates") for line in style
    }


@pytest.mark.parametrize("ci", question_choices("ci"))
def test_hooks_run_at_the_same_time(render: Render, ci: str) -> None:
    (own,) = yaml.safe_load(
        (render(platform="pythonanywhere", ci=ci, extras=["tailwind"]) / ".pre-commit-config.yaml").read_text()
    )["repos"]
    assert {hook.get("priority") for hook in own["hooks"]} == {0}


class Committer:
    """A developer of a project with its hooks installed."""

    def __init__(self, project: Path, environments: Environments, tools: Path) -> None:
        self.project = repository(project)
        tools.mkdir()
        (tools / "prek").symlink_to(Path(sys.prefix, "bin/prek"))
        at_work = environments.at_work(project)
        path = f"{tools}{os.pathsep}{at_work['PATH']}"
        self.environment = {**at_work, "PREK_HOME": str(tools / "prek-home"), "PATH": path}

    def run(self, *command: str) -> str:
        """Run a command; raise AssertionError with its output if it fails."""
        return run(list(command), self.project, env=self.environment)


@pytest.fixture
def committer(render: Render, environments: Environments, tmp_path: Path, request: pytest.FixtureRequest) -> Committer:
    """A developer with a fresh project, with the test's CI."""
    return Committer(render(ci=request.param), environments, tmp_path / "tools")


@pytest.mark.parametrize(
    ("committer", "names"),
    [("github", [*planted("github")]), ("gitlab", ["workflows"])],
    indirect=["committer"],
    ids=["github", "gitlab"],
)
def test_each_hook_stops_its_error(committer: Committer, names: list[str]) -> None:
    errors = planted("github" if len(names) > 1 else "gitlab")
    assert errors.keys() == hooks(committer.project).keys()
    for name in names:
        file, change = errors[name]
        assert "Passed" in committer.run("prek", "run", name, "--files", file)
        change(committer.project)
        with pytest.raises(AssertionError, match=r"(?s)prek run .* exited 1:.*Failed"):
            committer.run("prek", "run", name, "--files", file)
        committer.run("git", "reset", "--quiet", "--hard")


@pytest.mark.parametrize("committer", ["none"], indirect=True)
def test_installed_they_stop_a_commit(committer: Committer) -> None:
    committer.run("prek", "install")
    page = committer.project / "templates/pages/home.html"
    good = page.read_text()
    page.write_text(f"{good}<p>\n")
    with pytest.raises(AssertionError, match=r"pages \(djlint\)\.+Failed"):
        committer.run("git", "commit", "--quiet", "--all", "--message=Break")
    page.write_text(good.replace("</h1>", "!</h1>", 1))
    assert page.read_text() != good
    committer.run("git", "commit", "--quiet", "--all", "--message=Change")

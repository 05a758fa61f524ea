"""CI opens a pull request for a newer release of the template. Its steps run against a private repository on this machine.

Two programs are not run: GitHub's `gh`, which a program replaces that records its arguments, and GitLab, whose push
options are read from the push to the repository.
"""

import os
from pathlib import Path

import pytest

from stand_ins.git_host import hosted
from tests.support.environments import run, uvx
from tests.support.faults import text
from tests.support.releases import AGAIN, FOLLOWING, NEXT, release, tag
from tests.support.rendering import ANSWERS
from tests.support.repositories import commit, repository
from tests.support.updating import ADDRESS, owners_machine
from tests.support.workflows import Runner, github_workflow, gitlab_job

TOKEN = "secret-token"
GH = """#!/bin/sh
echo "GH_TOKEN=$GH_TOKEN" "$@" >>"$GH_LOG"
"""
HOOK = """#!/bin/sh
cat >/dev/null
env | grep ^GIT_PUSH_OPTION_[0-9] | sort >>"$PUSH_LOG" || true
"""


class Hosted:
    """A project in a repository that its CI runs on.

    Attributes:
        origin: the bare repository.
        clone: the project's owner's clone.
        asked: a file with the arguments of `gh`, or with the push options.
    """

    def __init__(self, folder: Path, machine: dict[str, str], ci: str, version: str, extras: str = "[]") -> None:
        self.folder, self.ci = folder, ci
        self.asked = folder / "asked"
        (folder / "bin").mkdir()
        (folder / "bin/gh").write_text(GH)
        (folder / "bin/gh").chmod(0o755)
        self.machine = {
            **{name: value for name, value in machine.items() if not name.startswith(("GIT_AUTHOR", "GIT_COMMITTER"))},
            "PATH": f"{folder / 'bin'}{os.pathsep}{machine['PATH']}",
            "GH_LOG": str(self.asked),
            "HOME": str(folder),
            "GIT_TERMINAL_PROMPT": "0",
        }
        self.clone, self.origin = folder / "clone", folder / "origin.git"
        data = [f"--data={name}={answer}" for name, answer in {**ANSWERS, "ci": ci, "extras": extras}.items()]
        command = [uvx(), "copier", "copy", "--quiet", "--defaults", f"--vcs-ref={tag(version)}", *data, ADDRESS]
        run([*command, str(self.clone)], folder, env=machine)
        repository(self.clone)
        run(["git", "clone", "--quiet", "--bare", str(self.clone), str(self.origin)], folder)
        run(["git", "remote", "add", "origin", str(self.origin)], self.clone)
        run(["git", "config", "receive.advertisePushOptions", "true"], self.origin)
        (self.origin / "hooks/post-receive").write_text(HOOK)
        (self.origin / "hooks/post-receive").chmod(0o755)

    def runs(self, token: str = TOKEN) -> tuple[int, str]:
        """Run the CI job on a checkout like CI's; return the exit code and the output."""
        checkout = self.folder / f"checkout{len(list(self.folder.glob('checkout*')))}"
        run(["git", "clone", "--quiet", "--depth=1", f"file://{self.origin}", str(checkout)], self.folder)
        runner = Runner(checkout, self.machine, {"secrets.TEMPLATE_TOKEN": token})
        # Like a checkout with another token, this one has no credentials.
        with hosted(self.origin, TOKEN, PUSH_LOG=str(self.asked)) as address:
            if self.ci == "github":
                run(["git", "remote", "set-url", "origin", address], checkout)
                return runner.github(github_workflow(checkout, "update.yml"), "update")
            variables = {"TEMPLATE_TOKEN": token, "CI_PROJECT_URL": address.removesuffix(".git")}
            return runner.gitlab(gitlab_job(checkout, "update"), variables)

    def branches(self) -> list[str]:
        """Return the repository's branches."""
        return run(["git", "branch", "--format=%(refname:short)"], self.origin).split()


@pytest.fixture
def machine(following: Path, tmp_path: Path) -> dict[str, str]:
    """The environment variables of a machine where the template's URL leads to a copy of this repository."""
    (tmp_path / "machine").mkdir()
    return owners_machine(following, tmp_path / "machine")


@pytest.mark.parametrize("ci", ["github", "gitlab"])
def test_a_newer_release_becomes_one_pull_request(
    machine: dict[str, str], following: Path, tmp_path: Path, ci: str
) -> None:
    text("pyproject.toml.jinja", "whitenoise[brotli]>=6.12,<7", "whitenoise[brotli]>=6.12,<8")(following / "template")
    text("templates/account/login.html", "<h1>", '<h1 class="mt-[37px]">')(following / "template")
    release(following, FOLLOWING)
    project = Hosted(tmp_path, machine, ci, AGAIN, extras="[tailwind]")
    code, said = project.runs()
    assert code == 0, said
    branch = f"template-{tag(FOLLOWING)}"
    assert project.branches() == ["main", branch]
    changed = run(["git", "diff", "--name-only", "main", branch], project.origin).split()
    compiled, page = "assets/compiled/site.css", "templates/account/login.html"
    # The project had no lock of npm's yet.
    assert changed == [".copier-answers.yml", compiled, "assets/package-lock.json", "pyproject.toml", page, "uv.lock"]
    # The style sheet has the new page's class: `make check-css` of the pull request's tests passes.
    assert r".mt-\[37px\] {" in run(["git", "show", f"{branch}:{compiled}"], project.origin)
    asked = project.asked.read_text()
    if ci == "github":
        assert asked.startswith(f"GH_TOKEN={TOKEN} pr create --head {branch} --title Update from the template to v")
    else:
        assert asked == (
            "GIT_PUSH_OPTION_0=merge_request.create\n"
            f"GIT_PUSH_OPTION_1=merge_request.title=Update from the template to {tag(FOLLOWING)}\n"
        )
    assert TOKEN not in said
    # The next week's run changes nothing while the pull request is open.
    project.asked.unlink()
    assert project.runs()[0] == 0
    assert not project.asked.exists()
    # A refused token must not be taken for a missing branch.
    code, said = project.runs(token="another")
    assert code == 128
    assert "Authentication failed" in said


@pytest.mark.parametrize("ci", ["github", "gitlab"])
def test_without_a_newer_release_nothing_happens(machine: dict[str, str], tmp_path: Path, ci: str) -> None:
    project = Hosted(tmp_path, machine, ci, AGAIN)
    code, said = project.runs(token="")
    assert code == 0, said
    assert project.branches() == ["main"]
    if ci == "gitlab":
        # Only in scheduled pipelines, and only with the token.
        rules = gitlab_job(project.clone, "update")["rules"]
        assert rules == [{"if": '$CI_PIPELINE_SOURCE == "schedule" && $TEMPLATE_TOKEN'}]


def test_without_a_token_it_says_what_to_do(machine: dict[str, str], tmp_path: Path) -> None:
    project = Hosted(tmp_path, machine, "github", NEXT)
    code, said = project.runs(token="")
    assert code == 1
    assert said.endswith(
        "The template has a newer release. Run `uvx copier update --defaults`, or set TEMPLATE_TOKEN for a pull request.\n"
    )
    assert project.branches() == ["main"]


def test_a_conflict_is_in_the_pull_request_and_fails_its_lint(
    machine: dict[str, str], following: Path, tmp_path: Path
) -> None:
    project = Hosted(tmp_path, machine, "github", AGAIN)
    text("README.md", "## Stay current", "## Ours")(project.clone)
    commit(project.clone, "Ours")
    run(["git", "push", "--quiet", "origin", "main"], project.clone)
    text("README.md.jinja", "## Stay current", "## Theirs")(following / "template")
    release(following, FOLLOWING)
    code, said = project.runs()
    assert code == 0, said
    run(["git", "fetch", "--quiet", "origin"], project.clone)
    run(["git", "switch", "--quiet", f"template-{tag(FOLLOWING)}"], project.clone)
    with pytest.raises(AssertionError, match=r"make lint exited 2:\nREADME.md:\d+:<<<<<<< before updating"):
        run(["make", "lint"], project.clone)

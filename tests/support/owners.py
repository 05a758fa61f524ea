"""Somebody with a project and a machine of their own, who follows the runbook."""

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import override

from stand_ins.machines import Machine
from tests.support.environments import run, uv
from tests.support.faults import Change
from tests.support.repositories import commit
from tests.support.runbooks import Reader
from tests.support.workflows import Runner

SLUG = "todo-list"
DOMAIN = "todo-list.example.com"
# What the machine finds itself under: the site, and the domain that the runbook adds.
NAMES = (DOMAIN, f"www.{DOMAIN}")
# Where the repository's host has it. It is on the machine too, and nothing but its address tells.
REPOSITORY = "/srv/git/todo-list.git"
# Where a user's shell keeps its state between two blocks, on the machine.
STATE = Path("/var/tmp")  # noqa: S108 - of a machine that is thrown away
# By the end of a heading, who pastes what stands under it.
WHO = {"on your own machine": "developer", "as root": "root", "as deploy": "deploy"}
DEPLOY = f"cd /srv/{SLUG}/repository && uv run --quiet python deploy/machine.py"


class Owner:
    """A developer, the machine's root and the user who deploys, in one person.

    Attributes:
        machine: the machine.
        project: the project on the host, a repository.
        reader: the runbook, followed so far.
    """

    def __init__(self, machine: Machine, project: Path) -> None:
        self.machine = machine
        self.project = project
        self.user = "root"
        # `repository` is what the runbook asks for.
        self.reader = Reader(project / "docs/deploy.md", STATE, machine.engine.environment, self.session)

    def session(self, command: Sequence[str]) -> list[str]:
        """The command by which `command` runs for whoever the runbook's heading names."""
        return self.machine.command(["env", f"repository={REPOSITORY}", *command], self.user)

    def follow(self, heading: str) -> str:
        """Do what stands under a heading, which is the next; gives what was printed."""
        (self.user,) = (user for end, user in WHO.items() if heading.endswith(f", {end}"))
        self.reader.state = STATE / self.user
        self.machine.run(f"mkdir -p {self.reader.state}", self.user)
        return self.reader.follow(heading)

    def follow_to_the_first_deploy(self) -> None:
        """Do what stands before it, and it; but for the rehearsal, which the machine knows nothing of."""
        self.reader.left = [block for block in self.reader.left if not block.heading.startswith("Rehearse")]
        while not self.reader.left[0].heading.startswith("Deploy"):
            self.follow(self.reader.left[0].heading)
        self.follow("Deploy, as deploy")

    def settle(self) -> None:
        """Put on the machine what the developer, the repository's host and an authority for certificates have."""
        self.machine.trust_its_authority()
        self.machine.run(
            f"git init --quiet --bare --initial-branch=main {REPOSITORY}\n"
            "git config --system --add safe.directory '*'\n"
            "useradd --create-home --shell /bin/bash developer"
        )
        self.push()
        # The developer's terminal is open in the project's folder.
        ready = f"mkdir -p ~/.local/bin {STATE}/developer && echo ~/project >{STATE}/developer/folder"
        self.machine.run(f"git clone --quiet {REPOSITORY} ~/project && {ready}", "developer")
        self.machine.engine.docker(
            "cp", "--follow-link", shutil.which(uv()) or uv(), f"{self.machine.id}:/home/developer/.local/bin/uv"
        )

    def push(self) -> None:
        """Push what is committed to the repository's host."""
        through = f"ext::docker exec -i {self.machine.id} %S {REPOSITORY}"
        env = {**self.machine.engine.environment, "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}
        run(
            ["git", "-c", "protocol.ext.allow=always", "push", "--quiet", "--force", through, "HEAD:main"],
            self.project,
            env=env,
        )

    def commit(self, message: str, *changes: Change) -> None:
        """Change the project, commit and push."""
        for change in changes:
            change(self.project)
        commit(self.project, message)
        self.push()

    def take_back(self) -> None:
        """Leave the last commit out of what comes next."""
        run(["git", "reset", "--quiet", "--hard", "HEAD~1"], self.project)

    def deploy(self, code: int = 0) -> str:
        """Deploy what was pushed, as the runbook says."""
        fetch = f"cd /srv/{SLUG}/repository && git fetch --quiet origin && git switch --quiet --detach origin/HEAD"
        return self.machine.run(f"{fetch} && {DEPLOY}", "deploy", code=code)

    def ask(self, command: str, code: int = 0) -> str:
        """Run another of the deploy script's commands."""
        return self.machine.run(f"{DEPLOY} {command}", "deploy", code=code)


class MachineRunner(Runner):
    """A runner of CI: a user of the machine's with a clone, who reaches the site by its name as everybody does."""

    def __init__(self, owner: Owner, expressions: Mapping[str, str]) -> None:
        """Take the machine; `expressions` is what stands for the `${{ … }}` of a workflow."""
        super().__init__(owner.project, owner.machine.engine.environment, expressions)
        self.machine = owner.machine

    @override
    def script(self, text: str, variables: Mapping[str, str]) -> tuple[int, str]:
        """Run a script as both runners do, with the variables on the other side of docker."""
        words = [f"{name}={value}" for name, value in {"CI": "true", **variables}.items()]
        self.command = lambda command: self.machine.command(
            ["env", "--chdir=/home/runner/project", *words, *command], "runner"
        )
        return super().script(text, variables)

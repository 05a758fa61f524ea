"""Follow the runbook as an owner with a project and a Linux machine does."""

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import override

from stand_ins.machines import Machine
from tests.support.environments import run, uv
from tests.support.faults import Change
from tests.support.repositories import commit
from tests.support.runbooks import Block, Reader
from tests.support.workflows import Runner

SLUG = "todo-list"
DOMAIN = "todo-list.example.com"
# Names that resolve to the machine on the machine itself: the site, and the domain that the runbook adds.
NAMES = (DOMAIN, f"www.{DOMAIN}")
# The folder of the Git host's repository. It is on the same machine, which only its URL shows.
REPOSITORY = "/srv/git/todo-list.git"
# The folder on the machine where a user's shell keeps its state between two blocks.
STATE = Path("/var/tmp")  # noqa: S108 - of a machine that is thrown away
# Who pastes a block, by the end of the line above it.
WHO = {"on your own machine:": "developer", "as root:": "root", "as deploy:": "deploy"}
# The runbook's headings up to a live site.
FIRST = ("First deploy", "Deploy")
DEPLOY = f"cd /srv/{SLUG}/repository && uv run --quiet --locked python deploy/machine.py"


class Owner:
    """One person who is the developer, the machine's root and the deploying user.

    Attributes:
        machine: the machine that is deployed to.
        variables: what the runbook asks its reader to set.
        project: the project's repository, outside the machine.
        reader: the runbook, and the position in it.
    """

    def __init__(self, machine: Machine, project: Path, slug: str = SLUG) -> None:
        self.machine = machine
        self.project = project
        self.slug = slug
        self.repository = f"/srv/git/{slug}.git"
        self.user = "root"
        # What the runbook asks its reader to set.
        self.variables = {"repository": self.repository}
        self.reader = Reader(project / "docs/deploy.md", STATE, machine.engine.environment, self.session)

    def session(self, command: Sequence[str]) -> list[str]:
        """Return the command that runs `command` as the user that the runbook names above the block."""
        return self.machine.command(
            ["env", *(f"{name}={value}" for name, value in self.variables.items()), *command], self.user
        )

    def follow(self, heading: str, section: str = "") -> str:
        """Run the blocks under the next heading, as `Reader.follow` does; return their output."""
        printed: list[str] = []
        following = self.reader.left[0].heading
        while self.reader.left and self.reader.left[0].heading == following:
            if printed and section not in ("", self.reader.left[0].section):
                break
            self.become(self.reader.left[0])
            printed.append(self.reader.follow(heading, section, most=1))
        return "".join(printed)

    def paste(self, block: Block) -> str:
        """Run a block as the user whom the runbook names; return its output."""
        self.become(block)
        return self.reader.paste(block.text)

    def become(self, block: Block) -> None:
        """Change to the session of the user whom the runbook names above a block."""
        (self.user,) = (user for end, user in WHO.items() if block.lead.lower().endswith(end))
        self.reader.state = STATE / (self.user if self.slug == SLUG else f"{self.slug}-{self.user}")
        self.machine.run(f"mkdir -p {self.reader.state}", self.user)

    def follow_to_the_first_deploy(self) -> None:
        """Follow the runbook up to and including the first deploy, without the rehearsal, which is not on the machine."""
        self.reader.left = [block for block in self.reader.left if block.section != "Rehearse"]
        for heading in FIRST:
            self.follow(heading)

    def go_on_after_the_first_deploy(self) -> None:
        """Leave out the blocks of the first deploy, which were followed on the machine that this one was copied from."""
        self.reader.leave_out(FIRST)

    def choose_backup(self) -> None:
        """Choose the newest backup for *Restore*."""
        folder = f"/var/lib/{self.slug}/backups"
        self.variables["backup"] = self.machine.run(f"ls -d {folder}/*").split()[-1]

    def settle(self) -> None:
        """Set up on the machine what the developer, the Git host and the certificate authority have elsewhere."""
        self.machine.trust_its_authority()
        self.machine.run(
            "git config --system --add safe.directory '*'\nuseradd --create-home --shell /bin/bash developer"
        )
        self.host()
        # The developer's shell starts in the project's folder.
        ready = f"mkdir -p ~/.local/bin {STATE}/developer && echo ~/project >{STATE}/developer/folder"
        self.machine.run(f"git clone --quiet {REPOSITORY} ~/project && {ready}", "developer")
        self.machine.engine.docker(
            "cp", "--follow-link", shutil.which(uv()) or uv(), f"{self.machine.id}:/home/developer/.local/bin/uv"
        )

    def host(self) -> None:
        """Create the Git host's repository, and push to it."""
        self.machine.run(f"git init --quiet --bare --initial-branch=main {self.repository}")
        self.push()

    def push(self) -> None:
        """Push the commits to the Git host."""
        through = f"ext::docker exec -i {self.machine.id} %S {self.repository}"
        env = {**self.machine.engine.environment, "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}
        run(
            ["git", "-c", "protocol.ext.allow=always", "push", "--quiet", "--force", through, "HEAD:main"],
            self.project,
            env=env,
        )

    def commit(self, message: str, *changes: Change) -> None:
        """Apply changes to the project, commit and push them."""
        for change in changes:
            change(self.project)
        commit(self.project, message)
        self.push()

    def take_back(self) -> None:
        """Drop the last commit."""
        run(["git", "reset", "--quiet", "--hard", "HEAD~1"], self.project)

    def deploy(self, code: int = 0) -> str:
        """Deploy the pushed commits, as the runbook says."""
        fetch = f"cd /srv/{SLUG}/repository && git fetch --quiet origin && git switch --quiet --detach origin/HEAD"
        return self.machine.run(f"{fetch} && {DEPLOY}", "deploy", code=code)

    def ask(self, command: str, code: int = 0) -> str:
        """Run another command of the deploy script."""
        return self.machine.run(f"{DEPLOY} {command}", "deploy", code=code)


class MachineRunner(Runner):
    """A CI runner: a user of the machine with a clone of the repository, who reaches the site by its host name."""

    def __init__(self, owner: Owner, expressions: Mapping[str, str]) -> None:
        """Run jobs on the owner's machine; `expressions` has the values of the workflow's `${{ … }}`."""
        super().__init__(owner.project, owner.machine.engine.environment, expressions)
        self.machine = owner.machine

    @override
    def script(self, text: str, variables: Mapping[str, str]) -> tuple[int, str]:
        """Run a script as both kinds of runner do, with the variables set inside the machine."""
        words = [f"{name}={value}" for name, value in {"CI": "true", **variables}.items()]
        self.command = lambda command: self.machine.command(
            ["env", "--chdir=/home/runner/project", *words, *command], "runner"
        )
        return super().script(text, variables)

"""Docker as the tests use it: an engine that this process keeps running, and deployments of a project on it."""

import contextlib
import json
import os
import secrets
import shutil
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import requests

from tests.support.environments import clean_environment, run_folder, run_process
from tests.support.faults import QUICK
from tests.support.rendering import ROOT
from tests.support.runbooks import PASTED, blocks
from tests.support.servers import free_port

SCRIPT = ROOT / "scripts/docker-engine"
# In the folder of a run: what was made on the engine.
RECORDS = "made-on-the-engine"


class NoEngineError(Exception):
    """There is no Docker engine, and none can be started; the text says why."""


class Engine:
    """The `docker` program, told which engine to talk to.

    What is made on it is written down first, so that whoever runs the tests can remove it when they are broken off.
    """

    def __init__(self, environment: Mapping[str, str], records: Path | None = None) -> None:
        """Take the variables that the program needs, and the file to write into."""
        self.environment = dict(environment)
        self.records = records

    def label(self) -> str:
        """A label of its own for what a test makes."""
        label = f"test={secrets.token_hex(4)}"
        self.write_down(label)
        return label

    def slug(self) -> str:
        """A project's slug of its own, by which its images are called."""
        slug = f"dk-{secrets.token_hex(4)}"
        self.write_down(f"com.docker.compose.project={slug}", f"com.docker.stack.namespace={slug}", images=slug)
        return slug

    def write_down(self, *labels: str, images: str = "", last: Sequence[str] = ()) -> None:
        """Write down what will be made, as `remove` takes it, and one of Docker's commands by which it ends."""
        if self.records:
            with self.records.open("a") as file:
                file.write(json.dumps([labels, images, last]) + "\n")

    def remove_what_was_written_down(self) -> None:
        """Remove all of it that is still there."""
        if self.records and self.records.exists():
            for line in self.records.read_text().splitlines():
                labels, images, last = json.loads(line)
                if last:
                    self.docker(*last, code=None)
                self.remove(*labels, images=images)

    def run(
        self,
        *command: str | Path,
        folder: Path = ROOT,
        code: int | None = 0,
        timeout: float = 300,
        variables: Mapping[str, str] | None = None,
    ) -> str:
        """Run a command that may use Docker; gives what it printed.

        Args:
            command: the program and its arguments.
            folder: where to run it.
            code: the exit code that it must have; None for any.
            timeout: seconds that it may take.
            variables: what it finds in its environment beside the engine.
        """
        done = subprocess.run(
            command,
            cwd=folder,
            env={**self.environment, **(variables or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
            check=False,
        )
        line = " ".join(map(str, command))
        assert code in (None, done.returncode), f"{line} ended with {done.returncode}, not {code}:\n{done.stdout}"
        return done.stdout

    def docker(
        self,
        *arguments: str | Path,
        folder: Path = ROOT,
        code: int | None = 0,
        timeout: float = 300,
        variables: Mapping[str, str] | None = None,
    ) -> str:
        """Run one of Docker's commands, as `run` does."""
        return self.run("docker", *arguments, folder=folder, code=code, timeout=timeout, variables=variables)

    def inspect(self, *names: str) -> list[dict[str, Any]]:
        """What the engine knows of containers, images and the like."""
        found: list[dict[str, Any]] = json.loads(self.docker("inspect", *names))
        return found

    def exit_code(self, container: str, timeout: float = 60) -> int:
        """How a container ended, once it has."""
        return int(self.docker("wait", container, timeout=timeout).splitlines()[-1])

    def remove(self, *labels: str, images: str = "") -> None:
        """Remove every container, volume and network that has one of these labels, and images by their repository."""
        for label in labels:
            for kind, removal in {
                "container": ["rm", "--force", "--volumes"],
                "volume": ["rm"],
                "network": ["rm"],
            }.items():
                everything = ["--all"] if kind == "container" else []
                if names := self.docker(kind, "ls", "--quiet", *everything, f"--filter=label={label}").split():
                    self.docker(kind, *removal, *names)
        if images and (names := self.docker("image", "ls", "--quiet", f"--filter=reference={images}").split()):
            self.docker("image", "rm", "--force", *set(names), code=None)


def engine_of(run: Path | None) -> Engine | None:
    """The engine for a run of tests that has a folder, or for one that has none; None where no test needed it."""
    records = run / RECORDS if run else None
    if records and not records.exists():
        return None
    told = subprocess.run(
        ["bash", "-ec", 'eval "$("$0" env)"; exec env --null', SCRIPT],
        env=clean_environment(),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    environment = dict(line.split("=", 1) for line in told.split("\0") if line)
    return Engine(environment, records)


@contextlib.contextmanager
def running_engine() -> Iterator[Engine]:
    """An engine until the end of the block, or of the run; one that this machine has already goes on after it.

    Raises:
        NoEngineError: there is none.
    """
    run = run_folder()
    # All processes of a run use one, which goes on from the first to the end.
    user = run_process() or os.getpid()
    started = subprocess.run(
        [SCRIPT, "start", str(user)], env=clean_environment(), capture_output=True, text=True, timeout=180, check=False
    )
    if started.returncode != 0:
        raise NoEngineError(started.stderr.strip())
    try:
        if run:
            (run / RECORDS).touch()
        engine = engine_of(run)
        assert engine is not None
        yield engine
    finally:
        if not run:
            subprocess.run([SCRIPT, "stop", str(user)], env=clean_environment(), timeout=180, check=True)


def make_secrets(project: Path) -> None:
    """Create a project's secrets as its runbook says."""
    (text,) = (
        block.text
        for block in blocks(project / "docs/deploy.md")
        if block.language == PASTED and block.heading == "Create the secrets" and "mkdir" in block.text
    )
    subprocess.run(["bash", "-c", text], cwd=project, check=True)


class Deployment:
    """A project on an engine by its compose.yaml, under a name and ports of its own."""

    def __init__(self, engine: Engine, project: Path, **variables: str) -> None:
        self.engine = engine
        self.project = project
        self.name = f"test-{secrets.token_hex(4)}"
        engine.write_down(f"com.docker.compose.project={self.name}", images=self.name)
        self.role = ""
        self.fetching = threading.Lock()
        self.http_port, self.https_port = free_port(), free_port()
        self.url = f"https://localhost:{self.https_port}"
        self.http_url = f"http://localhost:{self.http_port}"
        self.variables = {
            "COMPOSE_PROJECT_NAME": self.name,
            "HTTP_PORT": str(self.http_port),
            "HTTPS_PORT": str(self.https_port),
            **variables,
        }

    def __enter__(self) -> "Deployment":
        """The deployment; the end of the block removes what it left on the engine."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove its containers, volumes, networks and images."""
        self.engine.remove(f"com.docker.compose.project={self.name}", images=self.name)

    def compose(self, *arguments: str, code: int | None = 0, variables: Mapping[str, str] | None = None) -> str:
        """Run one of compose's commands in the project's folder; gives what it printed."""
        told = {**self.variables, **(variables or {})}
        return self.engine.run("docker", "compose", *arguments, folder=self.project, code=code, variables=told)

    def up(self, *services: str) -> str:
        """Start all services, or some, and wait until they are well."""
        try:
            return self.compose("up", "--detach", "--no-build", "--wait", *services)
        except AssertionError as error:
            error.add_note(self.compose("logs", "--no-color", "--tail=20", code=None))
            raise

    def container(self, service: str) -> dict[str, Any]:
        """What the engine knows of a service's container."""
        (name,) = self.compose("ps", "--all", "--quiet", service).split()
        return self.engine.inspect(name)[0]

    def way_out(self) -> str:
        """The address of this machine on the network `front`, by which containers on it reach this machine's servers."""
        (front,) = self.engine.inspect(f"{self.name}_front")
        return str(front["IPAM"]["Config"][0]["Gateway"])

    def authority(self) -> str:
        """A file with the certificate of Caddy's own authority, by which the site is trusted."""
        file = self.project.parent / f"{self.name}.pem"
        # Several visitors may come at once, and `cp` takes away the file that another has just made.
        with self.fetching:
            if not file.exists():
                self.compose("cp", "caddy:/data/caddy/pki/authorities/local/root.crt", str(file))
        return str(file)

    def session(self) -> requests.Session:
        """A visitor that trusts Caddy's authority."""
        visitor = requests.Session()
        visitor.trust_env = False
        visitor.verify = self.authority()
        return visitor

    def get(self, path: str, **headers: str) -> requests.Response:
        """The answer to a visitor who has not been here before."""
        with self.session() as visitor:
            return visitor.get(f"{self.url}{path}", headers=headers, timeout=60, allow_redirects=False)

    def sql(self, statement: str) -> str:
        """What PostgreSQL answers to a statement."""
        user = self.role = self.role or self.database_user()
        return self.compose(
            "exec", "--no-TTY", "database", "psql", "--username", user, "--tuples-only", "--command", statement
        )

    def database_user(self) -> str:
        """The role that the site uses, and its database."""
        variables = dict(value.split("=", 1) for value in self.container("database")["Config"]["Env"])
        return str(variables["POSTGRES_USER"])


class Projects:
    """Projects that are rendered, locked and built once for all tests of a process."""

    def __init__(self, engine: Engine, render: Any, folder: Path, slug: str, tag: str) -> None:
        self.engine, self.render, self.folder, self.slug, self.tag = engine, render, folder, slug, tag
        self.made: dict[str, Path] = {}
        engine.write_down(images=f"{slug}:*")

    def image(self, name: str) -> dict[str, str]:
        """The variables that name a project's images."""
        return {"IMAGE": f"{self.slug}:{self.tag}-{name}", "SMOKE_IMAGE": f"{self.slug}:{self.tag}-{name}-smoke"}

    def get(
        self,
        database: str = "postgresql",
        python_version: str = "3.13",
        tasks: str = "none",
        extras: tuple[str, ...] = (),
    ) -> tuple[Path, dict[str, str]]:
        """A project with its secrets, and the variables that name its images.

        That of the site is built; that of the smoke suite compose builds when it is run.
        """
        name = "-".join([database, python_version, tasks, *extras])
        if name not in self.made:
            answers = {"database": database, "python_version": python_version, "project_slug": self.slug}
            project = self.render(
                self.folder / f"{name}-{secrets.token_hex(2)}", tasks=tasks, extras=[*extras], **answers
            )
            make_secrets(project)
            QUICK(project)
            self.engine.docker("build", "--target", "lock", "--output", ".", ".", folder=project)
            self.engine.docker("compose", "build", "web", folder=project, variables=self.image(name))
            self.made[name] = project
        return self.made[name], self.image(name)

    def deployment(self, database: str = "postgresql", tasks: str = "none", **variables: str) -> Deployment:
        """A new deployment of a shared project, of which only the engine's things are its own."""
        project, images = self.get(database, tasks=tasks)
        return Deployment(self.engine, project, **images, **variables)

    def copied(
        self, folder: Path, database: str = "postgresql", tasks: str = "none", extras: tuple[str, ...] = ()
    ) -> Deployment:
        """A new deployment of a copy of a project, to change as a test likes."""
        project, images = self.get(database, tasks=tasks, extras=extras)
        return Deployment(self.engine, Path(shutil.copytree(project, folder / "project")), **images)

"""Use Docker in tests: an engine that this process keeps running, and deployments of a project on it."""

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
# The file in a run's folder that records what was made on the engine.
RECORDS = "made-on-the-engine"


class NoEngineError(Exception):
    """Raised if there is no Docker engine and none can be started; the text says why."""


class Engine:
    """The `docker` program with the variables of an engine.

    Everything that a test makes on the engine is recorded first, so that an interrupted run can be cleaned up.
    """

    def __init__(self, environment: Mapping[str, str], records: Path | None = None) -> None:
        """Set the variables that the program needs, and the file to record in."""
        self.environment = dict(environment)
        self.records = records

    def label(self) -> str:
        """Return a new label for everything that a test makes."""
        label = f"test={secrets.token_hex(4)}"
        self.write_down(label)
        return label

    def slug(self) -> str:
        """Return a new slug for a project, which names its images."""
        slug = f"dk-{secrets.token_hex(4)}"
        self.write_down(f"com.docker.compose.project={slug}", f"com.docker.stack.namespace={slug}", images=slug)
        return slug

    def write_down(self, *labels: str, images: str = "", last: Sequence[str] = ()) -> None:
        """Record what will be made, as arguments of `remove`, and a Docker command to run at the end."""
        if self.records:
            with self.records.open("a") as file:
                file.write(json.dumps([labels, images, last]) + "\n")

    def remove_what_was_written_down(self) -> None:
        """Remove everything that was recorded."""
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
        """Run a command that may use Docker; return its output.

        Args:
            command: the program and its arguments.
            folder: the folder to run it in.
            code: the expected exit code; None for any.
            timeout: the seconds that it may take.
            variables: environment variables in addition to the engine's.
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
        """Return the engine's data on containers, images and other objects."""
        found: list[dict[str, Any]] = json.loads(self.docker("inspect", *names))
        return found

    def exit_code(self, container: str, timeout: float = 60) -> int:
        """Wait until a container has ended; return its exit code."""
        return int(self.docker("wait", container, timeout=timeout).splitlines()[-1])

    def remove(self, *labels: str, images: str = "") -> None:
        """Remove all containers, volumes and networks with one of these labels, and images by their repository."""
        for label in labels:
            for kind, removal in {
                "container": ["rm", "--force", "--volumes"],
                "volume": ["rm"],
                "network": ["rm"],
            }.items():
                everything = ["--all"] if kind == "container" else []
                if names := self.docker(kind, "ls", "--quiet", *everything, f"--filter=label={label}").split():
                    self.docker(kind, *removal, *names)
        if images:
            # By name: images of two test processes may be the same one, and by its ID both would lose their names.
            listed = ["image", "ls", "--digests", "--format={{.Repository}} {{.Tag}} {{.Digest}}"]
            rows = [row.split() for row in self.docker(*listed, f"--filter=reference={images}").splitlines()]
            tagged = {f"{name}:{tag}" for name, tag, _ in rows if tag != "<none>"}
            untagged = {f"{name}@{digest}" for name, tag, digest in rows if tag == "<none>" and digest != "<none>"}
            if rows:
                self.docker("image", "rm", "--force", *tagged, *untagged, code=None)


def engine_of(run: Path | None) -> Engine | None:
    """Return the engine of a run with this folder, or of a run without one; None if no test needed it."""
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
    """Keep an engine running until the end of the block or of the run; never stop the machine's own.

    Raises:
        NoEngineError: there is no engine.
    """
    run = run_folder()
    # All processes of a run use the same engine, from the first use to the run's end.
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
        if block.language == PASTED and block.section == "Create the secrets"
    )
    subprocess.run(["bash", "-c", text], cwd=project, check=True)


class Deployment:
    """A project that runs on an engine by its compose.yaml, with its own name and ports."""

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
        """Return the deployment; the end of the block removes it from the engine."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the deployment's containers, volumes, networks and images."""
        self.engine.remove(f"com.docker.compose.project={self.name}", images=self.name)

    def compose(self, *arguments: str, code: int | None = 0, variables: Mapping[str, str] | None = None) -> str:
        """Run a compose command in the project's folder; return its output."""
        told = {**self.variables, **(variables or {})}
        return self.engine.run("docker", "compose", *arguments, folder=self.project, code=code, variables=told)

    def up(self, *services: str) -> str:
        """Start all services, or some, and wait until they are healthy."""
        try:
            return self.compose("up", "--detach", "--no-build", "--wait", *services)
        except AssertionError as error:
            error.add_note(self.compose("logs", "--no-color", "--tail=20", code=None))
            raise

    def container(self, service: str) -> dict[str, Any]:
        """Return the engine's data on a service's container."""
        (name,) = self.compose("ps", "--all", "--quiet", service).split()
        return self.engine.inspect(name)[0]

    def way_out(self) -> str:
        """Return this machine's IP address on the network `front`, where containers reach this machine's servers."""
        (front,) = self.engine.inspect(f"{self.name}_front")
        return str(front["IPAM"]["Config"][0]["Gateway"])

    def authority(self) -> str:
        """Return a file with the certificate of Caddy's authority, which makes the site trusted."""
        file = self.project.parent / f"{self.name}.pem"
        # Several threads may call this at once, and `cp` replaces a file that another has just made.
        with self.fetching:
            if not file.exists():
                self.compose("cp", "caddy:/data/caddy/pki/authorities/local/root.crt", str(file))
        return str(file)

    def session(self) -> requests.Session:
        """Return a visitor that trusts Caddy's authority."""
        visitor = requests.Session()
        visitor.trust_env = False
        visitor.verify = self.authority()
        return visitor

    def get(self, path: str, **headers: str) -> requests.Response:
        """Request a page as a new visitor, and return the answer."""
        with self.session() as visitor:
            return visitor.get(f"{self.url}{path}", headers=headers, timeout=60, allow_redirects=False)

    def sql(self, statement: str) -> str:
        """Run a statement in PostgreSQL, and return its output."""
        user = self.role = self.role or self.database_user()
        return self.compose(
            "exec", "--no-TTY", "database", "psql", "--username", user, "--tuples-only", "--command", statement
        )

    def database_user(self) -> str:
        """Return the site's database role and database."""
        variables = dict(value.split("=", 1) for value in self.container("database")["Config"]["Env"])
        return str(variables["POSTGRES_USER"])


class Projects:
    """Projects that are rendered, locked and built once for all tests of a process."""

    def __init__(self, engine: Engine, render: Any, folder: Path, slug: str, tag: str) -> None:
        self.engine, self.render, self.folder, self.slug, self.tag = engine, render, folder, slug, tag
        self.made: dict[str, Path] = {}
        engine.write_down(images=f"{slug}:*")

    def image(self, name: str) -> dict[str, str]:
        """Return the variables that name a project's images."""
        return {"IMAGE": f"{self.slug}:{self.tag}-{name}", "SMOKE_IMAGE": f"{self.slug}:{self.tag}-{name}-smoke"}

    def get(
        self,
        database: str = "postgresql",
        python_version: str = "3.13",
        tasks: str = "none",
        extras: tuple[str, ...] = (),
    ) -> tuple[Path, dict[str, str]]:
        """Return a project with its secrets, and the variables that name its images.

        The site's image is built. The smoke suite's image is built by compose when the suite runs.
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
        """Return a new deployment of a shared project, with containers, volumes and networks of its own."""
        project, images = self.get(database, tasks=tasks)
        return Deployment(self.engine, project, **images, **variables)

    def copied(
        self, folder: Path, database: str = "postgresql", tasks: str = "none", extras: tuple[str, ...] = ()
    ) -> Deployment:
        """Return a new deployment of a copy of a project, which the test may change."""
        project, images = self.get(database, tasks=tasks, extras=extras)
        return Deployment(self.engine, Path(shutil.copytree(project, folder / "project")), **images)

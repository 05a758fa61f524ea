"""docs/swarm.md is followed on a swarm of one machine, and no visitor notices a good or a bad release."""

import contextlib
import json
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from filelock import FileLock

from tests.support.containers import Engine, make_secrets
from tests.support.environments import run
from tests.support.faults import QUICK, text
from tests.support.limits import MEGABYTE
from tests.support.rendered import run_tool
from tests.support.rendering import question_choices
from tests.support.runbooks import Reader, blocks
from tests.support.servers import HANGS, eventually, free_port
from tests.support.slow_visitors import FORM, form_of, slow_visitors, status_of_announced
from tests.support.traffic import steady_traffic, visitors
from tests.support.turns import Turn
from tests.support.workers import ask_for_a_task, is_done

Render = Callable[..., Path]

# Blocks that cannot be run here as written: on a machine with several addresses, the first must be told which to use.
# The others have names and values to edit.
NOT_RUN = ["docker swarm init", "export DOMAIN=", 'docker exec "$(docker ps', "docker exec --interactive"]
# The label of swarms that belong to these tests.
OURS = "copier-django-tests"
# Seconds for a rolling update with its pauses, on a busy machine.
UPDATE = 180


class Stack:
    """A project on a swarm."""

    def __init__(self, engine: Engine, project: Path, slug: str, variables: dict[str, str]) -> None:
        self.engine, self.project, self.slug = engine, project, slug
        self.url = f"https://localhost:{variables['HTTPS_PORT']}"
        (project.parent / "state").mkdir()
        self.reader = Reader(project / "docs/swarm.md", project.parent / "state", {**engine.environment, **variables})

    def containers(self, service: str) -> list[dict[str, Any]]:
        """Return the engine's data on a service's running containers."""
        label = f"com.docker.swarm.service.name={self.slug}_{service}"
        names = self.engine.docker("ps", "--quiet", f"--filter=label={label}").split()
        return self.engine.inspect(*names) if names else []

    def session(self) -> requests.Session:
        """Return a visitor that trusts Caddy's certificate authority."""
        authority = self.project.parent / "authority.pem"
        if not authority.exists():
            (caddy,) = self.containers("caddy")
            self.engine.docker("cp", f"{caddy['Id']}:/data/caddy/pki/authorities/local/root.crt", authority)
        visitor = requests.Session()
        visitor.trust_env = False
        visitor.verify = str(authority)
        return visitor

    def status(self, path: str) -> int:
        """Return the status of the site's answer."""
        with self.session() as visitor:
            return visitor.get(f"{self.url}{path}", timeout=60).status_code

    def update_state(self) -> str:
        """Return the state of the last update of `web`."""
        (service,) = json.loads(self.engine.docker("service", "inspect", f"{self.slug}_web"))
        return str(service.get("UpdateStatus", {}).get("State"))

    def images(self) -> set[str]:
        """Return the images of the running containers of `web`."""
        return {each["Image"] for each in self.containers("web")}


def left(engine: Engine) -> bool:
    """Leave the swarm; return True if the engine is in none."""
    with contextlib.suppress(AssertionError):
        engine.docker("swarm", "leave", "--force")
    return "Swarm: inactive" in engine.docker("info")


@pytest.fixture
def stack(engine: Engine, render: Render, own_turn: Turn) -> Iterator[Stack]:
    """A committed project, a registry, and a swarm. A machine can be in only one swarm.

    While an engine joins or leaves a swarm, it cannot create networks for other tests.
    """
    slug, label, port = engine.slug(), engine.label(), free_port()
    engine.write_down(images=f"localhost:{port}/*")
    with FileLock("/tmp/copier-django-swarm.lock"):  # noqa: S108 - all runs on this machine share it
        if OURS in engine.docker("node", "inspect", "self", code=None):
            # An interrupted run has left its swarm.
            assert eventually(lambda: left(engine))
        if "Swarm: active" in engine.docker("info"):
            pytest.skip("this machine's Docker is part of a swarm already")
        project = render(project_slug=slug, ci="none", tasks="celery")
        QUICK(project)
        # Watch a new container for a shorter time: the broken release here fails at once.
        text("deploy/swarm.yaml", "monitor: 20s", "monitor: 8s")(project)
        engine.docker("build", "--target", "lock", "--output", ".", ".", folder=project)
        run(["git", "init", "--quiet"], project)
        run(["git", "add", "--all"], project)
        run(["git", "commit", "--quiet", "--message", "Start"], project)
        make_secrets(project)
        engine.docker("run", "--detach", f"--label={label}", f"--publish=127.0.0.1:{port}:5000", "registry:2")
        engine.write_down(last=["swarm", "leave", "--force"])
        with own_turn.alone():
            engine.docker("swarm", "init", "--advertise-addr=127.0.0.1")
        engine.docker("node", "update", f"--label-add={OURS}=true", engine.docker("node", "ls", "--quiet").strip())
        variables = {
            "REGISTRY": f"localhost:{port}",
            "HTTP_PORT": str(free_port()),
            "HTTPS_PORT": str(free_port()),
        }
        try:
            yield Stack(engine, project, slug, variables)
        finally:
            engine.docker("stack", "rm", slug)
            of_the_stack = f"--filter=label=com.docker.stack.namespace={slug}"
            eventually(lambda: not engine.docker("ps", "--all", "--quiet", of_the_stack))
            # A busy engine may exceed its own time limit for leaving a swarm. Then try again.
            with own_turn.alone():
                assert eventually(lambda: left(engine))
            engine.remove(label, f"com.docker.stack.namespace={slug}", images=f"localhost:{port}/*")
            engine.remove(images=slug)


@pytest.mark.parametrize("tasks", question_choices("tasks"))
def test_the_stack_file_follows_the_specification(render: Render, tasks: str) -> None:
    project = render(tasks=tasks)
    run_tool("check-jsonschema", "--builtin-schema", "vendor.compose-spec", "deploy/swarm.yaml", folder=project)


def test_the_stack_file_has_no_variable_that_a_swarm_cannot_fill_in(render: Render) -> None:
    """Of compose's forms, `docker stack` supports only ${NAME}, ${NAME:-default} and ${NAME:?error}."""
    assert not re.search(r"\$\{\w+:?\+", (render() / "deploy/swarm.yaml").read_text())


def test_no_visitor_notices_a_release(stack: Stack) -> None:
    reader = stack.reader
    others = [block.text for block in blocks(stack.project / "docs/swarm.md") if block.language != "bash"]
    assert [text.startswith(start) for text, start in zip(others, NOT_RUN, strict=True)] == [True] * len(NOT_RUN)
    undo, restore = others[2:]
    reader.follow("On several machines")
    push = reader.left[0].text
    reader.follow("Push the image")
    reader.follow("Start the stack")
    assert eventually(lambda: len(stack.containers("web")) == 2)
    assert eventually(lambda: stack.status("/ready/") == 200)
    with stack.session() as visitor:
        asked = ask_for_a_task(visitor, stack.url)
        assert eventually(lambda: is_done(visitor, stack.url, asked))
    first = stack.images()

    # Deploy a good release, and roll it back.
    (stack.project / "README.md").write_text("Another release.\n")
    run(["git", "commit", "--quiet", "--all", "--message", "Another release"], stack.project)
    reader.paste(push)
    with steady_traffic(*visitors(16, stack.session, stack.url)) as traffic:
        reader.follow("Deploy")
        second = stack.images()
        reader.follow("Roll back")
    assert not traffic.failures
    assert traffic.succeeded[200] > 100
    assert len(first) == len(second) == 1
    assert second != first
    assert stack.images() == first

    # Deploy a release that never becomes healthy. The swarm rolls it back by itself.
    broken = f"{reader_variable(reader, 'IMAGE')}-broken"
    (stack.project / "Broken").write_text(f'FROM {reader_variable(reader, "IMAGE")}\nENTRYPOINT ["sleep", "600"]\n')
    reader.paste(f"docker build --quiet --tag {broken} --file Broken . && docker push --quiet {broken}")
    with steady_traffic(*visitors(16, stack.session, stack.url)) as traffic:
        # Skip the half minute in which a new container may be unhealthy. The update itself is as in the stack's file.
        update = "--health-start-period=1s --health-interval=1s --detach"
        reader.paste(f"docker service update {update} --image {broken} {stack.slug}_web")
        deadline = time.monotonic() + UPDATE
        while stack.update_state() != "rollback_completed":
            assert time.monotonic() < deadline, stack.update_state()
            time.sleep(1)
    assert not traffic.failures
    assert stack.images() == first

    reader.follow("Change the number of containers")
    # The third container may still be answering its last request.
    assert eventually(lambda: len(stack.containers("web")) == 2)
    # Undo a migration, up to the last one here, and bring a backup back.
    assert "No migrations to apply" in reader.paste(undo.replace("APP KEEP", "accounts"))
    reader.follow("Limits")
    assert not reader.left
    reader.paste(f"docker service scale --detach=false {stack.slug}_web=0")
    reader.paste(restore)
    reader.paste(f"docker service scale --detach=false {stack.slug}_web=2")
    assert eventually(lambda: stack.status("/ready/") == 200)
    assert_limits_hold(stack)
    # The same restrictions as in compose.yaml, except those that a swarm does not support.
    limits = stack.containers("web")[0]["HostConfig"]
    assert (limits["ReadonlyRootfs"], limits["CapDrop"]) == (True, ["ALL"])
    assert limits["Memory"] > 0


def assert_limits_hold(stack: Stack) -> None:
    """Check that a body over the limit is refused, that /tmp has a limit, and that slow bodies block no page."""
    with stack.session() as visitor:
        trusted = ssl.create_default_context(cafile=str(visitor.verify))
        accepted = form_of(visitor.get(f"{stack.url}{FORM}", timeout=HANGS))

    def connect() -> socket.socket:
        connection = socket.create_connection(("localhost", int(stack.url.rsplit(":", 1)[1])), timeout=HANGS)
        return trusted.wrap_socket(connection, server_hostname="localhost")

    assert status_of_announced(connect, stack.url, 700 * MEGABYTE) == 413
    for container in stack.containers("web"):
        said = stack.engine.docker("exec", container["Id"], "df", "--block-size=M", "--output=size", "/tmp")  # noqa: S108 - its own
        assert said.split()[-1] == "100M"
    slow: dict[str, Any] = {"sent": 1_200_000, "length": 5_000_000, **accepted}
    with slow_visitors(20, connect, stack.url, **slow):
        for _ in range(4):
            assert stack.status("/health/") == 200
            assert stack.status(FORM) == 200


def reader_variable(reader: Reader, name: str) -> str:
    """Return a variable of the reader's shell."""
    return reader.paste(f'printf %s "${name}"')

"""The Docker image has the expected content, its container needs few rights, and each of its roles works."""

import re
import secrets
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.containers import Engine, Projects
from tests.support.rendered import run_tool
from tests.support.rendering import ROOT, question_choices
from tests.support.servers import eventually

Render = Callable[..., Path]

MEGABYTE = 1_000_000
BASE = "python:3.13-slim-trixie"


@pytest.fixture
def image(projects: Projects) -> str:
    """The image for the default answers."""
    return projects.get()[1]["IMAGE"]


@pytest.fixture
def container(engine: Engine) -> Iterator[Callable[..., str]]:
    """Start a container with as few rights as the image can do with: `container(image, *command)` returns its name."""
    label = engine.label()

    def start(image: str, *command: str, options: tuple[str, ...] = ("--network=none",), **variables: str) -> str:
        environment = {
            "SECRET_KEY": secrets.token_urlsafe(50),
            "ALLOWED_HOSTS": "localhost",
            "DATABASE_URL": "sqlite:////tmp/db.sqlite3",
            **variables,
        }
        told = [f"--env={name}={value}" for name, value in environment.items() if value]
        contained = ("--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", "--security-opt=no-new-privileges")
        return engine.docker(
            "run", "--detach", f"--label={label}", *contained, *options, *told, image, *command
        ).strip()

    yield start
    engine.remove(label)


def health(engine: Engine, name: str) -> str:
    """Return the status of the container's health check."""
    return str(engine.inspect(name)[0]["State"]["Health"]["Status"])


@pytest.mark.parametrize("python_version", question_choices("python_version"))
@pytest.mark.parametrize("database", question_choices("database"))
def test_every_variant_builds_and_knows_its_settings(
    engine: Engine, projects: Projects, database: str, python_version: str
) -> None:
    _, images = projects.get(database, python_version)
    variables = ["SECRET_KEY", "ALLOWED_HOSTS=localhost", "DATABASE_URL=sqlite:////tmp/db.sqlite3"]
    told = [part for variable in variables for part in ("--env", variable)]
    key = {"SECRET_KEY": secrets.token_urlsafe(50)}
    said = engine.docker("run", "--rm", *told, images["IMAGE"], "manage", "check", variables=key)
    assert "no issues" in said
    assert engine.docker("run", "--rm", images["IMAGE"], "python", "--version").startswith(f"Python {python_version}")


def test_the_image_adds_at_most_120_megabytes_to_its_base(
    engine: Engine, image: str, record_property: Callable[[str, object], None]
) -> None:
    ours, base = engine.inspect(image)[0], engine.inspect(BASE)[0]
    layers = base["RootFS"]["Layers"]
    assert ours["RootFS"]["Layers"][: len(layers)] == layers
    added = (ours["Size"] - base["Size"]) / MEGABYTE
    record_property("megabytes", round(added, 1))
    # A smaller image would lack packages.
    assert 40 < added <= 120


def test_what_is_in_the_image_is_accounted_for(engine: Engine, image: str) -> None:
    """The parts that docs/decisions.md lists add up to the image's size, within 10 MB."""
    said = re.search(r"\*\*[\d-]+ · The image adds (\d+) MB to its base\.\*\* (.*?)\n\n", decisions(), re.DOTALL)
    assert said, "docs/decisions.md accounts for no image"
    parts = [int(number) for number in re.findall(r"(\d+) MB", said[2])]
    ours, base = engine.inspect(image)[0]["Size"], engine.inspect(BASE)[0]["Size"]
    assert abs((ours - base) / MEGABYTE - int(said[1])) < 10
    assert abs(sum(parts) - int(said[1])) < 10


def decisions() -> str:
    """Return the page of decisions, with an empty line after the last decision."""
    return (ROOT / "docs/decisions.md").read_text() + "\n\n"


def test_the_image_holds_no_tests_no_tools_and_no_secret(engine: Engine, projects: Projects, image: str) -> None:
    project, _ = projects.get()
    found = engine.docker("run", "--rm", image, "find", "/app", "/venv", "-maxdepth", "2").splitlines()
    assert "/app/manage.py" in found
    assert "/app/staticfiles/staticfiles.json" in found
    unwanted = {"tests", "smoke", "docs", "secrets", ".env", ".git", "compose.yaml", "pytest", "mypy", "uv", "ruff"}
    assert not [path for path in found if path.rsplit("/", 1)[-1] in unwanted]
    history = engine.docker("history", "--no-trunc", image)
    assert (project / "secrets/secret_key").read_text() not in history
    assert "SECRET_KEY=" not in str(engine.inspect(image)[0]["Config"]["Env"])


def test_the_image_says_what_it_is(engine: Engine, projects: Projects, image: str) -> None:
    config = engine.inspect(image)[0]["Config"]
    assert config["User"] == "1001:1001"
    assert "DJANGO_SETTINGS_MODULE=config.settings.production" in config["Env"]
    labels = {name.rsplit(".", 1)[-1]: value for name, value in config["Labels"].items() if "opencontainers" in name}
    assert labels == {"title": projects.slug, "revision": "unknown", "name": f"docker.io/library/{BASE}"}


def test_it_serves_without_root_a_disk_or_a_network(engine: Engine, image: str, container: Callable[..., str]) -> None:
    """The container's health is that of the image's own health check."""
    name = container(image)
    assert eventually(lambda: health(engine, name) == "healthy"), engine.docker("logs", name)
    assert "uid=1001(app) gid=1001(app)" in engine.docker("exec", name, "id")
    engine.docker("exec", name, "touch", "/app/written", code=1)
    rights = engine.docker("exec", name, "cat", "/proc/1/status")
    assert re.search(r"^CapEff:\s0+$", rights, re.MULTILINE)
    assert re.search(r"^NoNewPrivs:\s1$", rights, re.MULTILINE)


def test_a_site_that_answers_no_more_is_unhealthy(engine: Engine, image: str, container: Callable[..., str]) -> None:
    name = container(
        image, options=("--network=none", "--health-interval=1s", "--health-retries=2", "--health-timeout=2s")
    )
    assert eventually(lambda: health(engine, name) == "healthy"), engine.docker("logs", name)
    engine.docker("pause", name)
    engine.docker("unpause", name)
    engine.docker("exec", name, "python", "-c", "import os, signal; os.kill(1, signal.SIGSTOP)", code=None)
    # A container's first process cannot be stopped from inside, but its workers can.
    stop = "import os, pathlib, signal; [os.kill(int(pid), signal.SIGSTOP) for pid in pathlib.Path('/proc/1/task/1/children').read_text().split()]"
    engine.docker("exec", name, "python", "-c", stop)
    assert eventually(lambda: health(engine, name) == "unhealthy")


def test_it_refuses_to_start_with_every_reason(engine: Engine, image: str, container: Callable[..., str]) -> None:
    name = container(image, SECRET_KEY="short", ALLOWED_HOSTS="", DATABASE_URL="")
    assert engine.exit_code(name) == 3
    said = engine.docker("logs", name)
    for variable in ("SECRET_KEY", "ALLOWED_HOSTS", "DATABASE_URL"):
        assert re.search(rf"^  {variable}: ", said, re.MULTILINE), said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("command", "variables", "code", "said"),
    [
        (["migrate"], {}, 0, "Applying accounts.0001_initial"),
        (["manage", "check"], {}, 0, "no issues"),
        (["manage", "no-such-command"], {}, 1, "Unknown command"),
        (["sh", "-c", "echo as given; exit 7"], {}, 7, "as given"),
        (["wbe"], {}, 127, "wbe is neither a role (web, migrate, manage, dev) nor a program in this image."),
        (["web"], {"RUN_MIGRATIONS": "maybe"}, 3, "RUN_MIGRATIONS is neither true nor false"),
        (["web"], {"RUN_MIGRATIONS": "true", "DATABASE_URL": "sqlite:////app/db.sqlite3"}, 3, "cannot be written"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_a_role_does_ends_with_the_right_code(
    engine: Engine,
    image: str,
    container: Callable[..., str],
    command: list[str],
    variables: dict[str, str],
    code: int,
    said: str,
) -> None:
    name = container(image, *command, **variables)
    assert engine.exit_code(name) == code, engine.docker("logs", name)
    assert said in engine.docker("logs", name)


def test_web_ends_at_once_when_it_is_told_to(engine: Engine, image: str, container: Callable[..., str]) -> None:
    name = container(image, RUN_MIGRATIONS="true")
    assert eventually(lambda: health(engine, name) == "healthy"), engine.docker("logs", name)
    assert "Applying accounts.0001_initial" in engine.docker("logs", name)
    # The exit code would be 137 if the engine had killed it after ten seconds.
    engine.docker("stop", "--time=10", name)
    assert engine.exit_code(name) == 0, engine.docker("logs", name)


@pytest.mark.parametrize("role", ["manage", "migrate"])
def test_a_command_ends_at_once_when_it_is_told_to(
    engine: Engine, image: str, container: Callable[..., str], role: str
) -> None:
    """Run with an init, as in compose.yaml: a container's first process ignores signals that it does not handle."""
    command = ["shell", "--command", "import time; print('up', flush=True); time.sleep(60)"]
    # A migration that waits for a lock that another process holds.
    waiting = "import fcntl, os; fcntl.flock(open('/tmp/db.sqlite3.migrate-lock', 'w'), fcntl.LOCK_EX); print('up', flush=True); os.system('/app/docker-entrypoint.sh migrate')"
    arguments = ["manage", *command] if role == "manage" else ["python", "-c", waiting]
    name = container(image, *arguments, options=("--network=none", "--init"))
    assert eventually(lambda: "up" in engine.docker("logs", name))
    engine.docker("stop", "--time=10", name)
    # 128 plus the signal's number. It would be 137 if the engine had killed it.
    assert engine.exit_code(name) == 143


def test_the_files_pass_hadolint(render: Render) -> None:
    for database in question_choices("database"):
        run_tool("hadolint", "Dockerfile", folder=render(database=database))


def test_no_file_of_the_image_fetches_another_dockerfile(render: Render) -> None:
    """A `# syntax=` line would fetch one."""
    assert "syntax=" not in (render() / "Dockerfile").read_text()


def test_stand_ins_are_named_like_what_projects_name(render: Render) -> None:
    known = set(
        subprocess.run([ROOT / "scripts/images", "--list"], capture_output=True, text=True, check=True).stdout.split()
    )
    named: set[str] = set()
    for python_version in question_choices("python_version"):
        project: Any = render(python_version=python_version)
        text = "".join((project / name).read_text() for name in ("Dockerfile", "compose.yaml"))
        named |= set(re.findall(r"(?:FROM |--from=|image: (?:&\w+ )?)([a-z./-]+:[\w.-]+)", text))
    assert named
    assert named <= known

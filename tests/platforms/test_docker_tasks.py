"""The workers in compose.yaml run tasks and stop cleanly, and the site's pages work without the broker."""

import os
import re
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from tests.support.containers import Deployment, Engine, Projects
from tests.support.environments import Environments
from tests.support.redis import Redis
from tests.support.runbooks import Reader
from tests.support.servers import HANGS, eventually, free_port
from tests.support.smoke import CHECKS
from tests.support.workers import ask_for_a_task, is_done

# The runbook's section about tasks.
TASKS = "Tasks and scheduled jobs"
WORKERS = {"database": ["worker", "schedule"], "celery": ["worker", "beat"]}
# Each answer to `tasks` with another database.
DATABASES = {"database": "sqlite", "celery": "postgresql"}


@pytest.fixture(scope="module", params=WORKERS)
def working(request: pytest.FixtureRequest, projects: Projects) -> Iterator[tuple[str, Deployment]]:
    """The answer to `tasks`, and a running site with workers."""
    with projects.deployment(DATABASES[request.param], request.param, FLOWER_PORT=str(free_port())) as deployment:
        deployment.up()
        yield request.param, deployment


def asked(site: Deployment) -> requests.Response:
    """Start a task, and return the answer."""
    with site.session() as visitor:
        return ask_for_a_task(visitor, site.url)


def done(site: Deployment, answer: requests.Response) -> bool:
    """Wait for the task; return False if it does not run."""
    with site.session() as visitor:
        return eventually(lambda: is_done(visitor, site.url, answer))


def test_the_smoke_suite_sees_that_tasks_are_done(working: tuple[str, Deployment]) -> None:
    said = working[1].compose("run", "--rm", "smoke")
    assert re.findall(r"^PASS  (.+?)(?:  .*)?$", said, re.MULTILINE) == CHECKS


def test_the_runbooks_section_about_tasks_is_followed(working: tuple[str, Deployment], tmp_path: Path) -> None:
    _, site = working
    (tmp_path / "state").mkdir()
    environment = {**site.engine.environment, **site.variables}
    reader = Reader(site.project / "docs/deploy.md", tmp_path / "state", environment)
    reader.left = [block for block in reader.left if block.heading == TASKS]
    try:
        assert "0 uploads would be deleted" in reader.follow(TASKS)
        # Restart the worker, as a deploy does. The other services keep running, because another test reads their logs.
        site.up("--no-deps", "worker")
        assert len(site.compose("ps", "--quiet", "worker").split()) == 2
    finally:
        (site.project / ".env").unlink(missing_ok=True)
        site.up("--no-deps", "worker")
    assert done(site, asked(site))


def test_workers_are_held_to_what_they_need(working: tuple[str, Deployment]) -> None:
    tasks, site = working
    for service in [*WORKERS[tasks], *(["broker"] if tasks == "celery" else [])]:
        container = site.container(service)
        limits = container["HostConfig"]
        assert limits["ReadonlyRootfs"] is True, service
        assert limits["CapDrop"] == ["ALL"]
        assert not limits["CapAdd"]
        assert limits["Memory"] > 0
        assert limits["RestartPolicy"]["Name"] == "unless-stopped"
        assert container["Config"]["User"] in ("1001:1001", "999:999")
        assert not any((container["NetworkSettings"]["Ports"] or {}).values())


def test_the_broker_is_a_secret_and_may_be_elsewhere(working: tuple[str, Deployment]) -> None:
    tasks, site = working
    file = site.project / "secrets/broker_url"
    assert file.exists() == (tasks == "celery")
    if tasks == "database":
        return
    ours, elsewhere = file.read_text(), f"amqp://site:{secrets.token_hex()}@broker.example.com/site"
    file.write_text(elsewhere)
    try:
        code = "from django.conf import settings; print(settings.CELERY_BROKER_URL)"
        assert elsewhere in site.compose("run", "--rm", "--no-deps", "worker", "manage", "shell", "--command", code)
    finally:
        file.write_text(ours)
    for service in ("web", "worker", "beat"):
        assert ours not in str(site.container(service))


def test_what_is_done_now_and_then_is_done(working: tuple[str, Deployment]) -> None:
    tasks, site = working
    if tasks == "database":
        assert eventually(lambda: "Expired sessions" in site.compose("logs", "--no-color", "schedule"))
        return
    assert eventually(lambda: "DatabaseScheduler" in site.compose("logs", "--no-color", "beat"))
    assert eventually(lambda: "Clean up" in site.sql("SELECT name FROM django_celery_beat_periodictask"))


def test_workers_end_by_themselves_when_they_are_told_to(working: tuple[str, Deployment]) -> None:
    tasks, site = working
    for service in WORKERS[tasks]:
        site.compose("stop", service)
        # The exit code would be 137 if the engine had killed it, which it does after 10 s, and after 75 s for a worker.
        assert site.container(service)["State"]["ExitCode"] == 0, service
    site.up()
    assert done(site, asked(site))


def test_a_worker_that_was_killed_comes_back(working: tuple[str, Deployment]) -> None:
    _, site = working
    before = site.container("worker")["RestartCount"]
    # Kill the process from the host: Docker restarts a container only if Docker itself has not stopped it.
    process = site.container("worker")["State"]["Pid"]
    site.engine.run("kill", "-KILL", str(process))
    assert eventually(lambda: site.container("worker")["RestartCount"] > before)
    assert done(site, asked(site))


def test_pages_go_on_without_the_broker_and_say_so(working: tuple[str, Deployment]) -> None:
    tasks, site = working
    if tasks == "database":
        # Here the broker is the database, without which the site does not work at all.
        return
    site.compose("stop", "broker")
    try:
        assert asked(site).status_code == 503
        assert site.get("/").status_code == 200
        assert site.get("/ready/").status_code == 200
    finally:
        site.compose("start", "broker")
    assert eventually(lambda: asked(site).status_code == 202)
    assert done(site, asked(site))


def test_flower_wants_its_password_and_is_of_this_machine_alone(working: tuple[str, Deployment]) -> None:
    tasks, site = working
    if tasks == "database":
        # Tasks are shown in the admin instead.
        return
    site.compose("--profile", "flower", "up", "--detach", "--build", "--no-deps", "flower")
    address = f"http://127.0.0.1:{site.variables['FLOWER_PORT']}/"

    def status(password: str) -> int | None:
        try:
            return requests.get(address, auth=("flower", password), timeout=HANGS).status_code
        except requests.ConnectionError:
            return None

    password = (site.project / "secrets/flower_password").read_text()
    assert eventually(lambda: status(password) == 200), site.compose("logs", "flower")
    assert status("wrong") == 401
    (published,) = site.container("flower")["NetworkSettings"]["Ports"]["5555/tcp"]
    assert published["HostIp"] == "127.0.0.1"


@pytest.mark.parametrize("tasks", WORKERS)
def test_the_development_site_has_workers_where_it_is_told_so(projects: Projects, tmp_path: Path, tasks: str) -> None:
    with projects.copied(tmp_path, DATABASES[tasks], tasks) as site:
        port = free_port()
        stat = site.project.stat()
        site.variables |= {
            "WEB_PORT": str(port),
            "DEV_USER": f"{stat.st_uid}:{stat.st_gid}",
            "COMPOSE_FILE": "compose.dev.yaml",
            "COMPOSE_PROFILES": "tasks",
        }
        url = f"http://localhost:{port}"
        try:
            site.compose("up", "--detach", "--build", "--wait")
            assert set(WORKERS[tasks]) < set(site.compose("ps", "--services").split())
            with requests.Session() as visitor:
                first = ask_for_a_task(visitor, url)
                assert eventually(lambda: is_done(visitor, url, first)), site.compose("logs")
                site.compose("stop", "worker")
                second = ask_for_a_task(visitor, url)
                assert not is_done(visitor, url, second)
                site.compose("start", "worker")
                assert eventually(lambda: is_done(visitor, url, second)), site.compose("logs")
        finally:
            site.compose("down", "--volumes", code=None)
            site.engine.remove(images=f"{projects.slug}:dev")


def test_make_dev_all_starts_redis_where_none_answers(
    engine: Engine, render: Callable[..., Path], environments: Environments, tmp_path: Path
) -> None:
    """On any platform: the image is Redis's own."""
    project = render(platform="gunicorn", tasks="celery", ci="none", project_slug=(slug := engine.slug()))
    engine.write_down(last=["rm", "--force", f"{slug}-redis"])
    env = environments.at_work(project)
    variables = env | {"PATH": f"{env['PATH']}{os.pathsep}{engine.environment['PATH']}"}
    server = Redis(tmp_path, free_port())
    try:
        engine.run("make", "broker", f"REDIS_PORT={server.port}", folder=project, variables=variables)
        assert eventually(lambda: server.ask("PING") == "+PONG")
        # One that answers is used.
        engine.run("make", "broker", f"REDIS_PORT={server.port}", folder=project, variables=variables)
        assert engine.docker("ps", "--quiet", f"--filter=name={slug}-redis").count("\n") == 1
    finally:
        engine.docker("rm", "--force", f"{slug}-redis", code=None)

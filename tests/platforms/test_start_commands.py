"""Each platform's own start command serves the site under production settings."""

import os
import re
import secrets
import shlex
import socket
from collections.abc import Callable
from pathlib import Path

import requests
from honcho.environ import parse_procfile

from tests.support.databases import postgresql
from tests.support.environments import Environments, project_environment, run
from tests.support.servers import Running, free_port, running

Render = Callable[..., Path]


class Site:
    """A rendered project, installed and with its database and static files, ready to be started."""

    def __init__(self, render: Render, environments: Environments, **answers: str) -> None:
        self.project = render(**answers)
        self.bin = environments.install(self.project)
        self.port = free_port()

    def environment(self, database_url: str, forwarded_allow_ips: str = "127.0.0.1") -> dict[str, str]:
        """What a platform sets before it starts anything."""
        return project_environment(
            self.bin,
            DJANGO_SETTINGS_MODULE="config.settings.production",
            SECRET_KEY=secrets.token_urlsafe(50),
            ALLOWED_HOSTS="localhost",
            DATABASE_URL=database_url,
            FORWARDED_ALLOW_IPS=forwarded_allow_ips,
            PORT=str(self.port),
        )

    def prepare(self, env: dict[str, str]) -> None:
        """What a release does before the site is started."""
        run(["python", "manage.py", "migrate", "--noinput"], self.project, env=env)
        run(["python", "manage.py", "collectstatic", "--noinput"], self.project, env=env)

    def assert_home_page(
        self, server: Running, *, port: int | None = None, headers: dict[str, str] | None = None
    ) -> None:
        """See that `/` answers with 200, and with the site's name."""
        url = f"http://localhost:{port or self.port}/"
        server.wait_until_it_answers(url)
        answer = requests.get(url, headers=headers, allow_redirects=False, timeout=10)
        assert (answer.status_code, "Todo List" in answer.text) == (200, True), server.output()


HTTPS = {"X-Forwarded-Proto": "https"}


def test_the_procfile_serves_the_site(render: Render, environments: Environments, tmp_path: Path) -> None:
    site = Site(render, environments, platform="heroku")
    processes = parse_procfile((site.project / "Procfile").read_text()).processes
    with postgresql() as database:
        # A dyno is reached by the router alone, and is told so.
        env = site.environment(database.url, forwarded_allow_ips="*")
        site.prepare(env)
        run(["sh", "-c", processes["release"]], site.project, env=env)
        with running(processes["web"], site.project, env, tmp_path / "log") as server:
            site.assert_home_page(server, headers=HTTPS)


def test_the_wsgi_file_serves_the_site_as_https(render: Render, environments: Environments, tmp_path: Path) -> None:
    site = Site(render, environments, platform="pythonanywhere", database="sqlite", project_slug="project")
    env = {**site.environment("sqlite:///db.sqlite3"), "HOME": str(site.project.parent)}
    site.prepare(env)
    wsgi_file = "--wsgi-file=deploy/pythonanywhere_wsgi.py"
    command = ["uwsgi", f"--http-socket=127.0.0.1:{site.port}", wsgi_file, "--need-app", "--die-on-term"]
    with running(command, site.project, env, tmp_path / "log") as server:
        site.assert_home_page(server)


def test_the_containers_entrypoint_serves_the_site(render: Render, environments: Environments, tmp_path: Path) -> None:
    site = Site(render, environments, platform="docker")
    with postgresql() as database:
        env = site.environment(database.url)
        run(["./docker-entrypoint.sh", "manage", "collectstatic", "--noinput"], site.project, env=env)
        run(["./docker-entrypoint.sh", "migrate"], site.project, env=env)
        with running(["./docker-entrypoint.sh", "web"], site.project, env, tmp_path / "log") as server:
            site.assert_home_page(server, headers=HTTPS)


def test_the_unit_serves_the_site_from_its_socket(render: Render, environments: Environments, tmp_path: Path) -> None:
    site = Site(render, environments, platform="gunicorn")
    unit = (site.project / "deploy/systemd/web.service").read_text()
    (start,) = re.findall("^ExecStart=(.*)$", unit, re.MULTILINE)
    program, *arguments = shlex.split(start.replace("/srv/todo-list/current/.venv", str(site.bin.parent)))
    with postgresql() as database, socket.create_server(("127.0.0.1", 0)) as listening:
        env = {**site.environment(database.url), "LISTEN_FDS": "1"}
        site.prepare(env)

        # As systemd does: the socket is the process's third file, and it is told its own id.
        def hand_over() -> None:
            os.dup2(listening.fileno(), 3)

        script = ["sh", "-c", 'LISTEN_PID=$$ exec "$@"', "sh", program, *arguments]
        with running(script, site.project, env, tmp_path / "log", preexec_fn=hand_over, close_fds=False) as server:
            site.assert_home_page(server, port=listening.getsockname()[1], headers=HTTPS)

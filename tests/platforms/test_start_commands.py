"""Each platform's own start command serves the site under production settings."""

import os
import re
import shlex
import socket
from collections.abc import Callable
from pathlib import Path

import requests
from honcho.environ import parse_procfile

from tests.support.databases import postgresql
from tests.support.environments import Environments, run
from tests.support.servers import HANGS, Running, running
from tests.support.sites import HTTPS, Site

Render = Callable[..., Path]


def assert_home_page(server: Running, url: str, headers: dict[str, str] | None = None) -> None:
    """Assert that `/` answers 200 with the site's name."""
    server.wait_until_it_answers(url)
    answer = requests.get(url, headers=headers, allow_redirects=False, timeout=HANGS)
    assert (answer.status_code, "Todo List" in answer.text) == (200, True), server.output()


def test_the_procfile_serves_the_site(render: Render, environments: Environments, tmp_path: Path) -> None:
    with postgresql() as database:
        site = Site(render(platform="heroku"), environments, database.url)
        processes = parse_procfile((site.project / "Procfile").read_text()).processes
        site.manage("collectstatic", "--noinput")
        run(["sh", "-c", processes["release"]], site.project, env=site.environment())
        with running(processes["web"], site.project, site.environment(), tmp_path / "log") as server:
            assert_home_page(server, site.url, HTTPS)
            # A CDN that asks by http gets a redirect to what its visitor has asked for, again and again. The router replaces the
            # CDN's X-Forwarded-Proto by what it was asked by.
            told = {"Host": "localhost", "X-Forwarded-Proto": "http"}
            answer = requests.get(f"{site.url}/page", headers=told, allow_redirects=False, timeout=HANGS)
            assert (answer.status_code, answer.headers["Location"]) == (301, "https://localhost/page")


def test_the_wsgi_file_serves_the_site_as_https(render: Render, environments: Environments, tmp_path: Path) -> None:
    project = render(platform="pythonanywhere", database="sqlite")
    site = Site(project, environments, "sqlite:///db.sqlite3")
    site.prepare()
    # The release is in the account's home folder, and the WSGI file finds it only there.
    home = tmp_path / "home"
    (home / "todo-list").mkdir(parents=True)
    (home / "todo-list/current").symlink_to(project)
    env = site.environment(HOME=str(home))
    wsgi_file = f"--wsgi-file={project}/deploy/pythonanywhere_wsgi.py"
    command = ["uwsgi", f"--http-socket=127.0.0.1:{site.port}", wsgi_file, "--need-app", "--die-on-term"]
    with running(command, Path("/"), env, tmp_path / "log") as server:
        assert_home_page(server, site.url)


def test_the_containers_entrypoint_serves_the_site(render: Render, environments: Environments, tmp_path: Path) -> None:
    with postgresql() as database:
        site = Site(render(platform="docker"), environments, database.url)
        env = site.environment()
        run(["./docker-entrypoint.sh", "manage", "collectstatic", "--noinput"], site.project, env=env)
        run(["./docker-entrypoint.sh", "migrate"], site.project, env=env)
        with running(["./docker-entrypoint.sh", "web"], site.project, env, tmp_path / "log") as server:
            assert_home_page(server, site.url, HTTPS)


def test_the_unit_serves_the_site_from_its_socket(render: Render, environments: Environments, tmp_path: Path) -> None:
    with postgresql() as database, socket.create_server(("127.0.0.1", 0)) as listening:
        site = Site(render(platform="gunicorn"), environments, database.url)
        site.prepare()
        unit = (site.project / "deploy/systemd/web.service").read_text()
        (start,) = re.findall("^ExecStart=(.*)$", unit, re.MULTILINE)
        command = shlex.split(start.replace(".venv", str(site.bin.parent)))
        # Like systemd: the socket is file descriptor 3, and LISTEN_PID is the process's own ID.
        script = ["sh", "-c", 'LISTEN_PID=$$ exec "$@"', "sh", *command]

        def hand_over() -> None:
            os.dup2(listening.fileno(), 3)

        env, url = site.environment(LISTEN_FDS="1"), f"http://localhost:{listening.getsockname()[1]}"
        with running(script, site.project, env, tmp_path / "log", preexec_fn=hand_over, close_fds=False) as server:
            assert_home_page(server, url, HTTPS)

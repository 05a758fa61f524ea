"""A rendered project under production settings, installed and ready to be started."""

import contextlib
import secrets
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

import requests

from tests.support.environments import Environments, project_environment, run
from tests.support.faults import QUICK
from tests.support.servers import HANGS, Running, free_port, running

# What a proxy that ends TLS tells the server behind it.
HTTPS = {"X-Forwarded-Proto": "https"}


class Site:
    """A project with its environment, its variables and a port of its own."""

    def __init__(self, project: Path, environments: Environments, database_url: str) -> None:
        self.project = project
        self.bin = environments.install(project)
        settings = tomllib.loads((project / "pyproject.toml").read_text())["tool"]["smoke"]
        self.variables = {
            **settings.get("variables", {}),
            "DJANGO_SETTINGS_MODULE": "config.settings.production",
            "SECRET_KEY": secrets.token_urlsafe(50),
            "ALLOWED_HOSTS": "localhost",
            "DATABASE_URL": database_url,
            "FORWARDED_ALLOW_IPS": "*",
        }
        self.move_to(free_port())

    def move_to(self, port: int) -> None:
        """Serve at another port from now on."""
        self.port = port
        self.url = f"http://localhost:{port}"
        self.variables = {**self.variables, "PORT": str(port)}

    def environment(self, **variables: str) -> dict[str, str]:
        """What a platform sets before it starts anything, with `variables` over it."""
        return project_environment(self.bin, **{**self.variables, **variables})

    def manage(self, *command: str, **variables: str) -> str:
        """Run one of Django's commands and give back what it printed."""
        return run(["python", "manage.py", *command], self.project, env=self.environment(**variables))

    def prepare(self) -> None:
        """Do what a release does before the site is started."""
        self.manage("migrate", "--noinput")
        QUICK(self.project)
        self.manage("collectstatic", "--noinput")

    @contextlib.contextmanager
    def started(self, log: Path, command: Sequence[str] = ("gunicorn",), **variables: str) -> Iterator[Running]:
        """The site, served by `command` until the end of the block."""
        with running(list(command), self.project, self.environment(**variables), log) as server:
            server.wait_until_it_answers(f"{self.url}/health/")
            yield server

    def get(self, path: str, **headers: str) -> requests.Response:
        """Ask for a page as the proxy in front would; redirects are not followed."""
        return requests.get(f"{self.url}{path}", headers={**HTTPS, **headers}, allow_redirects=False, timeout=HANGS)

    def post(self, path: str, page: requests.Response, fields: dict[str, str], **headers: str) -> requests.Response:
        """Send a form of a page that was got, with its cookies; redirects are not followed."""
        sent = {**HTTPS, "Referer": f"https://localhost:{self.port}/", **headers}
        cookies = "; ".join(f"{name}={value}" for name, value in page.cookies.items())
        return requests.post(
            f"{self.url}{path}", fields, headers={**sent, "Cookie": cookies}, allow_redirects=False, timeout=HANGS
        )

"""Start a rendered and installed project under production settings."""

import contextlib
import secrets
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

import requests

from tests.support.environments import Environments, project_environment, run
from tests.support.faults import QUICK
from tests.support.servers import HANGS, Running, free_port, running

# The headers that a proxy that terminates TLS sends to the server.
HTTPS = {"X-Forwarded-Proto": "https"}


class Site:
    """A project with its environment, its variables and its own port."""

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
        """Use another port from now on."""
        self.port = port
        self.url = f"http://localhost:{port}"
        self.variables = {**self.variables, "PORT": str(port)}

    def environment(self, **variables: str) -> dict[str, str]:
        """Return the environment that a platform sets, with `variables` on top."""
        return project_environment(self.bin, **{**self.variables, **variables})

    def manage(self, *command: str, **variables: str) -> str:
        """Run one of Django's commands and return its output."""
        return run(["python", "manage.py", *command], self.project, env=self.environment(**variables))

    def prepare(self) -> None:
        """Prepare the site as a release does before the start: migrate and collect static files."""
        self.manage("migrate", "--noinput")
        QUICK(self.project)
        self.manage("collectstatic", "--noinput")

    @contextlib.contextmanager
    def started(self, log: Path, command: Sequence[str] = ("gunicorn",), **variables: str) -> Iterator[Running]:
        """Serve the site by `command` until the end of the block."""
        with running(list(command), self.project, self.environment(**variables), log) as server:
            server.wait_until_it_answers(f"{self.url}/health/")
            yield server

    def get(self, path: str, **headers: str) -> requests.Response:
        """Request a page as the proxy in front does; do not follow redirects."""
        return requests.get(f"{self.url}{path}", headers={**HTTPS, **headers}, allow_redirects=False, timeout=HANGS)

    def post(self, path: str, page: requests.Response, fields: dict[str, str], **headers: str) -> requests.Response:
        """Send a form of a page that was requested, with its cookies; do not follow redirects."""
        sent = {**HTTPS, "Referer": f"https://localhost:{self.port}/", **headers}
        cookies = "; ".join(f"{name}={value}" for name, value in page.cookies.items())
        return requests.post(
            f"{self.url}{path}", fields, headers={**sent, "Cookie": cookies}, allow_redirects=False, timeout=HANGS
        )

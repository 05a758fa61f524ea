"""Measure a site beside others, in one run, and write the table into docs/benchmarks.md.

`make benchmark` does it in benchmarks/growth.py, which needs the same sites.

All sites are in one folder, with the same Python, the same packages and the same PostgreSQL, and have two workers. In turns, and
three rounds, so that other load on the machine slows all alike:

- the project under its own gunicorn.conf.py, and the same project under granian and uWSGI;
- the project with a connection to the database for each request;
- bare: a WSGI function that answers two bytes, under the project's gunicorn.conf.py;
- startproject: what `django-admin startproject` makes, with WhiteNoise and one page, under the project's gunicorn.conf.py;
- usual: the same with django-allauth, PostgreSQL in a transaction for each request and gunicorn's default worker, as
  cookiecutter-django's documentation describes production.

wrk (Debian's package) sends the requests: 8 connections with keep-alive, to loopback.
"""

import contextlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import requests

from benchmarks import page
from benchmarks.other_sites import add_other_sites
from tests.support.databases import PostgreSQL, postgresql
from tests.support.environments import Environments, run, uv
from tests.support.faults import route
from tests.support.rendering import render, template_copy
from tests.support.servers import Running, free_port, running
from tests.support.sites import HTTPS, Site

ROUNDS = 3
# Seconds that wrk sends requests to one page, each round.
SECONDS = 1
CONNECTIONS = 8
# What the project is compared with.
HEALTH, HOME, QUERY, STATIC, LOGIN = "health", "home", "query", "static file", "login"


@dataclass(frozen=True)
class Served:
    """A site that is measured.

    Attributes:
        command: the program that serves it, with {port} for the port.
        paths: the path of each page that it has.
        variables: environment variables of its own.
    """

    command: str
    paths: dict[str, str]
    variables: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """What wrk measured: requests a second, and the milliseconds that half, and 99 of 100, took at most."""

    rate: float
    p50: float
    p99: float


# What the proxy of a platform sends, and a browser.
HEADERS = {**HTTPS, "X-Forwarded-For": "192.0.2.1", "Host": "localhost", "Accept-Encoding": "gzip"}
MILLISECONDS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


def asked(url: str) -> Answer:
    """Send requests to a page for SECONDS.

    Raises:
        ValueError: an answer was not the page, or wrk said something else.
    """
    # wrk counts a redirect as a success.
    first = requests.get(url, headers=HEADERS, allow_redirects=False, timeout=60)
    if first.status_code != 200:
        raise ValueError(f"{url} is answered {first.status_code} by {first.headers}")
    headers = [word for name, value in HEADERS.items() for word in ("--header", f"{name}: {value}")]
    command = [
        "wrk",
        "--threads=1",
        f"--connections={CONNECTIONS}",
        f"--duration={SECONDS}s",
        "--latency",
        *headers,
        url,
    ]
    said = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    if "Non-2xx" in said:
        raise ValueError(f"{url} was not always answered 200:\n{said}")
    rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
    times = {
        share: float(value) * MILLISECONDS[unit]
        for share, value, unit in re.findall(r"(50|99)%\s+([\d.]+)(us|ms|s)\b", said)
    }
    if rate is None:
        raise ValueError(f"wrk said no rate:\n{said}")
    return Answer(float(rate[1]), times["50"], times["99"])


def workers(server: Running) -> list[int]:
    """Return the process IDs of a server's workers: its children, and for a server without any, itself."""
    pid = server.process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in children] or [pid]


def megabytes(server: Running) -> float:
    """Return the memory of one worker in MB: the proportional set size, in which shared pages are divided."""
    sizes = [
        int(re.search(r"(?m)^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text())[1])  # type: ignore[index] # Linux writes this line
        for pid in workers(server)
    ]
    return statistics.mean(sizes) / 1024


class Comparison:
    """The sites, each prepared once, and what was measured."""

    def __init__(self, scratch: Path, database: PostgreSQL) -> None:
        self.scratch = scratch
        project = render(template_copy(scratch / "template"), scratch / "project", platform="gunicorn")
        route(
            "^query/$",
            "lambda request: HttpResponse(str(__import__('apps.accounts.models').accounts.models.User.objects.count()))",
        )(project)
        self.site = Site(project, Environments(made(scratch / "environments")), database.create("project"))
        run(
            [uv(), "pip", "install", "--quiet", "--python", str(self.site.bin / "python"), "granian", "pyuwsgi"],
            project,
        )
        self.site.prepare()
        others = add_other_sites(self.site, database)
        css = next((project / "staticfiles").glob("site.????????????.css")).name
        paths = {HEALTH: "/health/", HOME: "/", QUERY: "/query/", STATIC: f"/static/{css}", LOGIN: "/accounts/login/"}
        own = "gunicorn --bind=127.0.0.1:{port}"
        uwsgi = "uwsgi --http-socket=127.0.0.1:{port} --http-keepalive --wsgi=config.wsgi:application --master --processes=2 --threads=4 --enable-threads --need-app --disable-logging --die-on-term"
        plain = {
            HEALTH: "/health/",
            HOME: "/",
            QUERY: "/query/",
            STATIC: "/static/" + others.style_sheet,
            LOGIN: "/login/",
        }
        self.served = {
            "project": Served(own, paths),
            "project, granian": Served(
                "granian --interface=wsgi --host=127.0.0.1 --port={port} --workers=2 --blocking-threads=4 behind_proxy:application",
                paths,
            ),
            "project, uWSGI": Served(uwsgi, paths),
            "project, new connections": Served(own, {QUERY: paths[QUERY]}, {"CONN_MAX_AGE": "0"}),
            "bare": Served(f"{own} bare:application", {HEALTH: "/"}),
            "startproject": Served(
                f"{own} plain.wsgi:application", plain, {"DJANGO_SETTINGS_MODULE": "plain.settings"}
            ),
            "usual": Served(
                "gunicorn --config=/dev/null --workers=2 --bind=127.0.0.1:{port} usual.wsgi:application",
                {**plain, LOGIN: "/accounts/login/"},
                {"DJANGO_SETTINGS_MODULE": "usual.settings"},
            ),
        }
        self.answers: dict[tuple[str, str], list[Answer]] = {}
        self.memory: dict[str, list[float]] = {}
        self.starts: dict[str, list[float]] = {}

    @contextlib.contextmanager
    def started(self, name: str) -> Iterator[tuple[Running, str]]:
        """Serve a site until the end of the block; yield the server and the site's URL."""
        served, port = self.served[name], free_port()
        command = served.command.format(port=port).split()
        environment = self.site.environment(PORT=str(port), **served.variables)
        with running(command, self.site.project, environment, self.scratch / "log") as server:
            url = f"http://127.0.0.1:{port}"
            began = time.perf_counter()
            server.wait_until_it_answers(url + next(iter(served.paths.values())))
            self.starts.setdefault(name, []).append(time.perf_counter() - began)
            yield server, url

    def round(self) -> None:
        """Measure all pages of all sites once."""
        for name, served in self.served.items():
            with self.started(name) as (server, url):
                for about, path in served.paths.items():
                    self.answers.setdefault((name, about), []).append(asked(url + path))
                self.memory.setdefault(name, []).append(megabytes(server))

    def rate(self, name: str, about: str) -> float:
        """Return the median of requests a second."""
        return statistics.median(answer.rate for answer in self.answers[name, about])


def made(folder: Path) -> Path:
    """Create a folder, and return it."""
    folder.mkdir()
    return folder


def require_wrk() -> None:
    """End if wrk is missing, before anything is prepared."""
    if not shutil.which("wrk"):
        sys.exit("Nothing was measured: wrk is missing. On Debian: apt-get install wrk")


def compare(comparison: Comparison) -> None:
    """Measure all sites in turns, print, and write the page."""
    for _ in range(ROUNDS):
        comparison.round()
    figures = page.sites(comparison.answers, comparison.memory, comparison.starts)
    sys.stdout.write(figures)
    page.write("sites", figures)


def main() -> None:
    """Compare the sites."""
    require_wrk()
    with tempfile.TemporaryDirectory(prefix="copier-django-benchmark-") as scratch, postgresql() as database:
        Path(scratch).chmod(0o755)
        compare(Comparison(Path(scratch), database))


if __name__ == "__main__":
    main()

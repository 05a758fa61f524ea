"""The site enforces limits by itself if no proxy does: on Heroku, and behind a proxy that does not buffer bodies."""

import json
import socket
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.databases import PostgreSQL
from tests.support.environments import Environments
from tests.support.limits import MEGABYTE, PLATFORMS, limits
from tests.support.servers import eventually, running
from tests.support.sites import HTTPS, Site
from tests.support.slow_visitors import FORM, form_of, head, slow_visitors, status_of_announced

Render = Callable[..., Path]


def connecting(site: Site) -> Callable[[], socket.socket]:
    """Return a function that connects to the site as a proxy does that passes everything on."""
    return lambda: socket.create_connection(("127.0.0.1", site.port))


@pytest.mark.parametrize("read", [True, False], ids=["that the site reads", "that the site refuses unread"])
def test_slow_bodies_stop_no_page(site: Site, tmp_path: Path, read: bool) -> None:
    """Sixteen slow bodies against eight threads, on persistent connections like those of Heroku's router."""
    with site.started(tmp_path / "log", ["gunicorn", "--keep-alive=95"]):
        accepted = form_of(site.get(FORM)) if read else {}
        slow = {"sent": 1000, "length": MEGABYTE, "X_Forwarded_Proto": "https", **accepted}
        with slow_visitors(16, connecting(site), site.url, **slow):  # type: ignore[arg-type] # some are headers
            for _ in range(5):
                assert site.get("/health/").status_code == 200
                assert site.get(FORM).status_code == 200


def test_a_form_is_accepted_again_after_slow_ones(site: Site, tmp_path: Path) -> None:
    with site.started(tmp_path / "log", WEB_CONCURRENCY="1", GUNICORN_THREADS="2"):
        page = site.get(FORM)
        sent = {"csrfmiddlewaretoken": form_of(page)["X-CSRFToken"], "login": "a@example.com", "password": "wrong"}
        with slow_visitors(
            1, connecting(site), site.url, sent=1000, length=MEGABYTE, X_Forwarded_Proto="https", **form_of(page)
        ):
            busy = site.post(FORM, page, sent)
            assert (busy.status_code, busy.headers["Retry-After"]) == (503, "60")
        assert eventually(lambda: site.post(FORM, page, sent).status_code == 200)


@pytest.mark.parametrize("platform", ["heroku", "pythonanywhere"])
def test_a_body_over_the_limit_is_refused_before_it_is_read(
    platform: str, render: Render, environments: Environments, tmp_path: Path
) -> None:
    """The platform's server refuses it: no proxy of the template is in front."""
    site = Site(render(platform=platform), environments, "sqlite:///nothing.sqlite3")
    site.manage("collectstatic", "--noinput")
    start = tomllib.loads((site.project / "pyproject.toml").read_text())["tool"]["smoke"]["start"]
    (tmp_path / "home").mkdir()
    env = site.environment(TMPDIR=str(tmp_path / "home"), MAX_BODY_MB="1")
    with running(["sh", "-c", start], site.project, env, tmp_path / "log") as server:
        server.wait_until_it_answers(f"{site.url}/health/")
        assert status_of_announced(connecting(site), site.url, MEGABYTE + 1, **HTTPS) == 413
        with socket.create_connection(("127.0.0.1", site.port)) as connection:
            connection.sendall(head(site.url, 10, **HTTPS) + b"x" * 10)
            assert connection.recv(100).split()[1] == b"403"


def test_django_and_allauth_limit_what_the_table_says(site: Site) -> None:
    code = (
        "import json; from allauth.account import app_settings; from django.conf import settings;"
        "print(json.dumps([settings.DATA_UPLOAD_MAX_MEMORY_SIZE, app_settings.RATE_LIMITS]))"
    )
    in_memory, rates = json.loads(site.manage("shell", "--verbosity=0", "--command", code))
    table = limits(site.project)
    told = {
        "body without a file, in memory": f"{in_memory / MEGABYTE} MB",
        "wrong passwords, an account": "5 in 5 min",
        "wrong passwords, an address": "10 a minute",
        "sign-ups, an address": "20 a minute",
    }
    for row, value in told.items():
        assert {table[row][platform] for platform in PLATFORMS} == {value}
    assert (rates["login_failed"], rates["signup"]) == ("10/m/ip,5/300s/key", "20/m/ip")


def test_a_statement_is_bounded_for_pages_and_not_for_commands(
    site: Site, database: PostgreSQL, tmp_path: Path
) -> None:
    (default,) = {limits(site.project)["time of a statement"][platform] for platform in PLATFORMS}
    code = "from django.conf import settings; print(settings.DATABASE_TIMEOUT_SECONDS)"
    assert site.manage("shell", "--verbosity=0", "--command", code).strip() == default.removesuffix(" s")
    visitor = {"Cookie": f"__Host-sessionid={'x' * 32}"}
    with site.started(tmp_path / "log", DATABASE_TIMEOUT_SECONDS="1") as server:
        assert site.get("/admin/", **visitor).status_code == 302
        # Lock the table as a migration does. A command waits for it longer than a page's limit of a second.
        with database.holding("django_session"):
            for _ in range(3):
                late = site.get("/admin/", **visitor)
                assert (late.status_code, late.headers.get("Retry-After")) == (503, "10"), server.output()
            # The statements of refused pages have ended: only this connection's own is left.
            assert database.ask("SELECT count(*) FROM pg_locks WHERE NOT granted") == "0"
        assert site.get("/admin/", **visitor).status_code == 302
    code = "from django.db import connection as c; k = c.cursor(); k.execute('SELECT pg_sleep(1.5)'); print('waited')"
    assert "waited" in site.manage("shell", "--verbosity=0", "--command", code, DATABASE_TIMEOUT_SECONDS="1")

"""Health and readiness are correct while the database is up, hangs, or is down."""

import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import requests

from tests.support.databases import postgresql
from tests.support.environments import Environments
from tests.support.rendering import render
from tests.support.servers import HANGS, eventually
from tests.support.sites import Site

READY = {"database": True, "cache": True, "migrations": True}


def test_probes_answer_any_prober(site: Site, tmp_path: Path) -> None:
    with site.started(tmp_path / "log"):
        # Plain HTTP and an unknown Host: other URLs redirect the first and refuse the second.
        for path, said in (("/health/", {"status": "ok"}), ("/ready/", {"status": "ready", "checks": READY})):
            answer = requests.get(
                f"{site.url}{path}", headers={"Host": "10.0.0.7"}, allow_redirects=False, timeout=HANGS
            )
            assert (answer.status_code, answer.json()) == (200, said)
            assert answer.headers["Cache-Control"] == "no-store"
        assert requests.get(f"{site.url}/", headers={"Host": "10.0.0.7"}, timeout=HANGS).status_code == 400
        for path in ("/health/x", "/health", "/ready", "/ready/x/", "//health/"):
            assert requests.get(f"{site.url}{path}", allow_redirects=False, timeout=HANGS).status_code in (301, 404)


def test_a_database_that_hangs_or_is_down_shows_in_readiness_alone(
    template: Path, environments: Environments, tmp_path: Path
) -> None:
    with postgresql() as database:
        site = Site(render(template, tmp_path / "project"), environments, database.url)
        site.prepare()
        # One worker with four threads. Three will hang.
        with site.started(tmp_path / "log", WEB_CONCURRENCY="1", GUNICORN_THREADS="4") as server:
            assert site.get("/ready/").json() == {"status": "ready", "checks": READY}
            # Each thread has a persistent connection, which hangs longest.
            for _ in range(8):
                assert site.get("/accounts/login/").status_code == 200

            database.signal_all(signal.SIGSTOP)
            with ThreadPoolExecutor(3) as visitors:
                hanging = [visitors.submit(visit_admin, site) for _ in range(3)]
                time.sleep(1.2)
                # The database hangs until after these answers.
                answer = site.get("/ready/")
                assert answer.status_code == 503, server.output()
                assert answer.json() == {"status": "not ready", "checks": dict.fromkeys(READY, False)}
                for _ in range(5):
                    assert site.get("/health/").status_code == 200
                # The requests end while the database still hangs.
                for visit in hanging:
                    answer = visit.result()
                    assert (answer.status_code, answer.headers.get("Retry-After")) == (503, "10"), server.output()

            database.signal_all(signal.SIGCONT)
            assert becomes(site, 200)
            assert visit_admin(site).status_code == 302

            database.stop()
            assert becomes(site, 503)
            assert "refused" not in site.get("/ready/").text
            assert site.get("/health/").json() == {"status": "ok"}
            database.start()
            assert becomes(site, 200)


def test_a_migration_that_is_not_applied_shows(template: Path, environments: Environments, tmp_path: Path) -> None:
    site = Site(render(template, tmp_path / "project", database="sqlite"), environments, "sqlite:///db.sqlite3")
    site.prepare()
    site.manage("migrate", "admin", "0002")
    with site.started(tmp_path / "log"):
        answer = site.get("/ready/")
        assert (answer.status_code, answer.json()["checks"]) == (503, {**READY, "migrations": False})
        site.manage("migrate")
        assert becomes(site, 200)


def visit_admin(site: Site) -> requests.Response:
    """Request a page that reads the session, and so the database."""
    return site.get("/admin/", Cookie=f"__Host-sessionid={'x' * 32}")


def becomes(site: Site, status: int) -> bool:
    """Wait until readiness answers with `status`, which is cached for a second; return False if it does not."""
    return eventually(lambda: site.get("/ready/").status_code == status)

"""With CACHE_URL the cache is in Redis, and while Redis is down the site is only slower."""

import secrets
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.sites.test_login_limits import PASSWORD, TOO_MANY, account
from tests.support.redis import Redis
from tests.support.servers import HANGS
from tests.support.sites import Site
from tests.support.visitors import Visitor

# Seconds that a page may take while Redis hangs, on a busy machine.
BOUND = 5.0


@pytest.fixture
def cached_site(site: Site, redis_server: Redis, tmp_path: Path) -> Iterator[Site]:
    """The site, served by two workers of one thread each, with its cache in Redis."""
    variables = {"CACHE_URL": redis_server.url, "WEB_CONCURRENCY": "2", "GUNICORN_THREADS": "1"}
    with site.started(tmp_path / "log", **variables, TRUSTED_PROXY_COUNT="1"):
        yield site


def somebody(site: Site) -> Visitor:
    """Return a visitor with an IP address of their own."""
    return Visitor(site.port, **{"X-Forwarded-For": f"2001:db8:{secrets.token_hex(2)}:{secrets.token_hex(2)}::1"})


def wrong_passwords_are_limited(site: Site) -> bool:
    """Return True if an account's sixth login is refused by each worker, and another account's first is not."""
    email = account(site)
    for _ in range(5):
        assert TOO_MANY not in somebody(site).log_in(email, "wrong").text
    return (
        TOO_MANY in somebody(site).log_in(email, PASSWORD).text
        and somebody(site).log_in(account(site), PASSWORD).status == 302
    )


def test_limits_are_counted_in_redis(cached_site: Site, redis_server: Redis) -> None:
    assert redis_server.ask("DBSIZE") == ":0"
    assert wrong_passwords_are_limited(cached_site)
    assert redis_server.ask("DBSIZE") != ":0"


@pytest.mark.parametrize("how", ["down", "hanging"])
def test_without_redis_logins_and_their_limits_go_on(
    cached_site: Site, redis_server: Redis, how: str, tmp_path: Path
) -> None:
    assert somebody(cached_site).log_in(account(cached_site), PASSWORD).status == 302
    if how == "down":
        redis_server.stop()
    else:
        redis_server.send(signal.SIGSTOP)
    # Redis is down until after all these answers.
    assert somebody(cached_site).log_in(account(cached_site), PASSWORD).status == 302
    assert wrong_passwords_are_limited(cached_site)
    ready = requests.get(f"{cached_site.url}/ready/", timeout=HANGS)
    assert (ready.status_code, ready.json()["checks"]["cache"]) == (200, True)
    log = (tmp_path / "log").read_text()
    # Each of the two workers writes one line at most, without a traceback.
    assert 1 <= log.count("Redis does not answer") <= 2
    assert "Traceback" not in log


def test_redis_is_used_again_when_it_is_back(cached_site: Site, redis_server: Redis, tmp_path: Path) -> None:
    redis_server.stop()
    for _ in range(4):
        somebody(cached_site).log_in("nobody@example.com", "wrong")
    redis_server.start()
    deadline = time.monotonic() + 80
    # Only a worker that got a request meanwhile has noticed that Redis was down.
    while "Redis answers again" not in (log := (tmp_path / "log").read_text()):
        assert time.monotonic() < deadline, log
        somebody(cached_site).log_in(f"{secrets.token_hex(6)}@example.com", "wrong")
        time.sleep(0.5)
    assert redis_server.ask("DBSIZE") != ":0"


def test_a_restart_of_redis_is_not_noticed(cached_site: Site, redis_server: Redis, tmp_path: Path) -> None:
    """A connection that the restart has cut is replaced, without the fallback."""
    for _ in range(6):
        somebody(cached_site).log_in(f"{secrets.token_hex(6)}@example.com", "wrong")
    redis_server.stop()
    redis_server.start()
    for _ in range(6):
        somebody(cached_site).log_in(f"{secrets.token_hex(6)}@example.com", "wrong")
    assert "Redis does not answer" not in (tmp_path / "log").read_text()

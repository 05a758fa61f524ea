"""Production is reached by https alone, and what a browser may do is the same on every page."""

import subprocess
import sys
from collections.abc import Callable, Mapping
from types import SimpleNamespace

import pytest
from django.conf import settings as site
from django.test import Client
from pytest_django import Settings

Production = Callable[..., SimpleNamespace]


@pytest.fixture
def as_in_production(settings: Settings, production: Production) -> None:
    """What production says of https and cookies, for a site that the tests' browser can reach."""
    for name, value in vars(production()).items():
        if name.startswith(("SECURE_", "SESSION_COOKIE_", "CSRF_COOKIE_")):
            setattr(settings, name, value)


def assert_protected(headers: Mapping[str, str]) -> None:
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    assert "*" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "camera=()" in headers["Permissions-Policy"]


@pytest.mark.parametrize(("path", "status"), [("/", 200), ("/no-such-page/", 404), ("/fails/", 500)])
def test_every_answer_is_protected(client: Client, path: str, status: int) -> None:
    answer = client.get(path)
    assert answer.status_code == status
    assert_protected(answer.headers)


@pytest.mark.usefixtures("as_in_production")
def test_production_is_reached_by_https_alone(client: Client) -> None:
    answer = client.get("/?page=1")
    assert (answer.status_code, answer.headers["Location"]) == (301, "https://testserver/?page=1")
    assert client.get("/", secure=True).headers["Strict-Transport-Security"] == "max-age=3600"


@pytest.mark.django_db
@pytest.mark.usefixtures("as_in_production")
def test_productions_cookies_are_for_this_host_and_https_alone(client: Client) -> None:
    client.get("/cookies/", secure=True)
    assert set(client.cookies) == {"__Host-sessionid", "__Host-csrftoken"}
    for name in ("__Host-sessionid", "__Host-csrftoken"):
        cookie = client.cookies[name]
        assert (cookie["secure"], cookie["path"], cookie["domain"]) == (True, "/", "")
        assert cookie["samesite"] == "Lax"
    assert client.cookies["__Host-sessionid"]["httponly"]


def test_production_shows_no_debug_page_whatever_the_environment_says(production: Production) -> None:
    assert production(DEBUG="true").DEBUG is False


def test_a_site_without_https_has_cookies_that_a_browser_sends(production: Production) -> None:
    settings = production(SESSION_COOKIE_SECURE="false", CSRF_COOKIE_SECURE="false", SECURE_SSL_REDIRECT="false")
    assert (settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME) == ("sessionid", "csrftoken")
    assert settings.ACCOUNT_DEFAULT_HTTP_PROTOCOL == "http"


def test_djangos_own_checks_find_nothing_in_production(production_environment: dict[str, str]) -> None:
    variables = {
        **production_environment,
        # A folder that can be written, for models that take uploads.
        "MEDIA_ROOT": str(site.BASE_DIR),
        "SECURE_HSTS_SECONDS": "31536000",
        "SECURE_HSTS_INCLUDE_SUBDOMAINS": "true",
        "SECURE_HSTS_PRELOAD": "true",
    }
    command = [sys.executable, "-m", "django", "check", "--deploy", "--fail-level", "WARNING"]
    done = subprocess.run(command, env=variables, cwd=site.BASE_DIR, capture_output=True, text=True, check=False)  # noqa: S603 - this Python, and words of our own
    assert done.returncode == 0, done.stderr


def test_a_proxy_is_believed_only_where_production_is_told_of_it(production: Production) -> None:
    assert production().ALLAUTH_TRUSTED_PROXY_COUNT == 0
    assert production(TRUSTED_PROXY_COUNT="1").ALLAUTH_TRUSTED_PROXY_COUNT == 1

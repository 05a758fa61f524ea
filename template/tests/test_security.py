"""What a browser may do with the pages, and what a stranger may not do to the site."""

import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from types import SimpleNamespace

import pytest
from django.conf import settings as site
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from apps.accounts.models import User

Production = Callable[..., SimpleNamespace]

VISITORS_PAGES = ["home", "account_login", "account_signup", "account_reset_password"]
MEMBERS_PAGES = ["home", "account_email", "account_change_password", "account_delete", "account_logout"]
INLINE = re.compile(r"<style|\sstyle=|\son[a-z]+=|javascript:|<script(?![^>]*(\ssrc=|json))", re.IGNORECASE)


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


def refused_logins(client: Client) -> int:
    """How many of 12 logins are not even tried, each for another account and from another claimed address."""
    refused = 0
    for number in range(12):
        form = {"login": f"nobody{number}@example.com", "password": "wrong"}
        answer = client.post(reverse("account_login"), form, headers={"X-Forwarded-For": f"192.0.2.{number}"})
        refused += "Too many failed login attempts" in answer.text
    return refused


@pytest.mark.parametrize("page", VISITORS_PAGES)
def test_a_visitors_page_is_protected_and_has_nothing_inline(client: Client, page: str) -> None:
    answer = client.get(reverse(page))
    assert answer.status_code == 200
    assert_protected(answer.headers)
    assert not INLINE.search(answer.text)


@pytest.mark.parametrize("page", MEMBERS_PAGES)
def test_a_members_page_is_protected_and_has_nothing_inline(member_client: Client, page: str) -> None:
    answer = member_client.get(reverse(page))
    assert answer.status_code == 200
    assert_protected(answer.headers)
    assert not INLINE.search(answer.text)


@pytest.mark.usefixtures("broken_home")
@pytest.mark.parametrize(("path", "status"), [("/no-such-page/", 404), ("/", 500)])
def test_an_error_page_is_protected_too(client: Client, path: str, status: int) -> None:
    answer = client.get(path)
    assert answer.status_code == status
    assert_protected(answer.headers)


def test_other_sites_cannot_load_the_sites_files(client: Client, settings: Settings) -> None:
    settings.WHITENOISE_USE_FINDERS = True
    answer = client.get("/static/site.css")
    assert answer.getvalue()
    assert answer.status_code == 200
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.usefixtures("as_in_production")
def test_production_is_reached_by_https_alone(client: Client) -> None:
    answer = client.get("/?page=1")
    assert (answer.status_code, answer.headers["Location"]) == (301, "https://testserver/?page=1")
    assert client.get("/", secure=True).headers["Strict-Transport-Security"] == "max-age=3600"


@pytest.mark.usefixtures("as_in_production")
def test_productions_cookies_are_for_this_host_and_https_alone(client: Client, member: User, password: str) -> None:
    client.get(reverse("account_login"), secure=True)
    client.post(reverse("account_login"), {"login": member.email, "password": password}, secure=True)
    assert set(client.cookies) >= {"__Host-sessionid", "__Host-csrftoken"}
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
        "SECURE_HSTS_SECONDS": "31536000",
        "SECURE_HSTS_INCLUDE_SUBDOMAINS": "true",
        "SECURE_HSTS_PRELOAD": "true",
    }
    command = [sys.executable, "-m", "django", "check", "--deploy", "--fail-level", "WARNING"]
    done = subprocess.run(command, env=variables, cwd=site.BASE_DIR, capture_output=True, text=True, check=False)  # noqa: S603 - this Python, and words of our own
    assert done.returncode == 0, done.stderr


@pytest.mark.django_db
def test_a_visitor_cannot_escape_a_limit_by_making_up_addresses(client: Client) -> None:
    # Ten a minute may fail from one address, whatever the accounts.
    assert refused_logins(client) == 2


@pytest.mark.django_db
def test_behind_a_proxy_a_limit_is_each_visitors_own(
    client: Client, settings: Settings, production: Production
) -> None:
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = production(TRUSTED_PROXY_COUNT="1").ALLAUTH_TRUSTED_PROXY_COUNT
    assert refused_logins(client) == 0

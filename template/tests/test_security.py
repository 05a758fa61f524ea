"""What a browser may do with the pages, and what a stranger may not do to the site."""

import re

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

VISITORS_PAGES = ["home", "account_login", "account_signup", "account_reset_password"]
MEMBERS_PAGES = ["home", "account_email", "account_change_password", "account_delete", "account_logout"]
INLINE = re.compile(r"<style|\sstyle=|\son[a-z]+=|javascript:|<script(?![^>]*(\ssrc=|json))", re.IGNORECASE)


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
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'; ")
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert not INLINE.search(answer.text)


@pytest.mark.parametrize("page", MEMBERS_PAGES)
def test_a_members_page_is_protected_and_has_nothing_inline(member_client: Client, page: str) -> None:
    answer = member_client.get(reverse(page))
    assert answer.status_code == 200
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'; ")
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert not INLINE.search(answer.text)


def test_other_sites_cannot_load_the_sites_files(client: Client, settings: Settings) -> None:
    settings.WHITENOISE_USE_FINDERS = True
    answer = client.get("/static/site.css")
    assert answer.getvalue()
    assert answer.status_code == 200
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.django_db
def test_a_visitor_cannot_escape_a_limit_by_making_up_addresses(client: Client) -> None:
    # Ten a minute may fail from one address, whatever the accounts.
    assert refused_logins(client) == 2


@pytest.mark.django_db
def test_behind_a_proxy_a_limit_is_each_visitors_own(client: Client, settings: Settings) -> None:
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = 1
    assert refused_logins(client) == 0

"""Visitors find the home page, and a page that helps where something is wrong.

These tests are yours: when you replace a page, change or delete those of the page that was here.
"""

import re

import pytest
from django.templatetags.static import static
from django.test import Client
from django.urls import reverse
from django.utils.csp import build_policy
from django.utils.html import escape
from pytest_django import Settings

from apps.accounts.models import User
from config.settings.site import SITE_NAME

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("as_shipped")]

HOSTILE_NAME = """<b>Fish & "Chips"</b> {{ request }}"""
ESCAPED_NAME = "&lt;b&gt;Fish &amp; &quot;Chips&quot;&lt;/b&gt; {{ request }}"
VISITORS_PAGES = ["home", "account_login", "account_signup", "account_reset_password"]
MEMBERS_PAGES = ["home", "account_email", "account_change_password", "account_delete", "account_logout"]
# But for what has the nonce.
INLINE = re.compile(
    r"<style(?![^>]*\snonce=)|\sstyle=|\son[a-z]+=|javascript:|<script(?![^>]*(\ssrc=|json|\snonce=))", re.IGNORECASE
)


# Yours as the home page is, with the two tests below.
def test_the_home_page_leads_a_visitor_to_an_account(client: Client) -> None:
    answer = client.get(reverse("home"))
    assert answer.status_code == 200
    assert reverse("account_signup") in answer.text
    assert reverse("account_login") in answer.text


def test_the_home_page_knows_a_member(member_client: Client, member: User) -> None:
    answer = member_client.get(reverse("home"))
    assert member.email in answer.text
    assert reverse("account_delete") in answer.text


def test_the_home_page_leads_staff_to_the_admin(admin_client: Client, member_client: Client) -> None:
    assert reverse("admin:index") in admin_client.get(reverse("home")).text
    assert reverse("admin:index") not in member_client.get(reverse("home")).text


def test_a_browser_that_asks_for_an_icon_unbidden_gets_it(client: Client) -> None:
    for icon in ("favicon.ico", "apple-touch-icon.png", "apple-touch-icon-precomposed.png"):
        assert client.get(f"/{icon}").headers["Location"] == static("icon.svg")


def test_what_programs_ask_for_unbidden_is_there(client: Client, settings: Settings) -> None:
    robots = client.get("/robots.txt")
    assert (robots.headers["Content-Type"], robots.text) == ("text/plain; charset=utf-8", "User-agent: *\nDisallow:\n")
    assert client.get("/.well-known/change-password").headers["Location"] == reverse("account_change_password")
    settings.CONTACT = ""
    assert client.get("/.well-known/security.txt").status_code == 404
    for contact, link in (
        ("a@example.com", "mailto:a@example.com"),
        ("https://example.com/@a", "https://example.com/@a"),
    ):
        settings.CONTACT = contact
        assert client.get("/.well-known/security.txt").text.startswith(f"Contact: {link}\nExpires: 2")


@pytest.mark.parametrize("page", ["account_login", "account_signup", "account_reset_password"])
def test_search_engines_list_no_account_page(client: Client, page: str) -> None:
    assert '<meta name="robots" content="noindex">' in client.get(reverse(page)).text


def test_the_rules_of_passwords_are_told_to_screen_readers(client: Client, member_client: Client) -> None:
    for visitor, page in ((client, "account_signup"), (member_client, "account_change_password")):
        page_text = visitor.get(reverse(page)).text
        # A list in a paragraph ends the paragraph, and leaves it empty.
        assert re.search(r'<div class="helptext" id="id_password1_helptext">[^<]*at least', page_text)
        assert 'aria-describedby="id_password1_helptext"' in page_text
        assert "placeholder" not in page_text


def test_a_page_that_does_not_exist_says_so(client: Client) -> None:
    answer = client.get("/no-such-page/")
    assert answer.status_code == 404
    assert "Page not found" in answer.text


def test_a_page_that_one_may_not_see_says_so(member_client: Client, member: User) -> None:
    answer = member_client.get(reverse("admin:index"), follow=True)
    assert answer.status_code == 403
    assert "Not allowed" in answer.text
    assert f"You are logged in as {escape(member.email)}" in answer.text


def test_a_form_without_its_token_says_what_to_do(settings: Settings) -> None:
    answer = Client(enforce_csrf_checks=True).post(reverse("account_login"))
    assert answer.status_code == 403
    assert "load the page again" in answer.text
    assert escape(settings.SITE_NAME) in answer.text


def test_a_host_that_is_not_this_sites_is_refused(client: Client) -> None:
    answer = client.get(reverse("home"), headers={"host": "elsewhere.example"})
    assert answer.status_code == 400
    assert "elsewhere" not in answer.text
    assert 'href="/"' in answer.text


def test_the_pages_for_errors_are_in_the_sites_language(client: Client, settings: Settings, broken_page: str) -> None:
    settings.LANGUAGE_CODE = "ar"
    client.raise_request_exception = False
    for path, host in ((broken_page, "testserver"), ("/", "elsewhere.example"), ("/no-such-page/", "testserver")):
        assert '<html lang="ar"' in client.get(path, headers={"host": host}).text


def test_an_error_shows_its_number_and_no_detail(client: Client, broken_page: str) -> None:
    answer = client.get(broken_page)
    assert answer.status_code == 500
    assert answer.headers["X-Request-ID"] in answer.text
    assert "Traceback" not in answer.text
    assert "nobody's business" not in answer.text


def test_the_admin_has_the_sites_name_and_no_two_sections_of_the_same(admin_client: Client) -> None:
    index = admin_client.get(reverse("admin:index"))
    assert index.context["site_header"] == SITE_NAME
    sections = [app["name"] for app in index.context["available_apps"]]
    assert len(sections) == len(set(sections))


def test_the_sites_name_is_escaped(client: Client, settings: Settings, broken_page: str) -> None:
    settings.SITE_NAME = HOSTILE_NAME
    for page in (broken_page, reverse("account_login"), "/no-such-page/"):
        answer = client.get(page)
        assert ESCAPED_NAME in answer.text
        assert HOSTILE_NAME not in answer.text


def test_the_policy_of_every_page_is_strict(settings: Settings) -> None:
    policy = build_policy(settings.SECURE_CSP)
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    assert "*" not in policy
    assert "frame-ancestors 'none'" in policy
    assert settings.X_FRAME_OPTIONS == "DENY"
    assert settings.SECURE_REFERRER_POLICY == "same-origin"


@pytest.mark.parametrize("page", VISITORS_PAGES)
def test_a_visitors_page_is_protected_and_has_nothing_inline(client: Client, page: str) -> None:
    answer = client.get(reverse(page))
    assert answer.status_code == 200
    assert answer.headers["Content-Security-Policy"]
    assert not INLINE.search(answer.text)


@pytest.mark.parametrize("page", MEMBERS_PAGES)
def test_a_members_page_is_protected_and_has_nothing_inline(member_client: Client, page: str) -> None:
    answer = member_client.get(reverse(page))
    assert answer.status_code == 200
    assert answer.headers["Content-Security-Policy"]
    assert not INLINE.search(answer.text)


def test_other_sites_cannot_load_the_sites_files(client: Client, settings: Settings) -> None:
    settings.WHITENOISE_USE_FINDERS = True
    answer = client.get(static("site.css"))
    assert answer.getvalue()
    assert answer.status_code == 200
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "Access-Control-Allow-Origin" not in answer.headers

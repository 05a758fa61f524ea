"""Visitors find the home page, and a page that helps where something is wrong."""

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from apps.accounts.models import User
from apps.pages.views import HomeView

HOSTILE_NAME = """<b>Fish & "Chips"</b> {{ request }}"""
ESCAPED_NAME = "&lt;b&gt;Fish &amp; &quot;Chips&quot;&lt;/b&gt; {{ request }}"


@pytest.fixture
def broken_home(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home page whose view raises."""

    def fail(*args: object) -> None:
        raise RuntimeError("a detail that is nobody's business")

    monkeypatch.setattr(HomeView, "get", fail)
    client.raise_request_exception = False


def test_the_home_page_leads_a_visitor_to_an_account(client: Client) -> None:
    answer = client.get("/")
    assert answer.status_code == 200
    assert reverse("account_signup") in answer.text
    assert reverse("account_login") in answer.text


def test_the_home_page_knows_a_member(member_client: Client, member: User) -> None:
    answer = member_client.get("/")
    assert member.email in answer.text
    assert reverse("account_delete") in answer.text
    assert reverse("admin:index") not in answer.text


def test_the_home_page_leads_staff_to_the_admin(admin_client: Client) -> None:
    assert reverse("admin:index") in admin_client.get("/").text


@pytest.mark.parametrize("page", ["account_change_password", "account_delete", "account_email", "account_logout"])
def test_a_member_has_each_page_of_the_account(member_client: Client, page: str) -> None:
    assert member_client.get(reverse(page)).status_code == 200


def test_a_page_that_does_not_exist(client: Client) -> None:
    answer = client.get("/no-such-page/")
    assert answer.status_code == 404
    assert "Page not found" in answer.text


def test_a_page_that_one_may_not_see(member_client: Client) -> None:
    answer = member_client.get("/admin/", follow=True)
    assert answer.status_code == 403
    assert "Not allowed" in answer.text


def test_a_form_without_its_token(settings: Settings) -> None:
    answer = Client(enforce_csrf_checks=True).post(reverse("account_login"))
    assert answer.status_code == 403
    assert "load the page again" in answer.text
    assert settings.SITE_NAME in answer.text


def test_a_host_that_is_not_this_sites(client: Client) -> None:
    answer = client.get("/", headers={"host": "elsewhere.example"})
    assert answer.status_code == 400
    assert "elsewhere" not in answer.text


@pytest.mark.usefixtures("broken_home")
def test_an_error_shows_its_number_and_no_detail(client: Client) -> None:
    answer = client.get("/")
    assert answer.status_code == 500
    assert answer.headers["X-Request-ID"] in answer.text
    assert "Traceback" not in answer.text
    assert "nobody's business" not in answer.text


@pytest.mark.usefixtures("broken_home")
@pytest.mark.parametrize("page", ["/", "/accounts/login/", "/no-such-page/"])
def test_the_sites_name_is_escaped(client: Client, settings: Settings, page: str) -> None:
    settings.SITE_NAME = HOSTILE_NAME
    answer = client.get(page)
    assert ESCAPED_NAME in answer.text
    assert HOSTILE_NAME not in answer.text

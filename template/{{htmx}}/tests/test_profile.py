"""Members change their name in place, and without a script too. These tests are yours, as apps/profile/ is."""

import pytest
from django.test import Client
from django.urls import reverse

from apps.accounts.models import User

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("as_shipped")]

HTMX = {"HX-Request": "true", "HX-Current-URL": "http://testserver/profile/"}
NAME = {"first_name": "Ann", "last_name": "Example"}


def test_without_a_script_a_name_is_saved_and_said_on_the_next_page(member_client: Client, member: User) -> None:
    answer = member_client.post(reverse("profile"), NAME, follow=True)
    assert answer.redirect_chain == [(reverse("profile"), 302)]
    assert "Saved." in answer.text
    member.refresh_from_db()
    assert member.get_full_name() == "Ann Example"


def test_htmx_is_given_the_form_alone(member_client: Client, member: User) -> None:
    answer = member_client.post(reverse("profile"), NAME, headers=HTMX)
    assert answer.text.strip().startswith("<form")
    assert "Saved." in answer.text
    member.refresh_from_db()
    assert member.first_name == "Ann"
    assert "HX-Request" in answer.headers["Vary"]


def test_a_name_that_is_too_long_is_refused_in_place(member_client: Client, member: User) -> None:
    answer = member_client.post(reverse("profile"), {**NAME, "first_name": "a" * 151}, headers=HTMX)
    assert "errorlist" in answer.text
    assert "Saved." not in answer.text
    member.refresh_from_db()
    assert member.first_name == ""


def test_a_session_that_has_ended_leads_to_the_login_and_back(client: Client) -> None:
    answer = client.post(reverse("profile"), NAME, headers=HTMX)
    assert answer.headers["HX-Redirect"] == f"{reverse('account_login')}?next=%2Fprofile%2F"
    assert answer.text == ""


def test_the_page_loads_htmx_and_its_form_works_without(member_client: Client) -> None:
    page = member_client.get(reverse("profile")).text
    assert "django_htmx/htmx" in page
    assert f'action="{reverse("profile")}"' in page
    assert reverse("profile") in member_client.get(reverse("home")).text

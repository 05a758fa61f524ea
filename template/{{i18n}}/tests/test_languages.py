"""Visitors get pages, emails and errors in the language that their browser asks for, or that they choose.

These tests are yours: when you add or remove a language, change them too.
"""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings as project
from django.templatetags.static import static
from django.test import Client
from django.urls import reverse
from django.utils.translation import deactivate, gettext, override
from pytest_django import Settings

pytestmark = pytest.mark.django_db

GERMAN = {"accept-language": "de"}


@pytest.fixture(autouse=True)
def forget_language() -> Iterator[None]:
    """Leave the last visitor's language to no other test."""
    yield
    deactivate()


def german(text: str) -> str:
    """Return the German of a text, which has one."""
    with override("de"):
        found = gettext(text)
    assert found != text
    return found


def test_pages_and_errors_are_german_for_a_german_browser(client: Client, broken_page: str) -> None:
    login = reverse("account_login")
    for path, host, text in (
        (login, "testserver", "Forgot your password?"),
        ("/no-such-page/", "testserver", "Page not found"),
        (broken_page, "testserver", "Something went wrong"),
        (login, "elsewhere.example", "Bad request"),
    ):
        answer = client.get(path, headers={**GERMAN, "host": host})
        assert '<html lang="de"' in answer.text
        assert german(text) in answer.text
    assert german("Please try again") in Client(enforce_csrf_checks=True).post(login, headers=GERMAN).text


def test_what_django_and_allauth_say_is_german_too(client: Client) -> None:
    answer = client.post(reverse("account_signup"), {"email": "ann", "password1": "1"}, headers=GERMAN)
    assert german("Enter a valid email address.") in answer.text
    assert german("This password is too common.") in answer.text
    answer = client.post(reverse("account_login"), {"login": "ann@example.com", "password": "a"}, headers=GERMAN)
    assert german("The email address and/or password you specified are not correct.") in answer.text


def test_static_files_are_the_same_in_all_languages(client: Client, settings: Settings) -> None:
    settings.WHITENOISE_USE_FINDERS = True
    answer = client.get(static("site.css"), headers=GERMAN)
    assert (answer.status_code, bool(answer.getvalue())) == (200, True)
    assert "Accept-Language" not in answer.headers.get("Vary", "")


def test_an_email_has_the_language_of_the_page_that_asked_for_it(
    client: Client, settings: Settings, mailoutbox: list[Any]
) -> None:
    settings.SITE_NAME = "Site"
    client.post(reverse("account_reset_password"), {"email": "nobody@example.com"}, headers=GERMAN)
    assert german("There is no account for this address") in mailoutbox[0].subject
    assert german("Sign up") in mailoutbox[0].alternatives[0].content


def test_every_page_offers_all_languages_and_keeps_the_choice(client: Client) -> None:
    path = reverse("account_login") + "?next=/a%26b/"
    page = client.get(path, headers=GERMAN)
    say = "templates/base.html does not include languages.html: see docs/languages.md, or delete this test"
    assert reverse("set_language") in page.text, say
    assert re.findall(r'value="([\w-]+)"\s+lang="\1"', page.text) == [code for code, _ in project.LANGUAGES]
    assert 'aria-current="true">Deutsch<' in page.text
    assert ">English<" in page.text
    answer = client.post(reverse("set_language"), {"language": "en", "next": path}, headers=GERMAN, follow=True)
    assert answer.redirect_chain == [(path, 302)]
    assert '<html lang="en"' in answer.text

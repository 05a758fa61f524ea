"""A login with a second factor asks for it, however it began.

These tests are yours: when you change the pages of two-factor logins, change them too.
"""

import re
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal import auth
from django.core.mail import EmailMessage
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from apps.accounts.models import User

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("as_shipped")]

PAGES = ["mfa_index", "mfa_activate_totp", "mfa_list_webauthn", "mfa_add_webauthn"]
# Nothing inline but data for scripts.
INLINE = re.compile(r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]*(\ssrc=|json))", re.IGNORECASE)


def code(secret: str) -> str:
    """What an app shows now."""
    return auth.format_hotp_value(auth.hotp_value(secret, next(auth.yield_hotp_counters_from_time())))


def log_in(client: Client, member: User, password: str) -> Any:
    return client.post(reverse("account_login"), {"login": member.email, "password": password})


def is_logged_in(client: Client) -> bool:
    return "_auth_user_id" in client.session


@pytest.fixture
def secret(member: User) -> str:
    """The secret of the member's app. The member has recovery codes, too."""
    secret = auth.generate_totp_secret()
    auth.TOTP.activate(member, secret)
    RecoveryCodes.activate(member)
    return secret


# The email is sent when the app is committed.
@pytest.mark.django_db(transaction=True)
def test_a_member_sets_up_an_app_after_the_password_and_is_told_by_email(
    member_client: Client, member: User, password: str, mailoutbox: list[EmailMessage]
) -> None:
    page = reverse("mfa_activate_totp")
    asked = member_client.get(page).headers["Location"]
    assert asked.startswith(reverse("account_reauthenticate"))
    member_client.post(asked, {"password": password})
    shown = member_client.get(page)
    assert 'src="data:image/svg+xml' in shown.text
    answer = member_client.post(page, {"code": code(shown.context["form"].secret)}, follow=True)
    (codes,) = [row.wrap() for row in Authenticator.objects.filter(type=Authenticator.Type.RECOVERY_CODES)]
    assert all(each in answer.text for each in codes.get_unused_codes())
    (message,) = mailoutbox
    assert message.to == [member.email]
    assert str(message.subject).endswith("An app for codes was added")
    assert "If it was not you, set a new password now:" in str(message.body)


def test_a_login_asks_for_a_code_and_takes_it_once(client: Client, member: User, password: str, secret: str) -> None:
    asked = log_in(client, member, password).headers["Location"]
    assert asked == reverse("mfa_authenticate")
    assert not is_logged_in(client)
    now = code(secret)
    client.post(asked, {"code": now})
    assert is_logged_in(client)
    other = Client()
    log_in(other, member, password)
    other.post(asked, {"code": now})
    assert not is_logged_in(other)


@pytest.mark.usefixtures("secret")
def test_a_recovery_code_replaces_the_app_once(client: Client, member: User, password: str) -> None:
    first = RecoveryCodes.activate(member).get_unused_codes()[0]
    for visitor, comes_in in ((client, True), (Client(), False)):
        log_in(visitor, member, password)
        visitor.post(reverse("mfa_authenticate"), {"code": first})
        assert is_logged_in(visitor) is comes_in


def test_codes_cannot_be_guessed(client: Client, member: User, password: str, secret: str) -> None:
    log_in(client, member, password)
    for number in range(5):
        client.post(reverse("mfa_authenticate"), {"code": f"{number}"}, REMOTE_ADDR=f"192.0.2.{number}")
    answer = client.post(reverse("mfa_authenticate"), {"code": code(secret)}, REMOTE_ADDR="192.0.2.99")
    assert "Too many failed login attempts" in answer.text
    assert not is_logged_in(client)


@pytest.mark.usefixtures("secret")
def test_a_new_password_does_not_replace_the_second_factor(
    client: Client, member: User, password: str, mailoutbox: list[EmailMessage]
) -> None:
    client.post(reverse("account_reset_password"), {"email": member.email})
    link = re.search(r"http://testserver(/\S+)", str(mailoutbox[0].body))
    assert link
    form = client.get(link[1]).headers["Location"]
    client.post(form, {"password1": f"{password}!", "password2": f"{password}!"})
    assert not is_logged_in(client)
    assert log_in(client, member, f"{password}!").headers["Location"] == reverse("mfa_authenticate")


def test_an_unconfirmed_address_waits_unless_there_is_no_mail(
    member_client: Client, member: User, settings: Settings
) -> None:
    EmailAddress.objects.filter(user=member).update(verified=False)
    asked = member_client.get(reverse("mfa_activate_totp")).headers["Location"]
    assert asked == reverse("mfa_index")
    settings.MFA_ALLOW_UNVERIFIED_EMAIL = True
    asked = member_client.get(reverse("mfa_activate_totp")).headers["Location"]
    assert asked.startswith(reverse("account_reauthenticate"))


@pytest.mark.usefixtures("secret")
def test_an_account_is_deleted_with_its_second_factors(member_client: Client, password: str) -> None:
    member_client.post(reverse("account_delete"), {"password": password})
    assert not Authenticator.objects.exists()
    assert not User.objects.exists()


@pytest.mark.parametrize("page", PAGES)
def test_a_page_of_second_factors_is_protected_and_has_nothing_inline(
    member_client: Client, page: str, settings: Settings
) -> None:
    settings.ACCOUNT_REAUTHENTICATION_REQUIRED = settings.MFA_REAUTHENTICATION_REQUIRED = False
    answer = member_client.get(reverse(page))
    assert answer.status_code == 200
    assert answer.headers["Content-Security-Policy"]
    assert 'name="robots" content="noindex"' in answer.text
    assert not INLINE.search(answer.text)


def test_the_menu_leads_to_second_factors(member_client: Client) -> None:
    assert reverse("mfa_index") in member_client.get(reverse("account_change_password")).text


@pytest.mark.usefixtures("secret")
def test_a_site_whose_pages_all_need_a_login_lets_visitors_log_in(
    client: Client, member: User, password: str, settings: Settings
) -> None:
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.contrib.auth.middleware.LoginRequiredMiddleware"]
    assert client.get(reverse("mfa_login_webauthn"), headers={"accept": "application/json"}).status_code == 200
    log_in(client, member, password)
    assert client.get(reverse("mfa_authenticate")).status_code == 200

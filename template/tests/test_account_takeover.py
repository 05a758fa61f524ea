"""An account is its owner's: not taken over from an open session, not guessed past the limits, not locked out by others."""

import re
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.core.mail import EmailMessage
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from apps.accounts.models import User

pytestmark = pytest.mark.django_db

EMAIL = "visitor@example.com"
OTHER_PASSWORD = "staple battery horse correct"
TOO_MANY = "Too many failed login attempts"
REAUTHENTICATE = reverse("account_reauthenticate")


def log_in(client: Client, email: str, password: str) -> Any:
    """Send the login page's form."""
    return client.post(reverse("account_login"), {"login": email, "password": password})


def log_out(client: Client) -> None:
    """End the session, and keep the browser's other cookies."""
    client.post(reverse("account_logout"))


def give_password(client: Client, password: str) -> Any:
    """Give the password on the page that asks for it again."""
    return client.post(REAUTHENTICATE, {"password": password})


def give_staffs_password(client: Client) -> None:
    """Give the password of pytest-django's admin."""
    give_password(client, "password")


def told(mailoutbox: list[EmailMessage]) -> list[tuple[str, str]]:
    """Return whom each email went to, and what it says behind the site's name."""
    return [(message.to[0], str(message.subject).partition("] ")[2]) for message in mailoutbox]


@pytest.fixture
def verified(member: User) -> EmailAddress:
    """A second address of the member's, which is confirmed."""
    return EmailAddress.objects.create(user=member, email=EMAIL, verified=True)


@pytest.mark.usefixtures("verified")
@pytest.mark.parametrize(
    "form",
    [
        {"action_add": "", "email": "thief@example.com"},
        {"action_primary": "", "email": EMAIL},
        {"action_remove": "", "email": EMAIL},
    ],
    ids=lambda form: next(iter(form)),
)
def test_an_open_session_changes_no_address_without_the_password(
    member: User, client: Client, password: str, form: dict[str, str]
) -> None:
    def addresses() -> set[tuple[str, bool]]:
        return set(EmailAddress.objects.filter(user=member).values_list("email", "primary"))

    before = addresses()
    # A login is no proof of who sits there now.
    log_in(client, member.email, password)
    answer = client.post(reverse("account_email"), form)
    assert answer.headers["Location"].startswith(REAUTHENTICATE)
    give_password(client, OTHER_PASSWORD)
    assert addresses() == before
    client.post(f"{REAUTHENTICATE}?next={reverse('account_email')}", {"password": password})
    assert addresses() != before, "what was asked for is done once the password is given"


@pytest.mark.parametrize("wrong", [OTHER_PASSWORD, ""])
def test_an_open_session_changes_no_password_without_the_old_one(
    member: User, member_client: Client, password: str, wrong: str
) -> None:
    form = {"oldpassword": wrong, "password1": OTHER_PASSWORD, "password2": OTHER_PASSWORD}
    member_client.post(reverse("account_change_password"), form)
    member.refresh_from_db()
    assert member.check_password(password)


def test_the_admins_own_page_for_passwords_is_the_sites(admin_client: Client) -> None:
    answer = admin_client.post("/admin/password_change/", {"old_password": "wrong"})
    assert answer.headers["Location"] == reverse("account_change_password")


def test_an_open_session_of_staff_changes_no_account_without_the_password(admin_client: Client, member: User) -> None:
    address = EmailAddress.objects.get(user=member)
    pages = [
        reverse("admin:accounts_user_add"),
        reverse("admin:accounts_user_change", args=[member.pk]),
        reverse("admin:accounts_user_delete", args=[member.pk]),
        reverse("admin:auth_user_password_change", args=[member.pk]),
        reverse("admin:accounts_user_changelist"),
        reverse("admin:account_emailaddress_add"),
        reverse("admin:account_emailaddress_change", args=[address.pk]),
        reverse("admin:account_emailaddress_changelist"),
    ]
    for page in pages:
        assert admin_client.post(page, {"email": EMAIL}).headers["Location"].startswith(REAUTHENTICATE), page
    give_staffs_password(admin_client)
    assert [page for page in pages if admin_client.get(page).status_code != 200] == []


def test_a_new_password_and_address_are_told_to_the_address_that_was(
    member: User, member_client: Client, verified: EmailAddress, mailoutbox: list[EmailMessage], password: str
) -> None:
    form = {"oldpassword": password, "password1": OTHER_PASSWORD, "password2": OTHER_PASSWORD}
    member_client.post(reverse("account_change_password"), form)
    give_password(member_client, OTHER_PASSWORD)
    member_client.post(reverse("account_email"), {"action_primary": "", "email": verified.email})
    member_client.post(reverse("account_email"), {"action_remove": "", "email": "member@example.com"})
    assert told(mailoutbox) == [
        ("member@example.com", "Password Changed"),
        ("member@example.com", "Email Changed"),
        (EMAIL, "Email Removed"),
    ]
    assert member.email == "member@example.com"


def test_what_staff_changes_is_told_to_the_address_that_was(
    admin_client: Client, member: User, mailoutbox: list[EmailMessage]
) -> None:
    give_staffs_password(admin_client)
    form = {"email": EMAIL, "is_active": "on", "date_joined_0": "2026-01-01", "date_joined_1": "00:00:00"}
    admin_client.post(reverse("admin:accounts_user_change", args=[member.pk]), form)
    form = {"usable_password": "true", "password1": OTHER_PASSWORD, "password2": OTHER_PASSWORD}
    admin_client.post(reverse("admin:auth_user_password_change", args=[member.pk]), form)
    assert told(mailoutbox) == [("member@example.com", "Email Changed"), (EMAIL, "Password Changed")]


@pytest.mark.parametrize("by_staff", [False, True], ids=["by a link", "by staff"])
def test_a_reset_password_ends_all_sessions(
    client: Client, admin_client: Client, member: User, mailoutbox: list[EmailMessage], password: str, by_staff: bool
) -> None:
    open_session = Client()
    log_in(open_session, member.email, password)
    assert open_session.get(reverse("account_change_password")).status_code == 200
    new = {"password1": OTHER_PASSWORD, "password2": OTHER_PASSWORD}
    if by_staff:
        give_staffs_password(admin_client)
        page = reverse("admin:auth_user_password_change", args=[member.pk])
        admin_client.post(page, {"usable_password": "true", **new})
    else:
        client.post(reverse("account_reset_password"), {"email": member.email})
        (link,) = re.findall(r"http://testserver(/\S+)", str(mailoutbox[0].body))[:1]
        client.post(client.get(link).headers["Location"], new)
        assert told(mailoutbox)[1] == (member.email, "Password Reset")
    assert open_session.get(reverse("account_change_password")).status_code == 302


def test_without_a_mail_server_a_changed_password_is_no_error(
    member_client: Client, member: User, settings: Settings, production: Callable[..., SimpleNamespace], password: str
) -> None:
    for name in ("MAILERS", "ACCOUNT_EMAIL_NOTIFICATIONS"):
        setattr(settings, name, getattr(production(), name))
    form = {"oldpassword": password, "password1": OTHER_PASSWORD, "password2": OTHER_PASSWORD}
    answer = member_client.post(reverse("account_change_password"), form, follow=True)
    assert "could not be sent" not in answer.text
    member.refresh_from_db()
    assert member.check_password(OTHER_PASSWORD)


@pytest.mark.parametrize("spelling", ["testserver:{}", "TESTSERVER:{}", "testserver.:{}"])
def test_no_spelling_of_the_host_passes_the_limit_of_an_account(client: Client, member: User, spelling: str) -> None:
    login, answers = reverse("account_login"), []
    for number in range(7):
        form = {"login": member.email.upper() if number % 2 else f" {member.email}", "password": "wrong"}
        answers.append(client.post(login, form, headers={"Host": spelling.format(number + 1)}).text)
    assert [TOO_MANY in answer for answer in answers] == [False] * 5 + [True] * 2


def test_no_spelling_of_the_host_passes_the_limit_of_reset_emails(
    client: Client, member: User, mailoutbox: list[EmailMessage]
) -> None:
    for number in range(7):
        email = member.email.upper() if number % 2 else member.email
        client.post(reverse("account_reset_password"), {"email": email}, headers={"Host": f"testserver:{number + 1}"})
    assert len(mailoutbox) == 5


def test_links_in_emails_have_no_port_that_a_visitor_made_up(
    client: Client, member: User, mailoutbox: list[EmailMessage], settings: Settings, password: str
) -> None:
    made_up = {"Host": "TestServer.:81"}

    def ask_for_all() -> None:
        client.post(reverse("account_reset_password"), {"email": member.email}, headers=made_up)
        client.post(reverse("account_reset_password"), {"email": "nobody@example.com"}, headers=made_up)
        for email in (EMAIL, member.email):
            form = {"email": email, "password1": password, "password2": password}
            client.post(reverse("account_signup"), form, headers=made_up)

    ask_for_all()
    assert len(mailoutbox) == 4
    for message in mailoutbox:
        assert "http://testserver/accounts/" in str(message.body)
        assert ":81" not in str(message.body)
    # A site that is really there says so.
    settings.CSRF_TRUSTED_ORIGINS = ["https://testserver:81"]
    client.post(reverse("account_reset_password"), {"email": member.email}, headers={"Host": "testserver:81"})
    assert "http://testserver:81/accounts/" in str(mailoutbox[-1].body)


def test_nobody_else_locks_out_a_browser_that_has_logged_in_before(client: Client, member: User, password: str) -> None:
    log_in(client, member.email, password)
    log_out(client)
    stranger = Client(REMOTE_ADDR="192.0.2.1")
    for _ in range(5):
        log_in(stranger, member.email, "wrong")
    assert TOO_MANY in log_in(stranger, member.email, password).text
    assert log_in(client, member.email.upper(), password).status_code == 302


def test_a_browser_that_has_logged_in_before_has_a_limit_too(client: Client, member: User, password: str) -> None:
    log_in(client, member.email, password)
    log_out(client)
    answers = [log_in(client, member.email, "wrong").text for _ in range(6)]
    assert [TOO_MANY in answer for answer in answers] == [False] * 5 + [True]
    # Its owner gets in with another browser all the same.
    assert log_in(Client(), member.email, password).status_code == 302


@pytest.mark.parametrize("forged", ["", "known", "made:up", "a:1:b", "é:ü"])
def test_a_browser_is_known_by_no_cookie_of_its_own_making_nor_of_another_account(
    client: Client, member: User, password: str, settings: Settings, forged: str
) -> None:
    other = User.objects.create_user(EMAIL, password)
    EmailAddress.objects.create(user=other, email=EMAIL, primary=True, verified=True)
    log_in(client, EMAIL, password)
    log_out(client)
    if forged:
        client.cookies[settings.KNOWN_BROWSER_COOKIE_NAME] = forged
    for number in range(5):
        log_in(Client(REMOTE_ADDR=f"192.0.2.{number}"), member.email, "wrong")
    assert TOO_MANY in log_in(client, member.email, password).text

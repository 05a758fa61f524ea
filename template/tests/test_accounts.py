"""People make an account with an e-mail address, and keep it in their own hands.

These tests are yours: when you change accounts, change them too. What else the sign-up form asks for,
they take from `sign_up_fields` in pyproject.toml, as the smoke suite does.
"""

import re
from collections.abc import Callable
from pathlib import Path
from smtplib import SMTPServerDisconnected
from types import SimpleNamespace
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from allauth.account.signals import email_confirmed
from django.conf import settings as site
from django.contrib.messages import get_messages
from django.core import mail
from django.core.mail import EmailMessage
from django.core.management import CommandError, call_command
from django.db import IntegrityError
from django.db.models import PROTECT, RESTRICT
from django.shortcuts import resolve_url
from django.test import Client
from django.urls import reverse
from django.utils.timezone import now
from pytest_django import Settings

from apps.accounts import mails
from apps.accounts.models import User
from operations.mail import MailNotConfiguredError
from smoke.known import TABLE, known

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("as_shipped")]

EMAIL = "visitor@example.com"
NOT_SENT = "could not be sent just now"
OTHER_PASSWORD = "staple battery horse correct"
TOO_MANY = "Too many failed login attempts"


def sign_up(client: Client, email: str, password: str, **options: Any) -> Any:
    fields = {"email": email, "password1": password, "password2": password, **known(site.BASE_DIR).filled_in(email)}
    answer = client.post(reverse("account_signup"), fields, **options)
    form = answer.context and answer.context.get("form")
    more = sorted(set(form.errors if form else ()) - set(fields) - {"__all__"})
    assert not more, f"Sign-up asks for {', '.join(more)} too: `sign_up_fields` under {TABLE} gives the values."
    return answer


def log_in(client: Client, email: str, password: str) -> Any:
    return client.post(reverse("account_login"), {"login": email, "password": password})


def messages_of(answer: Any) -> list[str]:
    """What the next page says of it."""
    return [str(message) for message in get_messages(answer.wsgi_request)]


def is_logged_in(client: Client) -> bool:
    return "_auth_user_id" in client.session


def link_in(message: EmailMessage) -> str:
    found = re.search(r"http://testserver(/\S+)", str(message.body))
    assert found
    return found[1]


def give_staffs_password(client: Client) -> None:
    """Give the password of pytest-django's admin, which pages that change accounts ask for."""
    client.post(reverse("account_reauthenticate"), {"password": "password"})


def refused_logins(client: Client) -> int:
    """How many of 12 logins are not even tried, each for another account and from another claimed address."""
    refused = 0
    for number in range(12):
        form = {"login": f"nobody{number}@example.com", "password": "wrong"}
        answer = client.post(reverse("account_login"), form, headers={"X-Forwarded-For": f"192.0.2.{number}"})
        refused += "Too many failed login attempts" in answer.text
    return refused


@pytest.fixture
def no_mail_server(settings: Settings, production: Callable[..., SimpleNamespace]) -> None:
    """The site as production runs it while EMAIL_URL is not set."""
    for name in ("MAILERS", "ACCOUNT_EMAIL_VERIFICATION", "ACCOUNT_PREVENT_ENUMERATION", "ACCOUNT_EMAIL_NOTIFICATIONS"):
        setattr(settings, name, getattr(production(), name))


@pytest.fixture
def mail_server_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mail server that breaks off each connection."""

    def break_off(*_: object, **__: object) -> None:
        raise SMTPServerDisconnected("Connection unexpectedly closed")

    monkeypatch.setattr(mail.EmailMultiAlternatives, "send", break_off)


@pytest.fixture
def broker_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """What hands tasks over fails."""

    def fail(*_: object, **__: object) -> None:
        raise ConnectionError("no broker")

    monkeypatch.setattr("django.tasks.backends.immediate.ImmediateBackend.enqueue", fail)


def test_a_new_account_works_once_its_address_is_confirmed(
    client: Client, mailoutbox: list[EmailMessage], password: str
) -> None:
    sign_up(client, EMAIL, password)
    log_in(client, EMAIL, password)
    assert not is_logged_in(client)
    client.post(link_in(mailoutbox[0]))
    log_in(client, EMAIL, password)
    assert is_logged_in(client)


def test_an_address_is_the_same_in_upper_and_lower_case(client: Client, password: str) -> None:
    sign_up(client, "Visitor@Example.COM", password)
    assert User.objects.filter(email=EMAIL).exists()
    EmailAddress.objects.update(verified=True)
    log_in(client, "VISITOR@example.com", password)
    assert is_logged_in(client)


def test_an_address_has_one_account(client: Client, member: User, password: str) -> None:
    sign_up(client, member.email.upper(), password)
    assert User.objects.get(email__iexact=member.email) == member
    with pytest.raises(IntegrityError):
        User.objects.bulk_create([User(email=member.email.upper())])


def test_whether_an_address_has_an_account_is_told_by_mail_alone(
    client: Client, member: User, mailoutbox: list[EmailMessage], password: str
) -> None:
    for email in (EMAIL, member.email):
        assert sign_up(client, email, password).headers["Location"] == reverse("account_email_verification_sent")
    assert [message.to for message in mailoutbox] == [[EMAIL], [member.email]]


def test_an_email_says_what_to_do_with_its_link_on_a_line_of_its_own(
    client: Client, member: User, mailoutbox: list[EmailMessage]
) -> None:
    client.post(reverse("account_reset_password"), {"email": member.email})
    (message,) = mailoutbox
    assert isinstance(message, mail.EmailMultiAlternatives)
    assert str(message.subject).endswith("Set a new password")
    (link,) = [line for line in str(message.body).splitlines() if line.startswith("http")]
    assert " " not in link
    assert "The link works for 3 days." in str(message.body)
    assert f'href="{link}"' in str(message.alternatives[0][0])
    assert message.extra_headers["Auto-Submitted"] == "auto-generated"


def test_every_email_and_message_can_be_written() -> None:
    values = {name: f"<{name}>" for name in ("email", "from_email", "to_email", "deleted_email", "user_agent", "ip")}
    values |= {name: f"https://example.com/{name}" for name in ("activate_url", "password_reset_url", "signup_url")}
    context: dict[str, Any] = {
        **values,
        "current_site": SimpleNamespace(name="{site}", domain="example.com"),
        "timestamp": now(),
    }
    for name, each in mails.MAILS.items():
        written = mails.mail(f"account/email/{name}", context)
        assert written is not None
        subject, text, page = written
        assert "\n" not in subject
        assert (context[each.link] in text) if each.link else ("https:" not in text)
        assert "{site}" in text
        assert "<email>" not in page
    for name in mails.MESSAGES:
        assert mails.message(f"account/messages/{name}.txt", values)


def test_an_email_that_has_a_template_of_the_sites_own_is_as_it_says(
    settings: Settings, tmp_path: Path, client: Client, member: User, mailoutbox: list[EmailMessage]
) -> None:
    (tmp_path / "account/email").mkdir(parents=True)
    (tmp_path / "account/email/password_reset_key_message.txt").write_text("Ours: {{ password_reset_url }}")
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path, *settings.TEMPLATES[0]["DIRS"]]}]
    client.post(reverse("account_reset_password"), {"email": member.email})
    assert str(mailoutbox[0].body).startswith("Ours: http")


def test_a_changed_password_leads_home_and_says_so(member_client: Client, password: str) -> None:
    form = {"oldpassword": password, "password1": OTHER_PASSWORD, "password2": OTHER_PASSWORD}
    answer = member_client.post(reverse("account_change_password"), form)
    assert answer.headers["Location"] == reverse("home")
    assert messages_of(answer) == ["Your password is changed."]


@pytest.mark.parametrize("length", [255, 320])
def test_an_address_that_the_database_has_no_room_for_is_refused(
    client: Client, member_client: Client, password: str, length: int
) -> None:
    email = f"{'a' * (length - len('@example.com'))}@example.com"
    for _ in range(2):
        assert "at most 254 characters" in sign_up(client, email, password).text
    member_client.post(reverse("account_reauthenticate"), {"password": password})
    assert (
        "at most 254 characters"
        in member_client.post(reverse("account_email"), {"action_add": "", "email": email}).text
    )
    assert not EmailAddress.objects.filter(email__startswith="aaa").exists()


def test_an_account_needs_an_address() -> None:
    with pytest.raises(ValueError, match="needs an e-mail address"):
        User.objects.create_user("")


def test_a_weak_password_is_refused(client: Client) -> None:
    for password in ("short", "password123", "94617305582", EMAIL):
        sign_up(client, EMAIL, password)
    assert not User.objects.filter(email=EMAIL).exists()


def test_sign_up_can_be_closed(client: Client, settings: Settings, password: str) -> None:
    settings.SIGNUP_OPEN = False
    assert reverse("account_signup") not in client.get(reverse("account_reset_password")).text
    assert "closed" in client.get(reverse("account_signup")).text
    assert reverse("account_signup") not in client.get(reverse("account_login")).text
    sign_up(client, EMAIL, password)
    assert not User.objects.filter(email=EMAIL).exists()


def test_a_member_logs_in_and_out(client: Client, member: User, password: str) -> None:
    assert log_in(client, member.email, password).headers["Location"] == resolve_url(site.LOGIN_REDIRECT_URL)
    assert is_logged_in(client)
    client.get(reverse("account_logout"))
    assert is_logged_in(client), "a link on another site must not log anybody out"
    client.post(reverse("account_logout"))
    assert not is_logged_in(client)


def test_a_wrong_password_does_not_log_in(client: Client, member: User) -> None:
    log_in(client, member.email, OTHER_PASSWORD)
    assert not is_logged_in(client)


def test_wrong_passwords_are_limited(client: Client, member: User, password: str) -> None:
    for _ in range(5):
        log_in(client, member.email, OTHER_PASSWORD)
    answer = log_in(client, member.email, password)
    assert TOO_MANY in answer.text
    assert answer.status_code == 429
    assert answer.headers["Retry-After"].isdecimal()
    assert not is_logged_in(client)


def test_a_changed_password_ends_other_sessions(member: User, member_client: Client, password: str) -> None:
    elsewhere = Client()
    log_in(elsewhere, member.email, password)
    member_client.post(
        reverse("account_change_password"),
        {"oldpassword": password, "password1": OTHER_PASSWORD, "password2": OTHER_PASSWORD},
    )
    member.refresh_from_db()
    assert member.check_password(OTHER_PASSWORD)
    assert member_client.get(reverse("account_email")).status_code == 200
    assert elsewhere.get(reverse("account_email")).status_code == 302


def test_a_forgotten_password_is_reset_by_a_mailed_link(
    client: Client, member: User, mailoutbox: list[EmailMessage]
) -> None:
    client.post(reverse("account_reset_password"), {"email": member.email})
    # The link leads to an address without its key, which a page must not pass on.
    form = client.get(link_in(mailoutbox[0])).headers["Location"]
    answer = client.post(form, {"password1": OTHER_PASSWORD, "password2": OTHER_PASSWORD})
    assert answer.headers["Location"] == reverse("account_login")
    log_in(client, member.email, OTHER_PASSWORD)
    assert is_logged_in(client)
    assert "no longer works" in Client().get(link_in(mailoutbox[0])).text, "a link works once"


@pytest.mark.usefixtures("no_mail_server")
def test_without_a_mail_server_a_new_account_works_at_once(client: Client, password: str) -> None:
    sign_up(client, EMAIL, password)
    assert is_logged_in(client)
    assert "already registered" in sign_up(Client(), EMAIL, password).text


@pytest.mark.usefixtures("no_mail_server")
@pytest.mark.parametrize("page", ["account_reset_password", "account_email"])
def test_without_a_mail_server_the_pages_that_need_one_say_so(member_client: Client, member: User, page: str) -> None:
    for answer in (member_client.get(reverse(page)), member_client.post(reverse(page), {"email": member.email})):
        assert answer.status_code == 200
        assert "cannot send email" in answer.text
    assert reverse("account_reset_password") not in Client().get(reverse("account_login")).text


@pytest.mark.usefixtures("no_mail_server")
def test_without_a_mail_server_no_mail_is_lost_in_silence() -> None:
    with pytest.raises(MailNotConfiguredError, match="EMAIL_URL"):
        mail.send_mail("Subject", "Body", None, [EMAIL])
    assert mail.mailers.default.send_messages([]) == 0


def test_an_account_is_deleted_after_its_password(member: User, member_client: Client, password: str) -> None:
    page = reverse("account_delete")
    assert "not your password" in member_client.post(page, {"password": OTHER_PASSWORD}).text
    assert User.objects.filter(pk=member.pk).exists()
    assert messages_of(member_client.post(page, {"password": password})) == ["Your account is deleted."]
    assert not User.objects.filter(pk=member.pk).exists()
    assert not is_logged_in(member_client)


def test_a_sign_up_can_be_taken_back_until_its_address_is_confirmed(client: Client, password: str) -> None:
    leads_to = sign_up(client, EMAIL, password).headers["Location"]
    assert reverse("account_delete") in client.get(leads_to).text
    page = reverse("account_delete")
    assert Client().get(page).status_code == 302, "another browser has nothing to delete"
    EmailAddress.objects.update(verified=True)
    assert client.get(page).status_code == 302, "from now on one logs in first"
    EmailAddress.objects.update(verified=False)
    assert messages_of(client.post(page, {"password": password})) == ["Your account is deleted."]
    assert not User.objects.filter(email=EMAIL).exists()


def test_taking_a_sign_up_back_does_not_tell_whether_the_address_was_taken(member: User, password: str) -> None:
    told = []
    for email in (member.email, EMAIL):
        visitor, page = Client(), reverse("account_delete")
        answers = [sign_up(visitor, email, f"{password}!"), visitor.get(page)]
        answers += [visitor.post(page, {"password": word}) for word in (OTHER_PASSWORD, f"{password}!")]
        told.append([(answer.status_code, answer.headers.get("Location")) for answer in answers])
    assert told[0] == told[1]
    assert [user.pk for user in User.objects.filter(email__in=[member.email, EMAIL])] == [member.pk]


def test_a_site_whose_pages_all_need_a_login_leaves_open_what_leads_to_one(
    client: Client, settings: Settings, password: str
) -> None:
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.contrib.auth.middleware.LoginRequiredMiddleware"]
    assert client.get(reverse("account_reset_password")).status_code == 200
    sign_up(client, EMAIL, password)
    assert client.get(reverse("account_delete")).status_code == 200, "a sign-up can be taken back"


@pytest.fixture(params=[PROTECT, RESTRICT], ids=lambda on_delete: on_delete.__name__)
def protected(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that point at an account keep it from being deleted: here its addresses, elsewhere an invoice perhaps."""
    monkeypatch.setattr(EmailAddress._meta.get_field("user").remote_field, "on_delete", request.param)


@pytest.mark.usefixtures("protected")
def test_what_has_to_stay_keeps_its_account(
    member: User, member_client: Client, admin_client: Client, password: str
) -> None:
    answer = member_client.post(reverse("account_delete"), {"password": password})
    assert "cannot be deleted" in answer.text
    assert is_logged_in(member_client)
    give_staffs_password(admin_client)
    answer = admin_client.post(reverse("admin:accounts_user_delete", args=[member.pk]), {"post": "yes"})
    assert "would require deleting the following protected related objects" in answer.text
    assert User.objects.filter(pk=member.pk).exists()


@pytest.mark.usefixtures("protected")
def test_an_account_that_was_never_confirmed_and_has_to_stay_gives_its_address_up(
    member: User, member_client: Client, password: str, mailoutbox: list[EmailMessage]
) -> None:
    give_password(member_client, password)
    member_client.post(reverse("account_email"), {"action_add": "", "email": EMAIL})
    stays = User.objects.create_user(EMAIL)
    EmailAddress.objects.create(user=stays, email=EMAIL, primary=True)
    assert member_client.post(link_in(mailoutbox[-1])).status_code == 302
    stays.refresh_from_db()
    assert (stays.email, stays.is_active) == (f"account-{stays.pk}@unconfirmed.invalid", False)
    member_client.post(reverse("account_email"), {"action_primary": "", "email": EMAIL})
    assert User.objects.get(pk=member.pk).email == EMAIL


def test_an_address_that_another_account_logs_in_by_is_told(
    member: User, member_client: Client, password: str, verified: EmailAddress
) -> None:
    """One that the staff made stays, whoever confirms its address."""
    User.objects.create_user(EMAIL, is_staff=True)
    give_password(member_client, password)
    answer = member_client.post(reverse("account_email"), {"action_primary": "", "email": EMAIL}, follow=True)
    assert "Another account has this address." in answer.text
    verified.refresh_from_db()
    assert (User.objects.get(pk=member.pk).email, verified.primary) == (member.email, False)


@pytest.mark.usefixtures("verified")
def test_the_admin_gives_no_account_an_address_that_another_has_confirmed(admin_client: Client) -> None:
    give_staffs_password(admin_client)
    other = User.objects.create_user("other@example.com")
    page = reverse("admin:accounts_user_change", args=[other.pk])
    form = {"email": EMAIL, "is_active": "on", "date_joined_0": "2026-01-01", "date_joined_1": "00:00:00"}
    assert "Another account has confirmed this address." in admin_client.post(page, form).text


def test_a_confirmed_address_is_free_of_those_who_never_confirmed_it(
    client: Client, member: User, password: str
) -> None:
    sign_up(client, EMAIL, password)
    owned = EmailAddress.objects.create(user=member, email=EMAIL, verified=True)
    email_confirmed.send(EmailAddress, request=None, email_address=owned)
    assert [user.pk for user in User.objects.filter(email__in=[member.email, EMAIL])] == [member.pk]
    owned.set_as_primary()
    assert User.objects.get(pk=member.pk).email == EMAIL


def test_an_address_changed_in_the_admin_is_the_only_one_that_resets_the_password(
    admin_client: Client, member: User, mailoutbox: list[EmailMessage]
) -> None:
    give_staffs_password(admin_client)
    page = reverse("admin:accounts_user_change", args=[member.pk])
    form = {"email": EMAIL, "is_active": "on", "date_joined_0": "2026-01-01", "date_joined_1": "00:00:00"}
    assert admin_client.post(page, form).status_code == 302
    for email in ("member@example.com", EMAIL):
        Client().post(reverse("account_reset_password"), {"email": email})
    assert [mail.to for mail in mailoutbox if "reset/key" in str(mail.body)] == [[EMAIL]]


def test_a_visitor_deletes_nothing(client: Client) -> None:
    answer = client.post(reverse("account_delete"))
    assert answer.headers["Location"].startswith(reverse("account_login"))


def test_passwords_tried_on_the_way_to_deleting_are_limited(member: User, member_client: Client, password: str) -> None:
    for _ in range(10):
        member_client.post(reverse("account_delete"), {"password": OTHER_PASSWORD})
    answer = member_client.post(reverse("account_delete"), {"password": password})
    assert answer.status_code == 429
    assert answer.headers["Retry-After"].isdecimal()
    assert "Too many tries" in answer.text
    assert User.objects.filter(pk=member.pk).exists()


def test_a_superuser_logs_in_to_the_admin_through_the_sites_login(
    client: Client, password: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", password)
    call_command("createsuperuser", interactive=False, email="Admin@example.com", verbosity=0)
    with pytest.raises(CommandError, match="already taken"):
        call_command("createsuperuser", interactive=False, email="ADMIN@example.com")
    login = client.get(reverse("admin:index"), follow=True).redirect_chain[-1][0]
    assert login.startswith(reverse("account_login"))
    answer = client.post(login, {"login": "admin@example.com", "password": password}, follow=True)
    assert answer.request["PATH_INFO"] == reverse("admin:index")
    assert answer.status_code == 200


def test_the_admin_has_no_login_of_its_own_that_is_not_limited(client: Client, member: User) -> None:
    for page in (reverse("admin:index"), reverse("admin:login")):
        answer = client.post(page, {"username": member.email, "password": OTHER_PASSWORD}, follow=True)
        assert answer.request["PATH_INFO"] == reverse("account_login")


def test_an_account_that_the_admin_makes_can_log_in(
    admin_client: Client, client: Client, mailoutbox: list[EmailMessage], password: str
) -> None:
    give_staffs_password(admin_client)
    form = {"email": "Visitor@Example.com", "usable_password": "true", "password1": password, "password2": password}
    admin_client.post(reverse("admin:accounts_user_add"), form)
    assert EMAIL in admin_client.get(reverse("admin:accounts_user_changelist"), {"q": "VISITOR"}).text
    log_in(client, EMAIL, password)
    client.post(link_in(mailoutbox[0]))
    log_in(client, EMAIL, password)
    assert is_logged_in(client)


@pytest.mark.usefixtures("mail_server_down")
def test_a_mail_server_that_is_down_is_told_to_who_signs_up(
    client: Client, password: str, caplog: pytest.LogCaptureFixture
) -> None:
    page = sign_up(client, EMAIL, password, follow=True)
    assert page.status_code == 200
    assert NOT_SENT in page.text
    assert User.objects.filter(email=EMAIL).exists()
    assert "SMTPServerDisconnected" in caplog.text


@pytest.mark.usefixtures("broker_down")
def test_a_broker_that_is_down_is_told_to_who_asks_for_a_mail(client: Client, member: User) -> None:
    page = client.post(reverse("account_reset_password"), {"email": member.email}, follow=True)
    assert page.status_code == 200
    assert NOT_SENT in page.text


def test_a_visitor_cannot_escape_a_limit_by_making_up_addresses(client: Client) -> None:
    # Ten a minute may fail from one address, whatever the accounts.
    assert refused_logins(client) == 2


def test_behind_a_proxy_a_limit_is_each_visitors_own(client: Client, settings: Settings) -> None:
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = 1
    assert refused_logins(client) == 0


# An account is its owner's: not taken over from an open session, not guessed past the limits, not locked out by others.


def give_password(client: Client, password: str) -> Any:
    """Give the password on the page that asks for it again."""
    return client.post(reverse("account_reauthenticate"), {"password": password})


def told(mailoutbox: list[EmailMessage]) -> list[tuple[str, str]]:
    """Return whom each email went to, and what it says behind the site's name."""
    prefix = getattr(site, "ACCOUNT_EMAIL_SUBJECT_PREFIX", None) or f"[{site.SITE_NAME}] "
    return [(message.to[0], str(message.subject).removeprefix(prefix)) for message in mailoutbox]


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
    asks_again = reverse("account_reauthenticate")
    assert answer.headers["Location"].startswith(asks_again)
    give_password(client, OTHER_PASSWORD)
    assert addresses() == before
    client.post(f"{asks_again}?next={reverse('account_email')}", {"password": password})
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
    answer = admin_client.post(reverse("admin:password_change"), {"old_password": "wrong"})
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
    asks_again = reverse("account_reauthenticate")
    for page in pages:
        assert admin_client.post(page, {"email": EMAIL}).headers["Location"].startswith(asks_again), page
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
        ("member@example.com", "Your password was changed"),
        ("member@example.com", "Your email address was changed"),
        (EMAIL, "An email address was removed"),
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
    assert told(mailoutbox) == [
        ("member@example.com", "Your email address was changed"),
        (EMAIL, "Your password was changed"),
    ]


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
        assert told(mailoutbox)[1] == (member.email, "Your password was changed")
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
            sign_up(client, email, password, headers=made_up)

    ask_for_all()
    assert len(mailoutbox) == 4
    for message in mailoutbox:
        assert "http://testserver/" in str(message.body)
        assert ":81" not in str(message.body)
    # A site that is really there says so.
    settings.CSRF_TRUSTED_ORIGINS = ["https://testserver:81"]
    client.post(reverse("account_reset_password"), {"email": member.email}, headers={"Host": "testserver:81"})
    assert "http://testserver:81/" in str(mailoutbox[-1].body)


def test_nobody_else_locks_out_a_browser_that_has_logged_in_before(client: Client, member: User, password: str) -> None:
    log_in(client, member.email, password)
    client.post(reverse("account_logout"))
    stranger = Client(REMOTE_ADDR="192.0.2.1")
    for _ in range(5):
        log_in(stranger, member.email, "wrong")
    assert TOO_MANY in log_in(stranger, member.email, password).text
    assert log_in(client, member.email.upper(), password).status_code == 302


def test_a_browser_that_has_logged_in_before_has_a_limit_too(client: Client, member: User, password: str) -> None:
    log_in(client, member.email, password)
    client.post(reverse("account_logout"))
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
    client.post(reverse("account_logout"))
    if forged:
        client.cookies[settings.KNOWN_BROWSER_COOKIE_NAME] = forged
    for number in range(5):
        log_in(Client(REMOTE_ADDR=f"192.0.2.{number}"), member.email, "wrong")
    assert TOO_MANY in log_in(client, member.email, password).text

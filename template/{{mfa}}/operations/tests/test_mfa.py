"""The admin asks for a second factor, secrets are encrypted, and who has lost theirs gets help."""

import logging
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal import auth
from django.apps import apps
from django.core.mail import EmailMessage
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import include, path, reverse
from pytest_django import Settings

from operations.mfa.factors import Adapter, UnreadableSecretError
from operations.tests import conftest

pytestmark = pytest.mark.django_db

MIDDLEWARE = "operations.mfa.factors.AdminMiddleware"
in_the_admin = pytest.mark.skipif(not apps.is_installed("django.contrib.admin"), reason="this site has no admin")
OTHER_KEY = "another key, of at least fifty characters as a real one has"
# This module's URLs.
urlpatterns = [
    *conftest.urlpatterns,
    path("accounts/", include("allauth.account.urls")),
    path("accounts/2fa/", include("allauth.mfa.urls")),
    path("home/", conftest.page, name="home"),
]
handler403 = conftest.error(403)


@pytest.fixture(autouse=True)
def second_factors(settings: Settings, pages: None) -> None:  # noqa: ARG001 - it sets other URLs
    """The site's pages for second factors, and an admin that asks for them."""
    settings.ROOT_URLCONF = __name__
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, MIDDLEWARE]
    settings.ADMIN_REQUIRES_MFA = True


@pytest.fixture
def secret() -> str:
    """The secret of an app."""
    return auth.generate_totp_secret()


@pytest.fixture
def app(admin_user: Any, secret: str) -> Authenticator:
    """The app of the admin, who also has recovery codes."""
    RecoveryCodes.activate(admin_user)
    return auth.TOTP.activate(admin_user, secret).instance


def code(secret: str) -> str:
    """Return what the app shows now."""
    return auth.format_hotp_value(auth.hotp_value(secret, next(auth.yield_hotp_counters_from_time())))


def where(client: Client, page: str = "admin:index", **data: str) -> str:
    """Return where a page of the admin leads; empty if it is shown."""
    answer = client.post(reverse(page), data) if data else client.get(reverse(page))
    return answer.headers.get("Location", "") if answer.status_code != 200 else ""


def test_production_asks_staff_for_a_second_factor_unless_told_otherwise(
    production: Callable[..., SimpleNamespace],
) -> None:
    assert MIDDLEWARE in production().MIDDLEWARE
    assert production().ADMIN_REQUIRES_MFA is True
    assert production(ADMIN_REQUIRES_MFA="false").ADMIN_REQUIRES_MFA is False


def test_an_account_without_confirmed_address_may_have_a_second_factor_only_where_there_is_no_mail(
    production: Callable[..., SimpleNamespace],
) -> None:
    mail = {"EMAIL_URL": "smtp://mail.example.com:25", "DEFAULT_FROM_EMAIL": "site@example.com"}
    assert production().MFA_ALLOW_UNVERIFIED_EMAIL
    assert not production(**mail).MFA_ALLOW_UNVERIFIED_EMAIL


@in_the_admin
def test_staff_without_a_second_factor_are_led_to_set_one_up_from_every_page_of_the_admin(admin_client: Client) -> None:
    for page in ("index", "login", "jsi18n", "auth_group_changelist", "auth_group_add", "mfa_authenticator_changelist"):
        assert where(admin_client, f"admin:{page}") == reverse("mfa_index")
    assert where(admin_client, "admin:auth_group_add", name="Editors") == reverse("mfa_index")
    assert where(admin_client, "admin:logout", any="") != reverse("mfa_index")
    assert reverse("admin:login") in where(admin_client)


@in_the_admin
def test_an_admin_that_asks_for_no_second_factor_lets_staff_in(admin_client: Client, settings: Settings) -> None:
    settings.ADMIN_REQUIRES_MFA = False
    assert where(admin_client) == ""


@in_the_admin
def test_the_admin_itself_answers_those_who_are_no_staff(client: Client, member: Any) -> None:
    assert reverse("admin:login") in where(client)
    client.force_login(member)
    assert reverse("admin:login") in where(client)


@in_the_admin
def test_a_session_that_has_not_proved_the_second_factor_is_asked_for_it(
    admin_client: Client, app: Authenticator, secret: str
) -> None:
    asked = where(admin_client, "admin:auth_group_changelist")
    assert asked == f"{reverse('mfa_reauthenticate')}?next=%2Fadmin%2Fauth%2Fgroup%2F"
    assert admin_client.post(asked, {"code": code(secret)}).headers["Location"] == "/admin/auth/group/"
    assert where(admin_client, "admin:auth_group_changelist") == ""
    # The session alone is not enough, nor are recovery codes without what they stand for.
    app.delete()
    assert where(admin_client) == reverse("mfa_index")


@in_the_admin
def test_who_has_a_key_and_no_app_is_asked_for_the_key(admin_client: Client, admin_user: Any) -> None:
    Authenticator.objects.create(user=admin_user, type=Authenticator.Type.WEBAUTHN, data={"name": "Key"})
    RecoveryCodes.activate(admin_user)
    assert where(admin_client).startswith(reverse("mfa_reauthenticate_webauthn"))


def test_secrets_are_encrypted_in_the_database(app: Authenticator, secret: str) -> None:
    for row in Authenticator.objects.all():
        (stored,) = [row.data[name] for name in ("secret", "seed") if name in row.data]
        assert secret not in stored
        assert Adapter().decrypt(stored) not in stored
    assert app.wrap().validate_code(code(secret))


def test_another_secret_key_reads_secrets_by_its_fallback_and_after_a_migrate_without(
    app: Authenticator, secret: str, settings: Settings
) -> None:
    codes = RecoveryCodes.activate(app.user).get_unused_codes()
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = OTHER_KEY, [settings.SECRET_KEY]
    assert app.wrap().validate_code(code(secret))
    call_command("migrate", verbosity=0)
    settings.SECRET_KEY_FALLBACKS = []
    app.refresh_from_db()
    assert Adapter().decrypt(app.data["secret"]) == secret
    assert RecoveryCodes.activate(app.user).get_unused_codes() == codes
    before = app.data
    call_command("migrate", verbosity=0)
    app.refresh_from_db()
    assert app.data == before, "what the newest key has encrypted is not written again"


def test_secrets_from_before_there_was_encryption_are_read_and_encrypted_by_a_migrate(
    app: Authenticator, secret: str
) -> None:
    app.data = {"secret": secret}
    app.save()
    assert app.wrap().validate_code(code(secret))
    call_command("migrate", verbosity=0)
    app.refresh_from_db()
    assert app.data["secret"] != secret
    assert Adapter().decrypt(app.data["secret"]) == secret


def test_secrets_that_no_key_reads_let_nobody_in_and_say_why(
    client: Client, app: Authenticator, secret: str, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    before = dict(app.data)
    settings.SECRET_KEY = OTHER_KEY
    with caplog.at_level(logging.ERROR), pytest.raises(UnreadableSecretError):
        Adapter().decrypt(app.data["secret"])
    assert "SECRET_KEY_FALLBACKS" in caplog.text
    assert secret not in caplog.text
    # Pages that have no form for it lead to the one on second factors, which says so.
    settings.MFA_REAUTHENTICATION_REQUIRED = False
    client.force_login(app.user)
    assert client.get(reverse("mfa_view_recovery_codes")).headers["Location"] == reverse("mfa_index")
    # The key may come back.
    call_command("migrate", verbosity=0)
    app.refresh_from_db()
    assert app.data == before


def test_a_lost_second_factor_is_removed_and_its_owner_told(
    app: Authenticator,
    settings: Settings,
    mailoutbox: list[EmailMessage],
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    email = app.user.email
    call_command("removemfa", email.upper())
    assert not Authenticator.objects.exists()
    assert f"{email}: removed " in capsys.readouterr().out
    assert f"account {app.user.pk}" in caplog.text
    (message,) = mailoutbox
    assert message.to == [email]
    assert str(message.subject).startswith(settings.ACCOUNT_EMAIL_SUBJECT_PREFIX)
    assert "Site were removed" in str(message.body)
    assert message.extra_headers["Auto-Submitted"] == "auto-generated"


def test_a_site_without_mail_says_that_nobody_was_told(
    app: Authenticator, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.MAILERS = {"default": {"BACKEND": "operations.mail.NoMailServer"}}
    call_command("removemfa", app.user.email)
    assert "No email could be sent: tell its owner." in capsys.readouterr().out
    assert not Authenticator.objects.exists()


def test_a_wrong_address_is_named_and_nothing_removed(app: Authenticator, member: Any) -> None:
    with pytest.raises(CommandError) as refused:
        call_command("removemfa", app.user.email, "nobody@example.com", member.email)
    assert str(refused.value).splitlines() == [
        "Nothing is removed.",
        "nobody@example.com: no account has this email address.",
        f"{member.email}: this account has no second factor.",
    ]
    assert Authenticator.objects.count() == 2


@in_the_admin
def test_the_admin_shows_who_has_a_second_factor_and_no_secret(
    admin_client: Client, app: Authenticator, settings: Settings, mailoutbox: list[EmailMessage]
) -> None:
    settings.ADMIN_REQUIRES_MFA = False
    page = reverse("admin:mfa_authenticator_change", args=[app.pk])
    assert app.user.email in admin_client.get(reverse("admin:mfa_authenticator_changelist")).text
    assert app.data["secret"] not in admin_client.get(page).text
    assert admin_client.post(page, {"type": "webauthn"}).status_code == 403
    assert admin_client.get(reverse("admin:mfa_authenticator_add")).status_code == 403
    # Deleting one asks staff for their password, and tells its owner.
    for asked in (
        admin_client.post(reverse("admin:mfa_authenticator_delete", args=[app.pk]), {"post": "yes"}),
        admin_client.post(
            reverse("admin:mfa_authenticator_changelist"),
            {"action": "delete_selected", "_selected_action": str(app.pk), "post": "yes"},
        ),
    ):
        assert asked.headers["Location"].startswith(reverse("account_reauthenticate"))
    assert Authenticator.objects.filter(pk=app.pk).exists()
    asked = admin_client.post(reverse("admin:mfa_authenticator_delete", args=[app.pk]), {"post": "yes"})
    admin_client.post(asked.headers["Location"], {"password": "password"})
    assert not Authenticator.objects.filter(pk=app.pk).exists()
    assert [message.to for message in mailoutbox] == [[app.user.email]]

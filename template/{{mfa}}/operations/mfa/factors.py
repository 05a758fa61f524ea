"""Encrypt the secrets of second factors, ask for one in the admin, and remove those that are lost."""

import logging
from base64 import urlsafe_b64encode
from collections.abc import Callable
from io import BytesIO
from typing import Any

from allauth.account.authentication import get_authentication_records
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from allauth.mfa.utils import is_mfa_enabled
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.mail import EmailMessage
from django.db import connections, transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.crypto import salted_hmac
from django.utils.http import urlencode
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from qrcode.image.svg import SvgPathFillImage
from qrcode.main import make

from operations.mail import can_send, hand_over

log = logging.getLogger(__name__)

# Those that a login asks for. Recovery codes only replace one of them.
FACTORS = [Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN]
# Where allauth keeps what is secret: an app's key, and what recovery codes are computed from.
SECRETS = ("secret", "seed")
# Every token of Fernet begins so, and no secret of allauth's does: https://github.com/fernet/spec/blob/master/Spec.md
ENCRYPTED = "gAAAA"


class UnreadableSecretError(ValidationError):
    """A secret was encrypted by a key that the site no longer has. Forms show it, and templates see an empty value."""

    silent_variable_failure = True


def fernet(key: str | bytes) -> Fernet:
    """Return what encrypts by a secret key of the site's."""
    derived = salted_hmac("operations.mfa", "secrets", secret=key, algorithm="sha256").digest()
    return Fernet(urlsafe_b64encode(derived))


class Adapter(DefaultMFAAdapter):
    """Keeps secrets encrypted, so that a copy of the database alone gives nobody a second factor."""

    def encrypt(self, text: str) -> str:
        """Return a secret, encrypted by SECRET_KEY."""
        return fernet(settings.SECRET_KEY).encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        """Return a secret that SECRET_KEY or one of SECRET_KEY_FALLBACKS has encrypted, or that was stored before there was encryption.

        Raises:
            UnreadableSecretError: another key has encrypted it.
        """
        if not encrypted_text.startswith(ENCRYPTED):
            return encrypted_text
        keys = MultiFernet([fernet(key) for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)])
        try:
            return keys.decrypt(encrypted_text).decode()
        except InvalidToken:
            log.error("a second factor cannot be read: add the previous SECRET_KEY to SECRET_KEY_FALLBACKS")
            raise UnreadableSecretError(
                _("This site cannot check codes at the moment. Use a passkey, or ask whoever runs the site.")
            ) from None

    def build_totp_svg(self, url: str) -> str:
        """Return a QR code on white, which a camera reads on a dark page too."""
        file = BytesIO()
        make(url, image_factory=SvgPathFillImage).save(file)
        return file.getvalue().decode()


def renew_secrets(using: str) -> None:
    """Encrypt by SECRET_KEY what one of SECRET_KEY_FALLBACKS or no key has encrypted, so that the fallback can be removed.

    Args:
        using: the database's alias.
    """
    if Authenticator._meta.db_table not in connections[using].introspection.table_names():
        return
    adapter, newest = Adapter(), fernet(settings.SECRET_KEY)
    rows = Authenticator.objects.using(using).exclude(type=Authenticator.Type.WEBAUTHN)
    with transaction.atomic(using=using):
        for row in rows.select_for_update():
            for name in SECRETS:
                try:
                    newest.decrypt(row.data.get(name, newest.encrypt(b"")))
                except InvalidToken:
                    # What no key reads stays, because the key may come back. The log has it.
                    try:
                        row.data[name] = adapter.encrypt(adapter.decrypt(row.data[name]))
                    except UnreadableSecretError:
                        continue
                    row.save(using=using, update_fields=["data"])


class AdminMiddleware:
    """Lets nobody into the admin without a second factor that this session has proved, if ADMIN_REQUIRES_MFA is on.

    A login asks for the second factor of who has one. This also covers who has none, sessions from before there was one, and
    logins that do not go through allauth.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer the request."""
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: Any, *_: Any) -> HttpResponse | None:
        """Lead staff to the page that sets up a second factor, or to the one that asks for it."""
        match = request.resolver_match
        if not settings.ADMIN_REQUIRES_MFA or not match or "admin" not in match.app_names or match.url_name == "logout":
            return None
        # Django marks its own pages with the site, and those of a model with the ModelAdmin.
        site = getattr(getattr(view, "model_admin", view), "admin_site", None)
        user: Any = request.user
        # The admin itself refuses everybody else.
        if not (site.has_permission(request) if site else user.is_active and user.is_staff):
            return None
        if not is_mfa_enabled(user, FACTORS):
            messages.warning(request, gettext("The admin needs a second factor. Set one up, then open it again."))
            return redirect("mfa_index")
        if any(record.get("method") == "mfa" for record in get_authentication_records(request, user)):
            return None
        page = "mfa_reauthenticate" if is_mfa_enabled(user, FACTORS[:1]) else "mfa_reauthenticate_webauthn"
        return redirect(f"{reverse(page)}?{urlencode({'next': request.get_full_path()})}")

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Say on the page of second factors that a secret cannot be read, where no form says so."""
        if not isinstance(exception, UnreadableSecretError):
            return None
        messages.error(request, exception.message)
        return redirect("mfa_index")


def tell_of_removal(user: Any) -> bool:
    """Email an account that its second factors were removed by the people who run the site, and return whether that was possible."""
    if not can_send():
        return False
    text = gettext(
        "The second factors of your account at {site} were removed by the people who run it. From now on your password is enough to"
        " log in, until you set up another second factor.\n\nIf you did not ask for this, tell them at once."
    )
    subject = gettext("Your second factors were removed")
    headers = {"Auto-Submitted": "auto-generated"}
    body = f"{text.format(site=settings.SITE_NAME)}\n\n{settings.SITE_NAME}\n"
    subject = f"{settings.ACCOUNT_EMAIL_SUBJECT_PREFIX}{subject}"
    return hand_over(EmailMessage(subject, body, to=[user.email], headers=headers))

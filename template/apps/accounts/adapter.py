"""How this site differs from allauth's defaults."""

import secrets
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.internal.flows.password_reset import get_reset_password_url
from allauth.core import context as allauth_context
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import AbstractBaseUser
from django.contrib.sites.requests import RequestSite
from django.core.mail import EmailMessage, EmailMultiAlternatives
from django.core.signing import BadSignature, TimestampSigner
from django.core.validators import MaxLengthValidator
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _

from apps.accounts import mails
from apps.accounts.models import User
from operations.mail import hand_over
from operations.requests import client_address, public_host

# Seconds for which a browser is known to have logged in to an account.
KNOWN_FOR = 365 * 24 * 3600


def known_browser(login: str) -> TimestampSigner:
    """Return what signs the cookie of a browser that has logged in by an address; it is good for no other address."""
    return TimestampSigner(salt=f"known browser of {login}")


class AccountAdapter(DefaultAccountAdapter):
    """Sign-up that a setting closes, emails that call the site by its name, and limits that no visitor chooses the key of."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:  # noqa: ARG002 - allauth passes it
        """Whether a visitor may make an account: SIGNUP_OPEN."""
        return bool(settings.SIGNUP_OPEN)

    def clean_email(self, email: str) -> str:
        """Return an address that fits the database. allauth would cut a longer one, and fail the second time.

        Raises:
            ValidationError: it is too long.
        """
        MaxLengthValidator(User._meta.get_field("email").max_length)(email)
        return str(super().clean_email(email))

    def is_safe_url(self, url: str | None) -> bool:
        """Whether a page may lead to an address that came with a request, such as `?next=`; to one that cannot be read it may not."""
        try:
            return bool(url and super().is_safe_url(url))
        except ValueError:
            return False

    def get_client_ip(self, request: HttpRequest) -> str:
        """Return the visitor's address, whatever proxies say: allauth's own way ends in an error where they say too little."""
        return client_address(request, settings.ALLAUTH_TRUSTED_PROXY_COUNT)

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:
        """Return what wrong passwords are counted by: the account alone. allauth's key holds the Host as the visitor sent it.

        A browser that has logged in to the account before has a count of its own, so that nobody else can lock it out.
        """
        login = str(credentials.get("email", "")).lower()
        cookie = request.COOKIES.get(settings.KNOWN_BROWSER_COOKIE_NAME, "")
        try:
            return f"{login} from {known_browser(login).unsign(cookie, max_age=KNOWN_FOR)}"
        except BadSignature:
            return login

    def post_login(self, request: HttpRequest, user: AbstractBaseUser, **details: Any) -> HttpResponse:
        """Answer a login, and let the browser be known for the address that was given."""
        response = super().post_login(request, user, **details)
        login = (details.get("email") or user.get_username()).lower()
        response.set_cookie(
            settings.KNOWN_BROWSER_COOKIE_NAME,
            known_browser(login).sign(secrets.token_urlsafe(16)),
            max_age=KNOWN_FOR,
            secure=settings.SESSION_COOKIE_SECURE,
            httponly=True,
            samesite="Lax",
        )
        return response

    def get_password_change_redirect_url(self, request: HttpRequest) -> str:  # noqa: ARG002 - allauth passes it
        """Return where a changed password leads: home, and not to the empty form again."""
        return reverse("home")

    def add_message(
        self,
        request: HttpRequest,
        level: int,
        message_template: str | None = None,
        message_context: dict[str, Any] | None = None,
        extra_tags: str = "",
        message: str | None = None,
    ) -> None:
        """Show a message in the words of this site: apps/accounts/mails.py."""
        own = message or mails.message(message_template or "", message_context or {})
        super().add_message(request, level, message_template, message_context, extra_tags, own or None)

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Send an email, or leave it to a worker, and tell the visitor if that fails already here.

        Without django.contrib.sites, allauth would call the site by its host, and links would have any port in them.
        """
        request = allauth_context.request
        site = RequestSite(request)
        site.name = settings.SITE_NAME
        sent_host, site.domain = request.get_host(), public_host(request)
        given = {"password_reset_url": get_reset_password_url(request), **context}
        links = {
            name: str(link).replace(f"//{sent_host}/", f"//{site.domain}/", 1)
            for name, link in given.items()
            if name.endswith("_url")
        }
        values = {"request": request, "email": email, **given, **links, "current_site": site}
        if own := mails.mail(template_prefix, values):
            subject, text, page = own
            mail: EmailMessage = EmailMultiAlternatives(
                self.format_email_subject(subject),
                text,
                self.get_from_email(),
                [email],
                alternatives=[(page, "text/html")],
            )
        else:
            mail = self.render_mail(template_prefix, email, values)
        # So that no automatic reply comes back: RFC 3834.
        mail.extra_headers["Auto-Submitted"] = "auto-generated"
        if not hand_over(mail):
            messages.error(request, _("The email could not be sent just now. Please try again in a few minutes."))

"""How this site differs from allauth's defaults."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core import context as allauth_context
from django.conf import settings
from django.contrib import messages
from django.contrib.sites.requests import RequestSite
from django.http import HttpRequest
from django.utils.translation import gettext as _

from operations.mail import hand_over


class AccountAdapter(DefaultAccountAdapter):
    """Sign-up that a setting closes, and mails that call the site by its name."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:  # noqa: ARG002 - allauth passes it
        """Whether a visitor may make an account: SIGNUP_OPEN."""
        return bool(settings.SIGNUP_OPEN)

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Let a mail be sent, and tell the visitor if that fails already here.

        Without django.contrib.sites, allauth would call the site by its host.
        """
        request = allauth_context.request
        site = RequestSite(request)
        site.name = settings.SITE_NAME
        mail = self.render_mail(
            template_prefix, email, {"request": request, "email": email, **context, "current_site": site}
        )
        if not hand_over(mail):
            messages.error(request, _("The mail could not be sent just now. Please try again in a few minutes."))

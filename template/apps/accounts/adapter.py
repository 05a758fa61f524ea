"""How this site differs from allauth's defaults."""

from allauth.account.adapter import DefaultAccountAdapter
from django.conf import settings
from django.http import HttpRequest


class AccountAdapter(DefaultAccountAdapter):
    """Sign-up that a setting closes."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:  # noqa: ARG002
        """Whether a visitor may make an account: SIGNUP_OPEN."""
        return bool(settings.SIGNUP_OPEN)

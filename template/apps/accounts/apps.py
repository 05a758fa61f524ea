"""Django's registration of this app."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class AccountsConfig(AppConfig):
    """People who have an account."""

    name = "apps.accounts"
    verbose_name = _("Users")

    def ready(self) -> None:
        """Listen for addresses that are confirmed."""
        from allauth.account.signals import email_confirmed

        from apps.accounts.models import free_confirmed_address

        email_confirmed.connect(free_confirmed_address)

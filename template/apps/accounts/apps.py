"""Django's registration of this app."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """People who have an account."""

    name = "apps.accounts"
    verbose_name = "Users"

    def ready(self) -> None:
        """Listen for addresses that are confirmed."""
        from allauth.account.signals import email_confirmed

        from apps.accounts.models import free_confirmed_address

        email_confirmed.connect(free_confirmed_address)

"""Django's registration of this app."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """People who have an account."""

    name = "apps.accounts"
    verbose_name = "Accounts"

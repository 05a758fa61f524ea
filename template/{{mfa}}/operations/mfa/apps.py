"""Django's registration of this app."""

from typing import Any

from django.apps import AppConfig, apps
from django.db.models.signals import post_migrate


class MFAConfig(AppConfig):
    """Second factors of accounts."""

    name = "operations.mfa"
    # allauth.mfa has the label that this one would have.
    label = "operations_mfa"

    def ready(self) -> None:
        """Encrypt secrets anew at each release, in case SECRET_KEY has changed."""
        post_migrate.connect(renew, sender=apps.get_app_config("mfa"))


def renew(*, using: str, **_: Any) -> None:
    """Encrypt the secrets of a database by the newest key."""
    # It imports models, which are not there yet when Django loads this module.
    from operations.mfa.factors import renew_secrets

    renew_secrets(using)

"""Django's registration of this app."""

from django.apps import AppConfig
from django.conf import settings


class OperationsConfig(AppConfig):
    """What running the site needs: health, request ids, logs, migrations under a lock."""

    name = "operations"
    verbose_name = "Operations"

    def ready(self) -> None:
        """Register the checks, and let emails have the site's name."""
        from operations import mail, uploads  # noqa: F401 - uploads registers its own

        mail.use_host_name(settings.ALLOWED_HOSTS)

"""Django's registration of this app."""

from django.apps import AppConfig


class OperationsConfig(AppConfig):
    """What running the site needs: health, request ids, logs, migrations under a lock."""

    name = "operations"
    verbose_name = "Operations"

    def ready(self) -> None:
        """Register the checks."""
        from operations import uploads  # noqa: F401 - which registers its own

"""Django's registration of this app."""

from django.apps import AppConfig

from operations.cleanup import OTHERS


class ApiConfig(AppConfig):
    """Tokens for the site's API, and what its answers have in common."""

    name = "operations.api"
    label = "operations_api"
    verbose_name = "API"

    def ready(self) -> None:
        """Let `manage.py cleanup` delete tokens that expired long ago."""
        from operations.api.models import Token

        OTHERS["tokens"] = Token.objects.forget_expired

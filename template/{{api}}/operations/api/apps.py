"""Django's registration of this app."""

from django.apps import AppConfig


class ApiConfig(AppConfig):
    """Tokens for the site's API, and what its answers have in common."""

    name = "operations.api"
    label = "operations_api"
    verbose_name = "API"

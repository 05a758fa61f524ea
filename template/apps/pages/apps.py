"""Django's registration of this app."""

from django.apps import AppConfig


class PagesConfig(AppConfig):
    """Pages for every visitor."""

    name = "apps.pages"
    verbose_name = "Pages"

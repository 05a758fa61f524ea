"""Django's registration of this app."""

from django.apps import AppConfig


class ProfileConfig(AppConfig):
    """A page on which members change their name, which shows how htmx is used."""

    name = "apps.profile"
    verbose_name = "Profile"

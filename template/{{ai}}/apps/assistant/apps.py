"""Django's registration of this app."""

from django.apps import AppConfig


class AssistantConfig(AppConfig):
    """A page that asks a language model."""

    name = "apps.assistant"
    verbose_name = "Assistant"

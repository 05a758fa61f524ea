"""Django's registration of this app."""

from importlib import import_module
from pathlib import Path

from django.apps import AppConfig, apps
from django.core.management import find_commands
from django.core.management.base import BaseCommand


class OperationsConfig(AppConfig):
    """What running the site needs: health, request ids, logs, migrations under a lock."""

    name = "operations"
    verbose_name = "Operations"

    def ready(self) -> None:
        """Register the checks."""
        from operations import uploads  # noqa: F401 - which registers its own


def next_command(name: str) -> type[BaseCommand]:
    """The command of a name that would count without this app: that of an app behind it in INSTALLED_APPS, or Django's.

    Raises:
        ModuleNotFoundError: there is none.
    """
    configs = list(apps.get_app_configs())
    behind = configs[[config.name for config in configs].index("operations") + 1 :]
    found = [config.name for config in behind if name in find_commands(str(Path(config.path, "management")))]
    command: type[BaseCommand] = import_module(f"{[*found, 'django.core'][0]}.management.commands.{name}").Command
    return command

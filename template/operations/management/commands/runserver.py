"""Run Django's `runserver`, with an option to migrate first."""

import os
from typing import TYPE_CHECKING, Any

from django.core.management import call_command
from django.core.management.base import CommandError, CommandParser
from django.utils.autoreload import DJANGO_AUTORELOAD_ENV

from operations.management.commands.migrate import next_command

if TYPE_CHECKING:
    from django.core.management.commands.runserver import Command as Runserver
else:
    # Another app may override the command, such as Channels with daphne.
    Runserver = next_command("runserver")


class Command(Runserver):
    """Serve the site during development."""

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the existing arguments, and whether to migrate."""
        super().add_arguments(parser)
        parser.add_argument("--migrate", action="store_true", help="Apply migrations before the first start.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Serve. Migrate in the same process, because a separate `migrate` would load the project once more."""
        if options.pop("migrate") and DJANGO_AUTORELOAD_ENV not in os.environ:
            call_command("migrate", verbosity=options["verbosity"])
        super().handle(*args, **options)

    def run(self, **options: Any) -> None:
        """Start the server.

        Raises:
            CommandError: there is no such port.
        """
        # Django sets this attribute, but type checkers do not know it.
        if int(self.port) > 65535:  # type: ignore[attr-defined]
            raise CommandError("There is no such port. Choose one from 1 to 65535")
        super().run(**options)

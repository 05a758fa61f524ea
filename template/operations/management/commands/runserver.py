"""Django's `runserver`, which can migrate before it starts."""

import os
from typing import TYPE_CHECKING, Any

from django.core.management import call_command
from django.core.management.base import CommandError, CommandParser
from django.utils.autoreload import DJANGO_AUTORELOAD_ENV

from operations.management.commands.migrate import next_command

if TYPE_CHECKING:
    from django.core.management.commands.runserver import Command as Runserver
else:
    # Another app may have one of its own, such as Channels with daphne.
    Runserver = next_command("runserver")


class Command(Runserver):
    """Serves the site while one works on it."""

    def add_arguments(self, parser: CommandParser) -> None:
        """The arguments that there are already, and whether to migrate."""
        super().add_arguments(parser)
        parser.add_argument("--migrate", action="store_true", help="Apply migrations before the first start.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Serve; one process does both at the start, where a `migrate` of its own would load the project once more."""
        if options.pop("migrate") and DJANGO_AUTORELOAD_ENV not in os.environ:
            call_command("migrate", verbosity=options["verbosity"])
        super().handle(*args, **options)

    def run(self, **options: Any) -> None:
        """Start the server.

        Raises:
            CommandError: there is no such port.
        """
        # Django has set it, which type checkers do not know.
        if int(self.port) > 65535:  # type: ignore[attr-defined]
            raise CommandError("There is no such port. Choose one from 1 to 65535")
        super().run(**options)

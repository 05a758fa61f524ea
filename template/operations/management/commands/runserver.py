"""Django's `runserver`, which can migrate before it starts."""

import os
from typing import Any

from django.contrib.staticfiles.management.commands.runserver import Command as DjangoRunserver
from django.core.management import call_command
from django.core.management.base import CommandParser
from django.utils.autoreload import DJANGO_AUTORELOAD_ENV


class Command(DjangoRunserver):
    """Serves the site while one works on it."""

    def add_arguments(self, parser: CommandParser) -> None:
        """Django's own arguments, and whether to migrate."""
        super().add_arguments(parser)
        parser.add_argument("--migrate", action="store_true", help="Apply migrations before the first start.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Serve; one process does both at the start, where a `migrate` of its own would load the project once more."""
        if options.pop("migrate") and DJANGO_AUTORELOAD_ENV not in os.environ:
            call_command("migrate", verbosity=options["verbosity"])
        super().handle(*args, **options)

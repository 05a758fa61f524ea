"""Puts a backup back."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection

from apps.operations.backups import BackupError, restore


class Command(BaseCommand):
    """Puts a backup in place of all that is in the database."""

    help = "Puts a file that `backup` has written in place of all that is in the database."

    def add_arguments(self, parser: CommandParser) -> None:
        """Which backup, and whether to ask."""
        parser.add_argument("backup", type=Path, help="The file.")
        parser.add_argument("--noinput", "--no-input", action="store_false", dest="interactive", help="Do not ask.")

    def handle(self, *_: Any, **options: Any) -> None:
        """Ask, and restore."""
        name = connection.settings_dict["NAME"]
        if options["interactive"] and input(f"All that is in {name} will be replaced. Type 'yes' to go on: ") != "yes":
            raise CommandError("Nothing was done.")
        try:
            restore(connection, options["backup"])
        except BackupError as error:
            raise CommandError(f"Nothing was restored: {error}") from None
        if options["verbosity"]:
            self.stdout.write(f"Restored {options['backup']}. Now run migrate, which applies what came after it.")

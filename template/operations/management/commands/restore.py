"""Puts a backup back."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from django.conf import settings
from django.core.files.storage import storages
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection

from operations.data.backups import NAME, BackupError, fetch, restore


class Command(BaseCommand):
    """Puts a backup into an empty database, or with --force in place of all that is in one."""

    help = "Puts a file that `backup` has written into the database: all of it, or nothing."

    def add_arguments(self, parser: CommandParser) -> None:
        """Which backup, and whether it may replace what is there."""
        parser.add_argument("backup", type=Path, help="The file, or the name of one in the store.")
        parser.add_argument("--force", action="store_true", help="Replace all that is in the database.")

    def handle(self, *_: Any, **options: Any) -> None:
        """Restore."""
        backup: Path = options["backup"]
        with TemporaryDirectory() as folder:
            try:
                if not backup.exists() and NAME.fullmatch(str(backup)) and "backups" in settings.STORAGES:
                    backup = fetch(backup.name, storages["backups"], Path(folder))
                restore(connection, backup, force=options["force"])
            except BackupError as error:
                raise CommandError(f"Nothing was restored: {error}") from None
        if options["verbosity"]:
            self.stdout.write(f"Restored {options['backup']}. Now run migrate, which applies what came after it.")

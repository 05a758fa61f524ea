"""Restore a backup."""

from typing import Any

from django.conf import settings
from django.core.files.storage import storages
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection

from operations.backups import BackupError, chosen, restore
from operations.environment.databases import go_direct


class Command(BaseCommand):
    """Restore a backup into an empty database or, with --force, replace everything in the database."""

    help = "Restores a backup into the database: all of it, or nothing."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the name of the backup, and whether to replace existing tables."""
        parser.add_argument(
            "backup",
            nargs="?",
            default="",
            help="A path, or a name in BACKUP_DIR or the bucket; - reads standard input; default: the newest.",
        )
        parser.add_argument("--force", action="store_true", help="Replace everything in the database.")

    def handle(self, *_: Any, **options: Any) -> None:
        """Restore a backup, and print its name."""
        store = storages["backups"] if "backups" in settings.STORAGES else None
        go_direct(connection, settings.DATABASE_DIRECT)
        try:
            with chosen(connection, str(options["backup"]), settings.BACKUP_DIR, store) as backup:
                restore(connection, backup, force=options["force"])
        except BackupError as error:
            raise CommandError(f"Nothing was restored: {error}") from None
        if options["verbosity"]:
            self.stdout.write(f"Restored {backup.name}. Now run migrate, which applies newer migrations.")

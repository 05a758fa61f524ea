"""Writes the database into a file: for a scheduler, and before anything that is risky."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from apps.operations.backups import BackupError, back_up


class Command(BaseCommand):
    """Backs the database up into BACKUP_DIR, and keeps the last BACKUP_KEEP files there."""

    help = "Writes the database into a new file in BACKUP_DIR, and deletes the oldest ones beyond BACKUP_KEEP."

    def handle(self, *_: Any, **options: Any) -> None:
        """Back up, and print where."""
        if settings.BACKUP_DIR is None:
            raise CommandError("BACKUP_DIR is not set, which says where backups are: see docs/environment.md")
        try:
            backup = back_up(connection, settings.BACKUP_DIR, keep=settings.BACKUP_KEEP)
        except BackupError as error:
            raise CommandError(f"No backup was made: {error}") from None
        if options["verbosity"]:
            self.stdout.write(str(backup))

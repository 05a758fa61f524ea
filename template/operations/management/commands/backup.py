"""Writes the database into a file: for a scheduler, and before anything that is risky."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from django.conf import settings
from django.core.files.storage import Storage, storages
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection

from operations.data.backups import NAME, BackupError, back_up, backups, send, stored


class Command(BaseCommand):
    """Backs the database up into BACKUP_DIR or a bucket or both, and keeps the last BACKUP_KEEP files there."""

    help = "Writes the database into a new file, and deletes the oldest ones beyond BACKUP_KEEP."

    def add_arguments(self, parser: CommandParser) -> None:
        """Whether only to look."""
        parser.add_argument("--send", metavar="FOLDER", help="Make none, and send the newest one of a folder.")
        parser.add_argument("--list", action="store_true", help="Name the backups that there are, newest first.")

    def handle(self, *_: Any, **options: Any) -> None:
        """Back up, and print where."""
        store = storages["backups"] if "backups" in settings.STORAGES else None
        if settings.BACKUP_DIR is None and store is None:
            raise CommandError("It is not said where backups are: set BACKUP_DIR (docs/environment.md)")
        if options["list"]:
            local = backups(settings.BACKUP_DIR) if settings.BACKUP_DIR and settings.BACKUP_DIR.is_dir() else []
            for name in [*map(str, local), *(stored(store) if store else [])]:
                self.stdout.write(name)
            return
        if options["send"]:
            self.send(Path(options["send"]), store)
            return
        with TemporaryDirectory() as folder:
            try:
                backup = back_up(connection, settings.BACKUP_DIR or Path(folder), keep=settings.BACKUP_KEEP)
            except BackupError as error:
                raise CommandError(f"No backup was made: {error}") from None
            if options["verbosity"] and settings.BACKUP_DIR:
                self.stdout.write(str(backup))
            if store is None:
                return
            try:
                send(backup, store, keep=settings.BACKUP_KEEP)
            except BackupError as error:
                kept = f"It is at {backup}, and only there" if settings.BACKUP_DIR else "No backup was made"
                raise CommandError(f"{kept}: {error}") from None
            if options["verbosity"]:
                self.stdout.write(f"{backup.name}, in the store")

    def send(self, folder: Path, store: Storage | None) -> None:
        """Send the newest backup of a folder, whoever has made it, into the bucket, under the time of its name."""
        if store is None:
            raise CommandError("It is not said where to: set BACKUP_BUCKET (docs/environment.md)")
        found = {match[0]: path for path in folder.glob("*") if (match := NAME.search(path.name))}
        if not found:
            raise CommandError(f"There is no backup in {folder}")
        name = max(found)
        try:
            send(found[name], store, keep=settings.BACKUP_KEEP, name=name)
        except BackupError as error:
            raise CommandError(f"{found[name].name} was not sent: {error}") from None
        self.stdout.write(f"{name}, in the store")

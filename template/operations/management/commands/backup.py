"""Back up the database into a file: from a scheduler, and before anything risky."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from django.conf import settings
from django.core.files.storage import Storage, storages
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection

from operations.backups import BackupError, back_up, backups, check, chosen, send, stored, without_database
from operations.environment.databases import go_direct


class Command(BaseCommand):
    """Back up the database into BACKUP_DIR, a bucket or both, and keep the last BACKUP_KEEP files there."""

    help = "Writes the database into a new file, and deletes the oldest files beyond BACKUP_KEEP."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the options that do something else than a backup."""
        parser.add_argument("--list", action="store_true", help="List the backups, newest first.")
        parser.add_argument(
            "--check", nargs="?", const="", metavar="NAME", help="Check that a backup is complete; default: the newest."
        )
        parser.add_argument("--send", metavar="FOLDER", help="Send the newest backup of a folder to the bucket.")

    def handle(self, *_: Any, **options: Any) -> None:
        """Back up, and print the file's path."""
        store = storages["backups"] if "backups" in settings.STORAGES else None
        if settings.BACKUP_DIR is None and store is None:
            raise CommandError("No backup destination: set BACKUP_DIR (docs/environment.md)")
        go_direct(connection, settings.DATABASE_DIRECT)
        if options["list"]:
            self.list_backups(store)
        elif options["check"] is not None:
            self.check_backup(options["check"], store)
        elif options["send"]:
            self.send(Path(options["send"]), store)
        else:
            self.back_up(store, verbosity=options["verbosity"])

    def list_backups(self, store: Storage | None) -> None:
        """List the backups in the folder and the bucket, newest first in each."""
        for path in backups(settings.BACKUP_DIR):
            self.stdout.write(str(path))
        try:
            for name in stored(store) if store else []:
                self.stdout.write(name)
        except BackupError as error:
            raise CommandError(f"The bucket was not listed: {error}") from None

    def back_up(self, store: Storage | None, *, verbosity: int) -> None:
        """Write a backup to the folder and the bucket, if they are set."""
        with TemporaryDirectory() as folder:
            try:
                backup = back_up(connection, settings.BACKUP_DIR or Path(folder), keep=settings.BACKUP_KEEP)
            except BackupError as error:
                raise CommandError(f"No backup was made: {error}") from None
            if verbosity and settings.BACKUP_DIR:
                self.stdout.write(str(backup))
            if store is None:
                return
            try:
                send(backup, store, keep=settings.BACKUP_KEEP)
            except BackupError as error:
                kept = f"It is only at {backup}" if settings.BACKUP_DIR else "No backup was made"
                raise CommandError(f"{kept}: {error}") from None
            if verbosity:
                self.stdout.write(f"{backup.name}, in the store")

    def check_backup(self, name: str, store: Storage | None) -> None:
        """Check a backup, or the newest."""
        try:
            with chosen(connection, name, settings.BACKUP_DIR, store) as backup:
                if not backup.is_file():
                    raise CommandError(f"There is no file {backup}")
                check(connection, backup)
                self.stdout.write(f"{backup.name} is complete")
        except BackupError as error:
            raise CommandError(f"Check failed: {error}") from None

    def send(self, folder: Path, store: Storage | None) -> None:
        """Send the newest backup of a folder to the bucket, even if another program made it."""
        if store is None:
            raise CommandError("No bucket: set BACKUP_BUCKET (docs/environment.md)")
        newest = next(iter(backups(folder)), None)
        if newest is None:
            raise CommandError(f"There is no backup in {folder}")
        name = without_database(newest.name)
        try:
            send(newest, store, keep=settings.BACKUP_KEEP, name=name)
        except BackupError as error:
            raise CommandError(f"{newest.name} was not sent: {error}") from None
        self.stdout.write(f"{name}, in the store")

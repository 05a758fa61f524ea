"""`manage.py cleanup`: deletes what nobody needs any more."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from operations.cleanup import UploadsError, clean_up, due, not_done


class Command(BaseCommand):
    """Deletes expired sessions, results of old tasks, and uploads that no row names."""

    help = "Delete expired sessions, results of old tasks, and uploads that no row names."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """What not to do."""
        parser.add_argument("--dry-run", action="store_true", help="delete nothing, and list the uploads")
        parser.add_argument(
            "--when-due",
            action="store_true",
            help="do nothing until CLEANUP_UPLOADS_INTERVAL_HOURS after the last time, however often a scheduler asks",
        )

    def handle(self, *_: Any, dry_run: bool, when_due: bool, **__: Any) -> None:
        """Clean up, and say what was deleted.

        Raises:
            CommandError: the store of the uploads failed.
        """
        if when_due and not due():
            self.stdout.write("Not due yet.")
            return
        try:
            names = clean_up(dry_run=dry_run)
        except Exception as error:
            # The next time that a scheduler asks, it is tried again.
            not_done()
            if isinstance(error, UploadsError):
                raise CommandError(str(error)) from error
            raise
        for name in names:
            self.stdout.write(name)
        self.stdout.write(f"{len(names)} uploads {'would be' if dry_run else 'are'} deleted.")

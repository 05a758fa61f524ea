"""`manage.py cleanup`: delete expired sessions, old task results and unused uploads."""

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from operations.cleanup import UploadsError, clean_up, delete_uploads, due, not_done, unused_uploads
from operations.environment import NotTextError, decoded


class Command(BaseCommand):
    """Delete expired sessions and results of old tasks; uploads only if a list has them."""

    help = "Delete expired sessions and results of old tasks. Uploads are kept unless --uploads gives a list."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the options that choose what to clean up."""
        part = parser.add_mutually_exclusive_group()
        part.add_argument(
            "--dry-run", action="store_true", help="delete nothing, and list uploads that are no longer referenced"
        )
        part.add_argument(
            "--uploads",
            metavar="LIST",
            help="delete only uploads: those listed in a file in the format of --dry-run (- for standard input),"
            " if they are still not referenced",
        )
        part.add_argument(
            "--when-due",
            action="store_true",
            help="do nothing until CLEANUP_UPLOADS_INTERVAL_HOURS after the last run, for schedulers that start often",
        )

    def handle(self, *_: Any, dry_run: bool, uploads: str | None, when_due: bool, **__: Any) -> None:
        """Clean up, and report what was deleted. With uploads, only their names go to standard output.

        Raises:
            CommandError: the list or the upload storage cannot be read.
        """
        try:
            if dry_run:
                self.tell(unused_uploads(), "would be deleted, if a list of them is given to --uploads.")
            elif uploads:
                self.tell(delete_uploads(listed(uploads)), "are deleted.")
            elif when_due and not due():
                self.stdout.write("Not due yet.")
            else:
                self.clean_up()
        except UploadsError as error:
            raise CommandError(str(error)) from error

    def tell(self, names: list[str], what: str) -> None:
        """Write the names of uploads, and a line that counts them."""
        for name in names:
            self.stdout.write(name)
        self.stderr.write(f"{len(names)} uploads {what}")

    def clean_up(self) -> None:
        """Delete expired sessions and results of old tasks."""
        try:
            clean_up()
        except Exception:
            # Try again at the scheduler's next start.
            not_done()
            raise
        self.stdout.write("Expired sessions and results of old tasks are deleted.")


def listed(path: str) -> list[str]:
    """Return the lines of a file, or of standard input for `-`.

    Raises:
        CommandError: there is no such file, or it is not text.
    """
    try:
        text = sys.stdin.read() if path == "-" else decoded(Path(path).read_bytes())
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}") from error
    except NotTextError as error:
        raise CommandError(f"{path}, line {error.line}: {error}") from error
    return [line.strip() for line in text.splitlines()]

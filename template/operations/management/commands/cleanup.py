"""`manage.py cleanup`: deletes what nobody needs any more."""

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from operations.cleanup import UploadsError, clean_up, delete_uploads, due, not_done, unused_uploads
from operations.environment import NotTextError, decoded


class Command(BaseCommand):
    """Deletes expired sessions and results of old tasks; uploads only where a list names them."""

    help = "Delete expired sessions and results of old tasks. Uploads stay, unless --uploads names a list."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which part to do."""
        part = parser.add_mutually_exclusive_group()
        part.add_argument(
            "--dry-run", action="store_true", help="delete nothing, and list uploads that nothing refers to"
        )
        part.add_argument(
            "--uploads",
            metavar="LIST",
            help="delete uploads instead: those that a file lists, as --dry-run does (- for standard input),"
            " and that still nothing refers to",
        )
        part.add_argument(
            "--when-due",
            action="store_true",
            help="do nothing until CLEANUP_UPLOADS_INTERVAL_HOURS after the last time, however often a scheduler asks",
        )

    def handle(self, *_: Any, dry_run: bool, uploads: str | None, when_due: bool, **__: Any) -> None:
        """Clean up, and say what was deleted. Names of uploads go to standard output, and all else about them does not.

        Raises:
            CommandError: the list or the store of the uploads cannot be read.
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
        """Write names of uploads, and a line about them."""
        for name in names:
            self.stdout.write(name)
        self.stderr.write(f"{len(names)} uploads {what}")

    def clean_up(self) -> None:
        """Delete what needs no list."""
        try:
            clean_up()
        except Exception:
            # The next time that a scheduler asks, it is tried again.
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

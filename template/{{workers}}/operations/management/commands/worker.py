"""`manage.py worker`: does what pages have left for later."""

import logging
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.tasks import task_backends


class Command(BaseCommand):
    """Does tasks until it is told to end."""

    help = "Do tasks until SIGTERM; those that are being done then are done to their end."

    def handle(self, *_: Any, **__: Any) -> None:
        """Do tasks.

        Raises:
            CommandError: with these settings there are none.
        """
        backend = task_backends["default"]
        if not hasattr(backend, "work"):
            raise CommandError("with these settings a page does its tasks itself, and nothing is left for a worker")
        logging.captureWarnings(capture=True)
        backend.work()

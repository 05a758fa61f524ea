"""`manage.py worker`: run background tasks."""

import logging
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.tasks import task_backends


class Command(BaseCommand):
    """Run background tasks until SIGTERM."""

    help = "Run background tasks until SIGTERM, and finish those that are running then."

    def handle(self, *_: Any, **__: Any) -> None:
        """Run tasks.

        Raises:
            CommandError: the settings run tasks inside the request.
        """
        backend = task_backends["default"]
        if not hasattr(backend, "work"):
            raise CommandError("these settings run tasks inside the request: there is nothing for a worker to do")
        logging.captureWarnings(capture=True)
        backend.work()

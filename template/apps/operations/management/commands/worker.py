"""`manage.py worker`: does what pages have left for later."""

import logging
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.tasks import task_backends

from apps.operations.database_backend import DatabaseBackend, Worker


class Command(BaseCommand):
    """Runs tasks from the database until it is told to end."""

    help = "Run tasks until SIGTERM; the one that is being run then is run to its end."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """How often it looks."""
        parser.add_argument("--interval", type=float, default=1, help="seconds between two looks (default: 1)")

    def handle(self, *_: Any, interval: float, **__: Any) -> None:
        """Run tasks.

        Raises:
            CommandError: tasks do not go through the database here.
        """
        if not isinstance(task_backends["default"], DatabaseBackend):
            raise CommandError("with these settings, a page does its tasks itself; nothing is left for a worker")
        logging.captureWarnings(True)
        worker = Worker(interval)
        worker.configure_signals()
        worker.run()

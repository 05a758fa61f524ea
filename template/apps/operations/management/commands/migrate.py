"""Django's `migrate`, which takes its turn when several machines start at once."""

from typing import Any

from django.core.management import call_command
from django.core.management.base import CommandParser
from django.core.management.commands.migrate import Command as DjangoMigrate
from django.db import connections

from apps.operations.migration_lock import migration_lock


class Command(DjangoMigrate):
    """Applies migrations under a lock, and makes the cache's table."""

    def add_arguments(self, parser: CommandParser) -> None:
        """Django's own arguments, and how long to wait for one's turn."""
        super().add_arguments(parser)
        parser.add_argument(
            "--lock-timeout", type=int, default=600, help="Seconds to wait for another migrate to end (600)."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Migrate when it is this process's turn."""
        lock_timeout = options.pop("lock_timeout")
        if options["plan"] or options["check_unapplied"]:
            super().handle(*args, **options)
            return
        connection = connections[options["database"]]
        with migration_lock(connection, timeout=lock_timeout, tell=self.stderr.write):
            super().handle(*args, **options)
            if not args and not options["app_label"]:
                call_command("createcachetable", database=connection.alias, verbosity=options["verbosity"])

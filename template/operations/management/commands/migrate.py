"""Run Django's `migrate` under a lock, because several machines may start at once."""

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.conf import settings
from django.core.management import call_command, find_commands
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from operations.environment.databases import go_direct

# The key of PostgreSQL's lock: any number, the same for all processes.
LOCK_KEY = 7_236_811_204_559_871
POLL = 0.2


def next_command(name: str) -> type[BaseCommand]:
    """Return the command that Django would use without this app: a later app's in INSTALLED_APPS, or Django's own.

    Raises:
        ModuleNotFoundError: there is none.
    """
    configs = list(apps.get_app_configs())
    behind = configs[[config.name for config in configs].index("operations") + 1 :]
    found = [config.name for config in behind if name in find_commands(str(Path(config.path, "management")))]
    command: type[BaseCommand] = import_module(f"{[*found, 'django.core'][0]}.management.commands.{name}").Command
    return command


if TYPE_CHECKING:
    from django.core.management.commands.migrate import Command as Migrate
else:
    # Another app may override the command, such as one that migrates several schemas.
    Migrate = next_command("migrate")


class Command(Migrate):
    """Apply migrations under a lock, and create the cache's table."""

    def add_arguments(self, parser: CommandParser) -> None:
        """Add Django's own arguments, and how long to wait for the lock."""
        super().add_arguments(parser)
        parser.add_argument(
            "--lock-timeout", type=int, default=600, help="Seconds to wait for another migrate to end (600)."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Wait for the lock, then migrate."""
        lock_timeout = options.pop("lock_timeout")
        connection = connections[options["database"]]
        go_direct(connection, settings.DATABASE_DIRECT)
        if options["plan"] or options["check_unapplied"]:
            super().handle(*args, **options)
            return
        with migration_lock(connection, timeout=lock_timeout, tell=self.stderr.write):
            super().handle(*args, **options)
            if not args and not options["app_label"]:
                call_command("createcachetable", database=connection.alias, verbosity=options["verbosity"])


@contextmanager
def migration_lock(connection: BaseDatabaseWrapper, *, timeout: float, tell: Callable[[str], object]) -> Iterator[None]:
    """Hold the database's migration lock.

    Args:
        connection: the database that is to be migrated.
        timeout: seconds to wait for another holder.
        tell: called once with a line if there is another holder to wait for.

    Raises:
        CommandError: another holder kept the lock for longer than `timeout`, or there is no place for a lock.
    """
    if connection.vendor == "postgresql":
        # Use a separate connection, because a migration may close the other one and lose the lock. Lock for the
        # transaction and not for the session, because a pooler such as PgBouncer keeps sessions after the client left.
        holder = connection.copy()
        try:
            holder.set_autocommit(False)
            with holder.cursor() as cursor:
                cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")

                def acquire() -> bool:
                    cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK_KEY])
                    return bool(cursor.fetchone()[0])

                wait_for(acquire, timeout=timeout, tell=tell)
                yield
        finally:
            holder.close()
    # Only SQLite's connection has this method, but a type checker cannot know that from the vendor's name.
    elif connection.vendor == "sqlite" and not connection.is_in_memory_db():  # type: ignore[attr-defined]
        # If there is no database, let its own error say so, instead of one about the lock file.
        connection.ensure_connection()
        name = Path(connection.settings_dict["NAME"])
        lock = name.with_name(f"{name.name}.migrate-lock")
        try:
            file = lock.open("w")
        except OSError as error:
            raise CommandError(f"{lock} cannot be written: {error.strerror}") from None
        with file:

            def acquire() -> bool:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    return False
                return True

            wait_for(acquire, timeout=timeout, tell=tell)
            yield
    else:
        yield


def wait_for(acquire: Callable[[], bool], *, timeout: float, tell: Callable[[str], object]) -> None:
    """Call `acquire` until it returns True, for `timeout` seconds at most.

    Raises:
        CommandError: it did not return True.
    """
    deadline = time.monotonic() + timeout
    if acquire():
        return
    tell("Another migrate is at work; waiting for it to end.")
    while time.monotonic() < deadline:
        time.sleep(POLL)
        if acquire():
            return
    raise CommandError(f"Another migrate held the lock for {timeout} s. See what hangs, then run this again.")

"""Collect the SQL of the project's own migrations for PostgreSQL, without a server."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, override

from django.apps import apps
from django.conf import settings
from django.contrib.postgres.operations import CreateExtension
from django.db import NotSupportedError
from django.db.backends.postgresql.base import DatabaseWrapper
from django.db.backends.postgresql.schema import DatabaseSchemaEditor
from django.db.migrations import AlterField, Migration, RunPython, SeparateDatabaseAndState
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState
from django.db.models import CharField, TextField
from django.db.utils import ConnectionHandler

# The oldest version that Django 6.1 supports. What is fast there is fast in newer versions, too.
POSTGRESQL = 15


@dataclass
class MigrationSQL:
    """Describe what a migration does.

    Attributes:
        app_label: its app.
        path: its file, relative to the project's folder.
        safety_assured: its author's reason why its locks are safe; empty if there is none.
        atomic: whether it runs in one transaction.
        statements: its SQL statements, in order.
        functions: the names of the Python functions that it runs in its transaction.
        refused: Django's messages about operations that it refuses.
        unknown: the operations whose SQL depends on a query.
    """

    app_label: str
    path: Path
    safety_assured: str
    atomic: bool
    statements: list[str] = field(default_factory=list)
    functions: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)


class AskedError(Exception):
    """Say that an operation tried to query the database."""


class Disconnected(DatabaseWrapper):
    """Act as PostgreSQL without a connection, and refuse every query."""

    pg_version = POSTGRESQL * 10_000

    @override
    def cursor(self) -> Any:
        raise AskedError


class Recorder(DatabaseSchemaEditor):
    """Record what a migration would do, instead of doing it."""

    def __init__(self, app_label: str, seen: MigrationSQL) -> None:
        handler = ConnectionHandler({"default": {"ENGINE": "django.db.backends.postgresql"}})
        connection = Disconnected(handler.settings["default"])
        # Some operations refuse to run in a transaction, and check this.
        connection.in_atomic_block = seen.atomic
        super().__init__(connection, collect_sql=True, atomic=False)
        self.app_label = app_label
        self.seen = seen

    @override
    def execute(self, sql: Any, params: Any = ()) -> None:
        text = str(sql) % tuple(map(self.quote_value, params)) if params else str(sql)
        if not is_harmless_default(text, self.seen.statements):
            self.seen.statements.append(text.rstrip().rstrip(";"))

    def _constraint_names(self, *_: Any, **__: Any) -> list[str]:
        """Return a name in place of the constraint's that Django would look up; any will do."""
        return ["its_name"]

    def record(self, operation: Operation, before: ProjectState, after: ProjectState) -> None:
        """Record what an operation does between two states of the project."""
        if isinstance(operation, SeparateDatabaseAndState):
            for part in operation.database_operations:
                after = before.clone()
                part.state_forwards(self.app_label, after)
                self.record(part, before, after)
                before = after
        elif isinstance(operation, RunPython):
            if operation.code is not RunPython.noop and self.seen.atomic and operation.atomic is not False:
                self.seen.functions.append(getattr(operation.code, "__name__", "a function"))
        elif isinstance(operation, CreateExtension) or (
            isinstance(operation, AlterField) and self.only_widens(operation, before, after)
        ):
            # These lock no table for longer than a moment.
            return
        else:
            try:
                operation.database_forwards(self.app_label, self, before, after)
            except NotSupportedError as error:
                self.seen.refused.append(str(error))
            except AskedError:
                self.seen.unknown.append(type(operation).__name__)

    def only_widens(self, operation: AlterField, before: ProjectState, after: ProjectState) -> bool:
        """Return whether an operation only raises or removes a length limit, for which PostgreSQL rewrites no row."""
        old, new = (
            state.apps.get_model(self.app_label, operation.model_name)._meta.get_field(operation.name)
            for state in (before, after)
        )
        if (
            not isinstance(old, CharField)
            or not isinstance(new, CharField | TextField)
            or old.unique
            or getattr(old, "db_index", False)
        ):
            return False
        # Attributes that are not in the database may change, too.
        of_python = {"max_length", *old.non_db_attrs}
        others = [
            {name: said for name, said in part.deconstruct()[3].items() if name not in of_python} for part in (old, new)
        ]
        lower = (
            isinstance(new, CharField) and new.max_length and (not old.max_length or new.max_length < old.max_length)
        )
        return not lower and others[0] == others[1]


def is_harmless_default(statement: str, earlier: list[str]) -> bool:
    """Return whether a statement drops the default of a nullable column that the previous statement added."""
    found = re.fullmatch(r"ALTER TABLE (\S+) ALTER COLUMN (\S+) DROP DEFAULT", statement)
    return bool(
        found
        and earlier
        and earlier[-1].startswith(f"ALTER TABLE {found[1]} ADD COLUMN {found[2]} ")
        and earlier[-1].endswith(" NULL")
        and not earlier[-1].endswith(" NOT NULL")
    )


def own_migrations(live: Iterable[str] = ()) -> Iterator[MigrationSQL]:
    """Yield what each migration of the apps in `apps/` does, in the order in which they are applied.

    Args:
        live: migrations, like `accounts.0001_initial`, to leave out together with all that they depend on.

    Raises:
        LookupError: there is no such migration; the text names it.
    """
    loader = MigrationLoader(None)
    over = set()
    for name in live:
        key = tuple(name.split("."))
        if key not in loader.graph.nodes:
            raise LookupError(f"there is no migration {name}")
        over |= set(loader.graph.forwards_plan(key))
    state = ProjectState(real_apps=loader.unmigrated_apps)
    for key in loader.graph._generate_plan(loader.graph.leaf_nodes(), at_end=True):
        migration = loader.graph.nodes[key]
        folder = Path(apps.get_app_config(migration.app_label).path)
        if key not in over and folder.is_relative_to(settings.BASE_DIR / "apps"):
            yield recorded(migration, state, folder.relative_to(settings.BASE_DIR) / f"migrations/{migration.name}.py")
        state = migration.mutate_state(state, preserve=False)


def recorded(migration: Migration, state: ProjectState, path: Path) -> MigrationSQL:
    """Return what a migration, whose file is `path`, does to the tables of `state`; `state` itself does not change."""
    seen = MigrationSQL(migration.app_label, path, getattr(migration, "safety_assured", "").strip(), migration.atomic)
    with Recorder(migration.app_label, seen) as recorder:
        for operation in migration.operations:
            before, state = state, state.clone()
            operation.state_forwards(migration.app_label, state)
            recorder.record(operation, before, state)
    return seen

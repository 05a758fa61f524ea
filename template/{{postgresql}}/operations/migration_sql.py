"""What the project's own migrations would tell PostgreSQL, without a server to ask."""

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

# The oldest that Django 6.1 knows: newer ones do nothing more slowly.
POSTGRESQL = 15


@dataclass
class MigrationSQL:
    """What a migration does.

    Attributes:
        app_label: its app.
        path: its file, below the project's folder.
        safety_assured: the reason that its author gave for what it locks; empty if there is none.
        atomic: whether it is one transaction.
        statements: its SQL, in order.
        functions: the names of the Python functions that it runs in its transaction.
        refused: what Django says of operations that it would not begin.
        unknown: the operations that ask the database before they say what they do.
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
    """An operation wants to know something of the database."""


class Disconnected(DatabaseWrapper):
    """PostgreSQL as far as one can know it without asking."""

    pg_version = POSTGRESQL * 10_000

    @override
    def cursor(self) -> Any:
        raise AskedError


class Recorder(DatabaseSchemaEditor):
    """Writes down what a migration does instead of doing it."""

    def __init__(self, app_label: str, seen: MigrationSQL) -> None:
        handler = ConnectionHandler({"default": {"ENGINE": "django.db.backends.postgresql"}})
        connection = Disconnected(handler.settings["default"])
        # For the operations that refuse to run in a transaction.
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
        """The name of a constraint that Django would look up; any will do."""
        return ["its_name"]

    def record(self, operation: Operation, before: ProjectState, after: ProjectState) -> None:
        """Write down what an operation does between two states of the project."""
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
            # No table is locked for longer than a moment.
            return
        else:
            try:
                operation.database_forwards(self.app_label, self, before, after)
            except NotSupportedError as error:
                self.seen.refused.append(str(error))
            except AskedError:
                self.seen.unknown.append(type(operation).__name__)

    def only_widens(self, operation: AlterField, before: ProjectState, after: ProjectState) -> bool:
        """Whether a text's limit is raised or taken away, for which PostgreSQL writes no row."""
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
        # What the database does not know may change beside it.
        of_python = {"max_length", *old.non_db_attrs}
        others = [
            {name: said for name, said in part.deconstruct()[3].items() if name not in of_python} for part in (old, new)
        ]
        lower = (
            isinstance(new, CharField) and new.max_length and (not old.max_length or new.max_length < old.max_length)
        )
        return not lower and others[0] == others[1]


def is_harmless_default(statement: str, earlier: list[str]) -> bool:
    """Whether a statement takes back the default of a column that has just come and may be empty."""
    found = re.fullmatch(r"ALTER TABLE (\S+) ALTER COLUMN (\S+) DROP DEFAULT", statement)
    return bool(
        found
        and earlier
        and earlier[-1].startswith(f"ALTER TABLE {found[1]} ADD COLUMN {found[2]} ")
        and earlier[-1].endswith(" NULL")
        and not earlier[-1].endswith(" NOT NULL")
    )


def own_migrations(live: Iterable[str] = ()) -> Iterator[MigrationSQL]:
    """What each migration of the apps under `apps/` does, in the order in which they are applied.

    Args:
        live: migrations like `accounts.0001_initial` that are left out, with those that they stand on.

    Raises:
        LookupError: one of these is not there; the text says which.
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
    """What a migration does to the tables of `state`, which stays as it is; `path` is its file."""
    seen = MigrationSQL(migration.app_label, path, getattr(migration, "safety_assured", "").strip(), migration.atomic)
    with Recorder(migration.app_label, seen) as recorder:
        for operation in migration.operations:
            before, state = state, state.clone()
            operation.state_forwards(migration.app_label, state)
            recorder.record(operation, before, state)
    return seen

"""Check that migrations are found that lock a table in use, or break the previous release, which serves meanwhile."""

from pathlib import Path
from types import SimpleNamespace
from typing import override

import pytest
from django.contrib.postgres.operations import (
    AddConstraintNotValid,
    AddIndexConcurrently,
    CreateExtension,
    RemoveIndexConcurrently,
    ValidateConstraint,
)
from django.core.management import CommandError, call_command
from django.db import connection, migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.autodetector import MigrationAutodetector
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState
from django.db.models.functions import Now
from pytest_django import Settings

from operations import migration_sql
from operations.management.commands import lintmigrations
from operations.migration_sql import MigrationSQL, recorded

NOTE = migrations.CreateModel(
    "Note",
    [
        ("id", models.BigAutoField(primary_key=True)),
        ("text", models.CharField(max_length=50)),
        ("number", models.IntegerField(null=True)),
        ("code", models.CharField(max_length=5, null=True)),
    ],
    options={"indexes": [models.Index(fields=["code"], name="code_index")], "unique_together": {("text", "code")}},
)
POSITIVE = models.CheckConstraint(condition=models.Q(number__gt=0), name="positive")
BY_NUMBER = models.Index(fields=["number"], name="by_number")


def fill(*_: object) -> None:
    """Act as a function that fills a column."""


class Asks(Operation):
    """Query the database before changing it."""

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        """Change no state."""

    @override
    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        """Query the database."""
        schema_editor.connection.cursor()


DANGERS: dict[str, tuple[Operation, str]] = {
    "a column that may not be empty": (
        migrations.AddField("note", "more", models.CharField(default="", max_length=5)),
        "give the field a db_default",
    ),
    "a column with values of its own": (
        migrations.AddField(
            "note",
            "key",
            models.GeneratedField(
                expression=models.F("number") + 1, output_field=models.IntegerField(), db_persist=True
            ),
        ),
        "table rewrite",
    ),
    "a unique column": (
        migrations.AddField("note", "more", models.CharField(null=True, unique=True, max_length=5)),
        "UNIQUE",
    ),
    "a foreign key": (
        migrations.AddField("note", "after", models.ForeignKey("notes.Note", models.PROTECT, null=True)),
        "AddIndexConcurrently",
    ),
    "another type": (
        migrations.AlterField("note", "number", models.BigIntegerField(null=True)),
        "ACCESS EXCLUSIVE",
    ),
    "a shorter text": (migrations.AlterField("note", "text", models.CharField(max_length=40)), "ACCESS EXCLUSIVE"),
    "no more empty values": (migrations.AlterField("note", "number", models.IntegerField(default=0)), "NOT NULL"),
    "an index": (migrations.AddIndex("note", BY_NUMBER), "AddIndexConcurrently"),
    "an indexed column": (
        migrations.AlterField("note", "number", models.IntegerField(null=True, db_index=True)),
        "AddIndexConcurrently",
    ),
    "no index": (migrations.RemoveIndex("note", "code_index"), "RemoveIndexConcurrently"),
    "a constraint": (migrations.AddConstraint("note", POSITIVE), "AddConstraintNotValid"),
    "a unique constraint": (
        migrations.AddConstraint("note", models.UniqueConstraint(fields=["number"], name="one")),
        "UNIQUE",
    ),
    "another column name": (migrations.RenameField("note", "text", "body"), "Renaming"),
    "another table name": (migrations.RenameModel("Note", "Memo"), "Renaming"),
    "no column": (migrations.RemoveField("note", "text"), "Dropping a column"),
    "no table": (migrations.DeleteModel("Note"), "Dropping a table"),
    "a function": (migrations.RunPython(fill), "fill() runs in one transaction"),
    "a function that is hidden": (
        migrations.SeparateDatabaseAndState([migrations.RunPython(fill)]),
        "fill() runs in one transaction",
    ),
    "an update": (migrations.RunSQL("UPDATE notes_note SET number = 0"), "stays locked until its end"),
    "a concurrent index in a transaction": (
        AddIndexConcurrently("note", BY_NUMBER),
        "cannot be executed inside a transaction",
    ),
    "what asks the server": (Asks(), "Asks queries the database"),
}
HARMLESS: dict[str, Operation] = {
    "a table": migrations.CreateModel(
        "Other",
        [("id", models.BigAutoField(primary_key=True)), ("of", models.ForeignKey("notes.Note", models.PROTECT))],
    ),
    "an empty column": migrations.AddField("note", "more", models.CharField(null=True, max_length=5)),
    "an empty column with a default": migrations.AddField(
        "note", "more", models.CharField(null=True, default="", max_length=5)
    ),
    "a column with a default in the database": migrations.AddField(
        "note", "more", models.CharField(db_default="", max_length=5)
    ),
    "a time": migrations.AddField("note", "made", models.DateTimeField(db_default=Now())),
    "a longer text": migrations.AlterField("note", "text", models.CharField(max_length=60)),
    "a longer text that may be empty": migrations.AlterField(
        "note", "text", models.CharField(blank=True, max_length=60)
    ),
    "a text without a limit": migrations.AlterField("note", "text", models.TextField()),
    "another help text": migrations.AlterField("note", "text", models.CharField(max_length=50, help_text="A line")),
    "a constraint that is not valid yet": AddConstraintNotValid("note", POSITIVE),
    "a function that does nothing": migrations.RunPython(migrations.RunPython.noop),
    "an extension": CreateExtension("citext"),
    "what only the state says": migrations.SeparateDatabaseAndState(state_operations=[migrations.DeleteModel("Note")]),
}


def migration(*operations: Operation, atomic: bool = True, safety_assured: str = "") -> MigrationSQL:
    """Return what a migration with these operations does to a table of notes."""
    said = {"operations": list(operations), "atomic": atomic, "safety_assured": safety_assured}
    own = type("Migration", (migrations.Migration,), said)
    state = ProjectState()
    NOTE.state_forwards("notes", state)
    return recorded(own("0002_next", "notes"), state, Path("apps/notes/migrations/0002_next.py"))


def findings(*operations: Operation, atomic: bool = True) -> list[str]:
    """Return the findings in a migration with these operations."""
    seen = [migration(*operations, atomic=atomic)]
    return [finding for _, finding in [*lintmigrations.said_by_squawk(seen), *lintmigrations.not_in_sql(seen)]]


@pytest.mark.parametrize("danger", DANGERS)
def test_is_found(danger: str) -> None:
    operation, said = DANGERS[danger]
    assert said in "\n".join(findings(operation))


@pytest.mark.parametrize("change", HARMLESS)
def test_is_no_danger(change: str) -> None:
    assert findings(HARMLESS[change]) == []


@pytest.mark.parametrize(
    "operation",
    [
        AddIndexConcurrently("note", BY_NUMBER),
        RemoveIndexConcurrently("note", "code_index"),
        migrations.RunPython(fill),
    ],
    ids=repr,
)
def test_is_no_danger_outside_a_transaction(operation: Operation) -> None:
    assert findings(operation, atomic=False) == []


def test_a_constraint_that_is_there_is_validated_without_a_lock() -> None:
    assert findings(ValidateConstraint("note", "positive")) == []
    assert findings(AddConstraintNotValid("note", POSITIVE), ValidateConstraint("note", "positive"))


def test_the_command_names_the_file_the_statement_and_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    dangerous = migration(migrations.RemoveField("note", "text"))
    monkeypatch.setattr(lintmigrations, "own_migrations", lambda _: [dangerous])
    with pytest.raises(CommandError) as refused:
        call_command("lintmigrations")
    assert str(refused.value).startswith("apps/notes/migrations/0002_next.py: Dropping a column")
    assert '\n    ALTER TABLE "notes_note" DROP COLUMN "text";\n' in str(refused.value)
    assert "safety_assured" in str(refused.value)


def test_an_app_that_is_not_deployed_is_settled_by_the_command_that_the_message_names(
    monkeypatch: pytest.MonkeyPatch, settings: Settings, tmp_path: Path
) -> None:
    settings.BASE_DIR = tmp_path
    dangerous = migration(migrations.RemoveField("note", "text"))
    (tmp_path / dangerous.path).parent.mkdir(parents=True)
    (tmp_path / dangerous.path).write_text("class Migration(migrations.Migration):\n\n    dependencies = []\n")
    (tmp_path / "pyproject.toml").write_text("[tool]\n")
    monkeypatch.setattr(lintmigrations, "own_migrations", lambda _: [dangerous])
    with pytest.raises(
        CommandError, match=r"(?s)If notes is not deployed.*\n\n.*lintmigrations --not-deployed notes\n"
    ):
        call_command("lintmigrations")
    with pytest.raises(CommandError, match="there is no app notse"):
        call_command("lintmigrations", "--not-deployed", "notse")
    monkeypatch.setattr("django.apps.apps.get_app_configs", lambda: [SimpleNamespace(label="notes")])
    call_command("lintmigrations", "--not-deployed", "notes")
    assert (
        '):\n\n    safety_assured = "notes was not deployed yet"\n\n    dep' in (tmp_path / dangerous.path).read_text()
    )


def test_a_reason_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    assured = migration(migrations.RemoveField("note", "text"), safety_assured="no release reads it")
    monkeypatch.setattr(lintmigrations, "own_migrations", lambda _: [assured])
    call_command("lintmigrations")


def test_without_squawk_it_does_not_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    with pytest.raises(CommandError, match="squawk, which reads the SQL, is not installed"):
        call_command("lintmigrations")


@pytest.mark.django_db
def test_a_migration_that_is_missing_is_found_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = {"auth": [migrations.Migration("9999_next", "auth")]}
    monkeypatch.setattr(MigrationAutodetector, "changes", lambda *_, **__: missing)
    monkeypatch.setattr(lintmigrations, "own_migrations", lambda _: [])
    call_command("lintmigrations")
    with pytest.raises(SystemExit):
        call_command("lintmigrations", "--missing")


def test_this_projects_own_migrations_are_read() -> None:
    seen = {str(each.path) for each in migration_sql.own_migrations()}
    assert "apps/accounts/migrations/0001_initial.py" in seen
    assert not [path for path in seen if not path.startswith("apps/")]


def test_what_is_live_everywhere_is_left_out(settings: Settings, tmp_path: Path) -> None:
    seen = {str(each.path) for each in migration_sql.own_migrations(["accounts.0001_initial"])}
    assert "apps/accounts/migrations/0001_initial.py" not in seen
    settings.BASE_DIR = tmp_path
    (tmp_path / "pyproject.toml").write_text('[tool.lintmigrations]\nlive = ["accounts.0001_initial"]\n')
    assert lintmigrations.live() == ["accounts.0001_initial"]
    (tmp_path / "pyproject.toml").write_text('[tool.lintmigrations]\nlive = ["accounts.0009_missing"]\n')
    with pytest.raises(CommandError, match=r"pyproject.toml.*there is no migration accounts.0009_missing"):
        call_command("lintmigrations")


@pytest.mark.skipif(connection.vendor != "postgresql", reason="wants PostgreSQL")
@pytest.mark.django_db
def test_what_is_read_is_what_django_executes() -> None:
    loader = MigrationLoader(connection)
    first = loader.graph.nodes["accounts", "0001_initial"]
    state = loader.project_state(("accounts", "0001_initial"), at_end=False)
    with connection.schema_editor(collect_sql=True) as editor:
        first.apply(state.clone(), editor, collect_sql=True)
    executed = [line.rstrip(";") for line in editor.collected_sql if line and not line.startswith("--")]
    assert recorded(first, state, Path()).statements == executed

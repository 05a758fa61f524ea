"""Finds migrations that would stop a site while they run, or break the release that serves meanwhile."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, override

from django.apps import apps
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from operations.migration_sql import POSTGRESQL, MigrationSQL, own_migrations

# What squawk asks for that is no matter of locks (types, names), or not the migration's to say (timeouts).
# https://squawkhq.com/docs/rules
NOT_ASKED = (
    "ban-drop-not-null",
    "identifier-too-long",
    "prefer-bigint-over-int",
    "prefer-bigint-over-smallint",
    "prefer-identity",
    "prefer-robust-stmts",
    "prefer-text-field",
    "prefer-timestamp-tz",
    "require-lock-timeout",
    "require-statement-timeout",
)
# What it says in words of SQL, in those of Django.
IN_DJANGO = {
    "ban-drop-default": "During a deploy the previous release still serves, does not know the column, and could not add "
    "a row: give the field a db_default beside its default, or null=True.",
    "require-concurrent-index-creation": "Nothing can be written to the table meanwhile: "
    "AddIndexConcurrently, in a migration with atomic = False.",
    "require-concurrent-index-deletion": "RemoveIndexConcurrently, in a migration with atomic = False.",
    "disallowed-unique-constraint": "The index is built while nobody can use the table: CREATE UNIQUE INDEX CONCURRENTLY "
    "by RunSQL, with the constraint among its state_operations, in a migration with atomic = False.",
    "constraint-missing-not-valid": "The table is read through meanwhile: AddConstraintNotValid, "
    "then ValidateConstraint in a migration of its own.",
}
WRITES = re.compile(r"\s*(UPDATE|DELETE|MERGE|TRUNCATE|LOCK|CLUSTER|VACUUM\s+FULL)\b", re.IGNORECASE)
ADVICE = """
If {apps} is not deployed anywhere yet, nobody uses its tables. Run this, which writes so into the migrations above, and commit:

    uv run python manage.py lintmigrations --not-deployed {labels}

Otherwise docs/operations.md has the steps that change a large table without downtime. A migration that may lock, because its
table is small, says so with its reason:

    class Migration(migrations.Migration):
        safety_assured = "the table has 200 rows"

What is live everywhere can do no harm any more. pyproject.toml may name the last such migration of each app:

    [tool.lintmigrations]
    live = ["accounts.0001_initial"]
"""
# The line of a migration below which its reason goes.
CLASS = re.compile(r"^class Migration\(.*\):\n", re.MULTILINE)


class Command(BaseCommand):
    """Says what is dangerous in the migrations of the project's own apps, and fails if anything is."""

    help = "Finds migrations that lock a table that is in use, or break the release that serves meanwhile."
    requires_system_checks = ()

    @override
    def add_arguments(self, parser: CommandParser) -> None:
        """Add the option that settles what is found in apps that are new."""
        parser.add_argument(
            "--not-deployed",
            nargs="+",
            default=[],
            metavar="APP",
            help="These apps are deployed nowhere yet: write so into their migrations in which something is found.",
        )

    def handle(self, *_: Any, not_deployed: list[str], **__: Any) -> None:
        """Print what each migration would do that it does not account for."""
        try:
            suspects = [migration for migration in own_migrations(live()) if not migration.safety_assured]
        except LookupError as error:
            raise CommandError(f"pyproject.toml, [tool.lintmigrations], live: {error}") from None
        unknown = set(not_deployed) - {app.label for app in apps.get_app_configs()}
        if unknown:
            raise CommandError(f"--not-deployed: there is no app {', '.join(sorted(unknown))}")
        found = [*said_by_squawk(suspects), *not_in_sql(suspects)]
        for path, label in sorted({(migration.path, migration.app_label) for migration, _ in found}):
            if label in not_deployed:
                assure(path, f"{label} was not deployed yet")
                self.stdout.write(f"{path}: written down")
        left = [(migration, finding) for migration, finding in found if migration.app_label not in not_deployed]
        if left:
            labels = sorted({migration.app_label for migration, _ in left})
            advice = ADVICE.format(apps=" or ".join(labels), labels=" ".join(labels))
            raise CommandError(
                "\n".join([*sorted(f"{migration.path}: {finding}" for migration, finding in left), advice])
            )


def assure(path: Path, reason: str) -> None:
    """Write into a migration why it may lock.

    Args:
        path: its file, below the project's folder.
        reason: what its `safety_assured` will say.

    Raises:
        CommandError: it has no line to write below.
    """
    file = settings.BASE_DIR / path
    written, count = CLASS.subn(lambda line: f'{line[0]}\n    safety_assured = "{reason}"\n', file.read_text(), count=1)
    if not count:
        raise CommandError(f"{path}: there is no line `class Migration(…):` to write safety_assured below")
    file.write_text(written)


def live() -> list[str]:
    """The migrations that pyproject.toml says are live everywhere."""
    tools = tomllib.loads((settings.BASE_DIR / "pyproject.toml").read_text())["tool"]
    return list(tools.get("lintmigrations", {}).get("live", []))


def said_by_squawk(migrations: list[MigrationSQL]) -> Iterator[tuple[MigrationSQL, str]]:
    """What squawk finds in the SQL of migrations.

    Raises:
        CommandError: it is not installed, or ends in an error of its own.
    """
    squawk = shutil.which("squawk", path=str(Path(sys.executable).parent)) or shutil.which("squawk")
    if squawk is None:
        raise CommandError("squawk is not installed, which reads the SQL: `uv sync` brings it")
    for migration in migrations:
        sql = "".join(f"{statement};\n" for statement in migration.statements)
        done = subprocess.run(  # noqa: S603 - a fixed program, with SQL that Django made
            [squawk, "--reporter=json", f"--pg-version={POSTGRESQL}", f"--exclude={','.join(NOT_ASKED)}"]
            + ["--assume-in-transaction"] * migration.atomic,
            # The time at which a statement began is one for all its rows, which squawk knows of now() only.
            input=sql.replace("(STATEMENT_TIMESTAMP())", "now()"),
            capture_output=True,
            text=True,
            check=False,
        )
        try:
            found = json.loads(done.stdout or "[]")
        except ValueError:
            raise CommandError(f"squawk failed on {migration.path}: {done.stdout}{done.stderr}") from None
        unique = {each["line"] for each in found if each["rule_name"] == "disallowed-unique-constraint"}
        for each in found:
            if each["rule_name"] == "constraint-missing-not-valid" and each["line"] in unique:
                continue
            statement = " ".join(sql.splitlines()[each["line"]].split())
            yield migration, f"{IN_DJANGO.get(each['rule_name'], each['message'])}\n    {statement}"


def not_in_sql(migrations: list[MigrationSQL]) -> Iterator[tuple[MigrationSQL, str]]:
    """What squawk does not look for, or cannot see."""
    for migration in migrations:
        for name in migration.functions:
            yield (
                migration,
                (
                    f"{name}() runs in one transaction, and what it writes stays locked until its end: "
                    "atomic = False, and a transaction for every thousand rows."
                ),
            )
        for reason in migration.refused:
            yield migration, reason
        for name in migration.unknown:
            yield migration, f"{name} asks the database before it says what it does: see what it locks."
        for statement in migration.statements:
            if migration.atomic and WRITES.match(statement):
                yield migration, f"What it touches stays locked until its end.\n    {' '.join(statement.split())}"

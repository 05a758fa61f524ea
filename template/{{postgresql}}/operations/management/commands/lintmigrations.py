"""Find migrations that block a live site while they run, or break the previous release, which serves meanwhile."""

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
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser

from operations.migration_sql import POSTGRESQL, MigrationSQL, own_migrations

# Rules of squawk that are not about locks (types, names), or not for the migration to decide (timeouts).
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
# Its messages about SQL, in Django's terms.
IN_DJANGO = {
    "ban-drop-default": "During a deploy the previous release still serves. It does not know the column, and could not "
    "add a row: give the field a db_default besides its default, or null=True.",
    "require-concurrent-index-creation": "Building the index blocks writes to the table: use "
    "AddIndexConcurrently, in a migration with atomic = False.",
    "require-concurrent-index-deletion": "Use RemoveIndexConcurrently, in a migration with atomic = False.",
    "disallowed-unique-constraint": "Building the index blocks the table: use CREATE UNIQUE INDEX CONCURRENTLY in "
    "RunSQL, with the constraint in its state_operations, in a migration with atomic = False.",
    "constraint-missing-not-valid": "All rows are checked while the table is locked: use AddConstraintNotValid, "
    "then ValidateConstraint in a migration of its own.",
}
WRITES = re.compile(r"\s*(UPDATE|DELETE|MERGE|TRUNCATE|LOCK|CLUSTER|VACUUM\s+FULL)\b", re.IGNORECASE)
ADVICE = """
If {apps} is not deployed anywhere yet, nobody uses its tables. This command notes it in the migrations above:

    uv run python manage.py lintmigrations --not-deployed {labels}

Otherwise docs/large-tables.md has the steps that change a large table without downtime. If a migration may lock its
table, because the table is small, give the reason:

    class Migration(migrations.Migration):
        safety_assured = "the table has 200 rows"

Migrations that have run everywhere can do no more harm. Name the last one of each app in pyproject.toml:

    [tool.lintmigrations]
    live = ["accounts.0001_initial"]
"""
# The line of a migration below which the reason is written.
CLASS = re.compile(r"^class Migration\(.*\):\n", re.MULTILINE)


class Command(BaseCommand):
    """Report what is dangerous in the migrations of the project's own apps, and fail if anything is."""

    help = "Find migrations that lock a table in use, or break the previous release, which serves during a deploy."
    requires_system_checks = ()

    @override
    def add_arguments(self, parser: CommandParser) -> None:
        """Add the option that accepts the findings in new apps, and the one that looks for missing migrations too."""
        parser.add_argument(
            "--not-deployed",
            nargs="+",
            default=[],
            metavar="APP",
            help="These apps are not deployed anywhere yet: note that in each of their migrations with a finding.",
        )
        parser.add_argument(
            "--missing",
            action="store_true",
            help="Check first that no migration is missing, as `makemigrations --check --dry-run` does.",
        )

    def handle(self, *_: Any, not_deployed: list[str], missing: bool, **__: Any) -> None:
        """Check all migrations, and list the findings.

        Raises:
            CommandError: there are findings, or a name of an app or a migration is wrong.
            SystemExit: a migration is missing.
        """
        if missing:
            call_command("makemigrations", check_changes=True, dry_run=True, skip_checks=False)
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
                self.stdout.write(f"{path}: noted")
        left = [(migration, finding) for migration, finding in found if migration.app_label not in not_deployed]
        if left:
            labels = sorted({migration.app_label for migration, _ in left})
            advice = ADVICE.format(apps=" or ".join(labels), labels=" ".join(labels))
            raise CommandError(
                "\n".join([*sorted(f"{migration.path}: {finding}" for migration, finding in left), advice])
            )


def assure(path: Path, reason: str) -> None:
    """Write into a migration the reason why it is safe.

    Args:
        path: its file, relative to the project's folder.
        reason: the text of its `safety_assured`.

    Raises:
        CommandError: it has no `class Migration` line.
    """
    file = settings.BASE_DIR / path
    written, count = CLASS.subn(lambda line: f'{line[0]}\n    safety_assured = "{reason}"\n', file.read_text(), count=1)
    if not count:
        raise CommandError(f"{path}: there is no line `class Migration(…):` to write safety_assured below")
    file.write_text(written)


def live() -> list[str]:
    """Return the migrations that pyproject.toml names as live everywhere."""
    tools = tomllib.loads((settings.BASE_DIR / "pyproject.toml").read_text())["tool"]
    return list(tools.get("lintmigrations", {}).get("live", []))


def said_by_squawk(migrations: list[MigrationSQL]) -> Iterator[tuple[MigrationSQL, str]]:
    """Yield squawk's findings in the SQL of migrations.

    Raises:
        CommandError: squawk is not installed, or fails itself.
    """
    squawk = shutil.which("squawk", path=str(Path(sys.executable).parent)) or shutil.which("squawk")
    if squawk is None:
        raise CommandError("squawk, which reads the SQL, is not installed: run `uv sync`")
    for migration in migrations:
        sql = "".join(f"{statement};\n" for statement in migration.statements)
        done = subprocess.run(  # noqa: S603 - a fixed program, with SQL that Django made
            [squawk, "--reporter=json", f"--pg-version={POSTGRESQL}", f"--exclude={','.join(NOT_ASKED)}"]
            + ["--assume-in-transaction"] * migration.atomic,
            # STATEMENT_TIMESTAMP() is one value for all rows, like now(). squawk knows that only about now().
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
    """Yield findings that squawk does not look for or cannot see."""
    for migration in migrations:
        for name in migration.functions:
            yield (
                migration,
                (
                    f"{name}() runs in one transaction, and the rows that it writes stay locked until its end: "
                    "use atomic = False, and a transaction for every thousand rows."
                ),
            )
        for reason in migration.refused:
            yield migration, reason
        for name in migration.unknown:
            yield migration, f"{name} queries the database before its SQL is known: check yourself what it locks."
        for statement in migration.statements:
            if migration.atomic and WRITES.match(statement):
                yield migration, f"What it changes stays locked until its end.\n    {' '.join(statement.split())}"

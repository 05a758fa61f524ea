"""Check that machines that start at the same time migrate one after the other."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from pytest_django import DjangoDbBlocker, Settings

from operations.environment import parsers, refused_without_database
from operations.management.commands import migrate as lock
from operations.management.commands.migrate import migration_lock


@pytest.fixture(params=sorted({"sqlite", connection.vendor}))
def database(
    request: pytest.FixtureRequest,
) -> Iterator[BaseDatabaseWrapper]:
    """Return a database that several processes can use: a file, or the tests' own one on a server."""
    if request.param != "sqlite":
        request.getfixturevalue("db")
        yield connection
        return
    yield request.getfixturevalue("file_database")


@pytest.fixture
def file_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, django_db_blocker: DjangoDbBlocker
) -> Iterator[BaseDatabaseWrapper]:
    """Return a database in a file."""
    file = {**connection.settings_dict, **parsers.database(f"sqlite:///{tmp_path}/db.sqlite3")}
    monkeypatch.setitem(connections.settings, "file", file)
    with django_db_blocker.unblock():
        yield connections["file"]
    connections["file"].close()
    del connections["file"]


def test_migrate_waits_for_its_turn(database: BaseDatabaseWrapper, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "POLL", 0.01)
    with ExitStack() as other:
        other.enter_context(migration_lock(database, timeout=0, tell=print))
        # The other holder ends as soon as this one reports that it is waiting.
        with migration_lock(database, timeout=10, tell=lambda _: other.close()):
            pass


def test_migrate_gives_up_when_its_turn_does_not_come(
    database: BaseDatabaseWrapper, capsys: pytest.CaptureFixture[str]
) -> None:
    with (
        migration_lock(database, timeout=0, tell=print),
        pytest.raises(CommandError, match=r"Another migrate held the lock for 0\.3 s"),
    ):
        call_command("migrate", database=database.alias, lock_timeout=0.3)
    assert capsys.readouterr().err.startswith("Another migrate is at work")


def test_a_migrate_that_fails_gives_its_turn_up(database: BaseDatabaseWrapper) -> None:
    with pytest.raises(RuntimeError), migration_lock(database, timeout=0, tell=print):
        raise RuntimeError("a migration that fails")
    with migration_lock(database, timeout=0, tell=print):
        pass


def test_a_look_at_the_plan_waits_for_nobody(database: BaseDatabaseWrapper, capsys: pytest.CaptureFixture[str]) -> None:
    with migration_lock(database, timeout=0, tell=print):
        call_command("migrate", database=database.alias, plan=True, lock_timeout=0)
    assert capsys.readouterr().out.startswith("Planned operations")


def test_a_lock_that_cannot_be_written_is_said_in_a_line(file_database: BaseDatabaseWrapper) -> None:
    Path(f"{file_database.settings_dict['NAME']}.migrate-lock").mkdir()
    with pytest.raises(CommandError, match="migrate-lock cannot be written: "):
        call_command("migrate", database=file_database.alias)


def test_a_command_without_a_database_ends_with_a_line(
    file_database: BaseDatabaseWrapper, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("django.db.connection", file_database)
    with pytest.raises(OperationalError), refused_without_database(), file_database.cursor() as cursor:
        cursor.execute("SELECT * FROM nothing")
    file_database.close()
    Path(file_database.settings_dict["NAME"]).unlink()
    Path(file_database.settings_dict["NAME"]).mkdir()
    with pytest.raises(SystemExit) as ended, refused_without_database():
        call_command("migrate", database=file_database.alias)
    assert ended.value.code == 3
    assert capsys.readouterr().err.splitlines()[1:] == ["  DATABASE_URL: unable to open database file"]


@pytest.fixture
def few_apps(settings: Settings) -> None:
    """Hide the project's own migrations, which may need a database called `default`."""
    settings.INSTALLED_APPS = ["operations", "django.contrib.contenttypes"]


@pytest.mark.usefixtures("few_apps")
def test_migrate_makes_the_caches_table(database: BaseDatabaseWrapper, settings: Settings) -> None:
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "kept"}}
    call_command("migrate", database=database.alias, verbosity=0)
    assert {"django_content_type", "kept"} <= set(database.introspection.table_names())


@pytest.mark.usefixtures("few_apps")
def test_migrating_one_app_makes_nothing_else(database: BaseDatabaseWrapper, settings: Settings) -> None:
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "kept"}}
    call_command("migrate", "contenttypes", database=database.alias, verbosity=0)
    assert "kept" not in database.introspection.table_names()


@pytest.mark.django_db
def test_every_change_of_a_model_has_its_migration() -> None:
    call_command("makemigrations", check=True, dry_run=True)

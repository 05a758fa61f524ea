"""Check that a backup holds the whole database and can be restored."""

import gzip
import io
import os
import sqlite3
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import InMemoryStorage, storages
from django.core.management import CommandError, call_command
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from pytest_django import DjangoDbBlocker, Settings

from operations import backups
from operations.backups import BackupError, back_up, restore
from operations.environment import parsers

Program = Callable[[str, str], Path]


@pytest.fixture
def database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, django_db_blocker: DjangoDbBlocker
) -> Iterator[BaseDatabaseWrapper]:
    """Return a database in a file, with one row."""
    file = {**connections["default"].settings_dict, **parsers.database(f"sqlite:///{tmp_path}/db.sqlite3")}
    monkeypatch.setitem(connections.settings, "file", file)
    with django_db_blocker.unblock():
        with connections["file"].cursor() as cursor:
            cursor.execute("CREATE TABLE note (text)")
            cursor.execute("INSERT INTO note VALUES ('kept')")
        yield connections["file"]
    connections["file"].close()
    del connections["file"]


@pytest.fixture
def commands(database: BaseDatabaseWrapper, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the commands use that database."""
    for command in ("backup", "restore"):
        monkeypatch.setattr(f"operations.management.commands.{command}.connection", database)


@pytest.fixture
def server() -> Any:
    """Return Django's connection to a PostgreSQL server that does not exist."""
    connection = mock.MagicMock(vendor="postgresql")
    connection.settings_dict = {"OPTIONS": {"sslmode": "require"}, "HOST": "db", "PORT": 5433, "NAME": "user$site"}
    connection.settings_dict |= {"USER": "site", "PASSWORD": "it's $ecret"}
    connection.introspection.table_names.return_value = ["younger"]
    connection.ops.quote_name.side_effect = '"{}"'.format
    return connection


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Replace a program by a script: `program("pg_dump", "exit 1")` returns the file with the calls that it got."""
    folder, notes = tmp_path / "bin", tmp_path / "notes"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    def write(name: str, script: str) -> Path:
        note = f'echo "{name} $*" >>"{notes}"; echo "password: $PGPASSWORD, ssl: $PGSSLMODE" >>"{notes}"'
        (folder / name).write_text(f"#!/bin/sh\n{note}\n{script}\n")
        (folder / name).chmod(0o755)
        return notes

    return write


def texts(database: BaseDatabaseWrapper) -> list[str]:
    """Return the texts of all rows."""
    with database.cursor() as cursor:
        cursor.execute("SELECT text FROM note")
        return [text for (text,) in cursor.fetchall()]


def test_a_backup_brings_the_database_back(database: BaseDatabaseWrapper, tmp_path: Path) -> None:
    backup = back_up(database, tmp_path / "backups", keep=7)
    with database.cursor() as cursor:
        cursor.execute("DROP TABLE note")
        cursor.execute("CREATE TABLE younger (text)")
    restore(database, backup, force=True)
    assert texts(database) == ["kept"]
    assert database.introspection.table_names() == ["note"]


def test_a_backup_is_one_file_that_its_owner_alone_may_read(database: BaseDatabaseWrapper, tmp_path: Path) -> None:
    backup = back_up(database, tmp_path / "backups", keep=7)
    assert [path.name for path in (tmp_path / "backups").iterdir()] == [backup.name]
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    assert stat.S_IMODE(backup.parent.stat().st_mode) == 0o700


def test_the_last_backups_are_kept_and_nothing_else_is_deleted(database: BaseDatabaseWrapper, tmp_path: Path) -> None:
    names = [f"2026112{day}T030000Z.sqlite3.gz" for day in range(1, 4)]
    for name in [*names, "by-hand.sqlite3.gz"]:
        (tmp_path / name).touch()
    newest = back_up(database, tmp_path, keep=2)
    # This machine's clock may be before or after these dates.
    last = sorted([*names, newest.name])[-2:]
    assert sorted(path.name for path in backups.backups(tmp_path)) == last
    assert (tmp_path / "by-hand.sqlite3.gz").exists()


def test_two_backups_at_once_may_delete_the_same_old_one(
    database: BaseDatabaseWrapper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed, gone = backups.backups, tmp_path / f"20000101T000000Z{backups.SUFFIXES[database.vendor]}"
    monkeypatch.setattr(backups, "backups", lambda folder: [*listed(folder), gone])
    assert back_up(database, tmp_path, keep=1).exists()


def test_what_a_killed_backup_left_is_deleted_a_day_later(database: BaseDatabaseWrapper, tmp_path: Path) -> None:
    killed, folder, running = (tmp_path / f".unfinished-{name}" for name in ("killed", "folder", "running"))
    folder.mkdir()
    for path in (killed, folder / "plain", running):
        path.touch()
    for path in (killed, folder):
        os.utime(path, (1, 1))
    back_up(database, tmp_path, keep=7)
    assert list(tmp_path.glob(".unfinished-*")) == [running]


def test_a_damaged_backup_changes_nothing(database: BaseDatabaseWrapper, tmp_path: Path) -> None:
    whole = back_up(database, tmp_path / "backups", keep=7).read_bytes()
    middle = len(whole) // 2
    contents = {
        "cut": whole[:middle],
        "changed": whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :],
        "empty": b"",
        "plain": gzip.decompress(whole),
        "foreign": gzip.compress(b"SQLite format 3\0" + b"x" * 5000),
    }
    files = {tmp_path / f"{name}.sqlite3.gz": "is damaged: " for name in contents}
    for file, content in zip(files, contents.values(), strict=True):
        file.write_bytes(content)
    for file, reason in {**files, tmp_path / "none": "no file", Path(__file__): "another kind"}.items():
        with pytest.raises(BackupError, match=reason):
            restore(database, file, force=True)
    assert texts(database) == ["kept"]


def test_what_is_there_is_replaced_only_if_that_is_meant(database: BaseDatabaseWrapper, tmp_path: Path) -> None:
    backup = back_up(database, tmp_path / "backups", keep=7)
    with pytest.raises(BackupError, match=r"db.sqlite3 is not empty: it has 1 tables. --force replaces them"):
        restore(database, backup, force=False)
    with database.cursor() as cursor:
        cursor.execute("DROP TABLE note")
    restore(database, backup, force=False)
    assert texts(database) == ["kept"]


def test_a_backup_that_is_not_whole_gets_no_name(
    database: BaseDatabaseWrapper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backups, "copy_to", lambda _, file: file.write_bytes(b"half"))
    with pytest.raises(BackupError, match="is damaged"):
        back_up(database, tmp_path / "backups", keep=7)
    assert not list((tmp_path / "backups").iterdir())


def test_a_folder_that_cannot_be_written_is_named(
    database: BaseDatabaseWrapper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BackupError, match="file cannot be created"):
        back_up(database, tmp_path / "file", keep=7)
    monkeypatch.setattr(backups, "copy_to", mock.Mock(side_effect=sqlite3.OperationalError("disk full")))
    with pytest.raises(BackupError, match=r"cannot be written \(disk full\)"):
        back_up(database, tmp_path, keep=7)
    monkeypatch.setattr("tempfile.mkstemp", mock.Mock(side_effect=PermissionError(13, "Permission denied")))
    with pytest.raises(BackupError, match=r"cannot be written \(Permission denied\)"):
        back_up(database, tmp_path, keep=7)


def test_a_password_stands_on_no_command_line(server: Any, program: Program, tmp_path: Path) -> None:
    program("pg_restore", "")
    notes = program("pg_dump", "")
    back_up(server, tmp_path, keep=7)
    called, variables, checked, _ = notes.read_text().splitlines()
    assert checked.startswith("pg_restore --file=/dev/null ")
    assert called.startswith("pg_dump -U site -h db -p 5433 --dbname=user$site --no-password --format=custom --file=")
    assert variables == "password: it's $ecret, ssl: require"


def test_a_dump_replaces_all_tables_in_one_transaction(server: Any, program: Program, tmp_path: Path) -> None:
    written = "SET lock_timeout = 0;\nSET transaction_timeout = 0;\nCREATE TABLE note ();\n"
    program("pg_restore", f"printf '{written}' >\"$(echo \"$*\" | sed 's/.*--file=\\([^ ]*\\) .*/\\1/')\"")
    notes = program("psql", f'cp "$(dirname "$(echo "$*" | sed "s/.*=//")")"/*.sql {tmp_path}')
    dump = tmp_path / "20261121T030000Z.dump"
    dump.touch()
    restore(server, dump, force=True)
    _, _, first, _, second, variables = notes.read_text().splitlines()
    assert first.startswith("pg_restore --clean --if-exists --no-owner --no-privileges --file=")
    assert "--single-transaction" in second
    assert "--set=ON_ERROR_STOP=1" in second
    assert variables == "password: it's $ecret, ssl: require"
    assert (tmp_path / "drop.sql").read_text() == 'DROP TABLE IF EXISTS "younger" CASCADE;\n'
    # Servers older than pg_restore do not know this setting.
    assert (tmp_path / "script.sql").read_text() == written.replace("SET tr", "--T tr")
    assert not list(tmp_path.glob(f"{backups.UNFINISHED}*"))


def test_a_dump_that_fails_leaves_no_file_and_says_why(
    server: Any, program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "backups"
    with monkeypatch.context() as patch:
        patch.setenv("PATH", str(tmp_path))
        with pytest.raises(BackupError, match="pg_dump is not installed"):
            back_up(server, folder, keep=7)
    program("pg_dump", "echo server version mismatch >&2; exit 1")
    with pytest.raises(BackupError, match="pg_dump said: server version mismatch"):
        back_up(server, folder, keep=7)
    assert not list(folder.iterdir())


@pytest.mark.usefixtures("commands")
def test_the_commands_say_what_they_did(settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings.BACKUP_DIR = tmp_path / "backups"
    call_command("backup")
    backup = Path(capsys.readouterr().out.strip())
    call_command("backup", list=True)
    assert capsys.readouterr().out == f"{backup}\n"
    call_command("restore", backup, force=True)
    assert "Now run migrate" in capsys.readouterr().out
    with pytest.raises(CommandError, match=r"Nothing was restored: .* is not empty"):
        call_command("restore", backup)
    with pytest.raises(CommandError, match="Nothing was restored: there is no file"):
        call_command("restore", tmp_path / "none", force=True)


def test_a_backup_that_another_program_made_is_sent(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(CommandError, match="No bucket: set BACKUP_BUCKET"):
        call_command("backup", send=str(tmp_path))
    settings.STORAGES = {**settings.STORAGES, "backups": {"BACKEND": "django.core.files.storage.InMemoryStorage"}}
    with pytest.raises(CommandError, match="There is no backup in"):
        call_command("backup", send=str(tmp_path))
    for name in ("site-20261120T030000Z.dump", "site-20261121T030000Z.dump", "notes.txt"):
        (tmp_path / name).write_text(name)
    call_command("backup", send=str(tmp_path))
    assert capsys.readouterr().out == "20261121T030000Z.dump, in the store\n"
    with storages["backups"].open("20261121T030000Z.dump") as copy:
        assert copy.read() == b"site-20261121T030000Z.dump"


def test_backing_up_needs_a_folder_that_can_be_written(settings: Settings, tmp_path: Path) -> None:
    settings.BACKUP_DIR = None
    with pytest.raises(CommandError, match="No backup destination: set BACKUP_DIR"):
        call_command("backup")
    (tmp_path / "file").touch()
    settings.BACKUP_DIR = tmp_path / "file"
    with pytest.raises(CommandError, match="No backup was made"):
        call_command("backup")


def test_production_keeps_seven_backups_where_it_is_told(production: Callable[..., Any], tmp_path: Path) -> None:
    assert (production().BACKUP_DIR, production().BACKUP_KEEP) == (None, 7)
    told = production(BACKUP_DIR=str(tmp_path / "backups"), BACKUP_KEEP="3")
    assert tmp_path / "backups" == told.BACKUP_DIR
    assert told.BACKUP_KEEP == 3


def test_a_backup_can_be_opened_by_sqlite_itself(database: BaseDatabaseWrapper, tmp_path: Path) -> None:
    plain = tmp_path / "plain.sqlite3"
    plain.write_bytes(gzip.decompress(back_up(database, tmp_path, keep=7).read_bytes()))
    copy = sqlite3.connect(plain)
    assert copy.execute("SELECT text FROM note").fetchall() == [("kept",)]
    copy.close()


def test_a_backup_of_before_they_were_compressed_counts_too(database: BaseDatabaseWrapper, tmp_path: Path) -> None:
    whole = gzip.decompress(back_up(database, tmp_path, keep=7).read_bytes())
    old = tmp_path / "20200101T000000Z.sqlite3"
    old.write_bytes(whole)
    assert backups.backups(tmp_path)[-1] == old
    with database.cursor() as cursor:
        cursor.execute("DROP TABLE note")
    restore(database, old, force=True)
    assert texts(database) == ["kept"]
    old.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BackupError, match="is damaged"):
        restore(database, old, force=True)


@pytest.mark.usefixtures("commands")
def test_a_backup_is_found_by_its_name_or_is_the_newest(
    database: BaseDatabaseWrapper, settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.BACKUP_DIR = tmp_path / "backups"
    with pytest.raises(CommandError, match="Nothing was restored: there is no backup"):
        call_command("restore", force=True)
    call_command("backup")
    newest = Path(capsys.readouterr().out.strip())
    # Older releases wrote the database's name before the time.
    old = newest.with_name("db-20200101T000000Z.sqlite3")
    old.write_bytes(gzip.decompress(newest.read_bytes()))
    newest.with_name("20991231T000000Z.dump").touch()
    for name, found in {newest.name: newest.name, old.name: old.name, "": newest.name}.items():
        with database.cursor() as cursor:
            cursor.execute("DELETE FROM note")
        call_command("restore", name, force=True)
        assert capsys.readouterr().out.startswith(f"Restored {found}. ")
        assert texts(database) == ["kept"]
        call_command("backup", check=name)
        assert capsys.readouterr().out == f"{found} is complete\n"
    call_command("backup", list=True)
    assert [Path(line).name for line in capsys.readouterr().out.split()][1:] == [newest.name, old.name]
    old.write_bytes(b"SQLite format 3\0")
    with pytest.raises(CommandError, match=r"Check failed: db-20200101T000000Z.sqlite3 is damaged"):
        call_command("backup", check=old.name)
    with pytest.raises(CommandError, match="There is no file none"):
        call_command("backup", check="none")


@pytest.mark.usefixtures("commands")
def test_a_copy_is_restored_from_standard_input(
    database: BaseDatabaseWrapper, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.BACKUP_DIR = tmp_path / "backups"
    copy = back_up(database, settings.BACKUP_DIR, keep=7).read_bytes()
    with database.cursor() as cursor:
        cursor.execute("DELETE FROM note")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(copy)))
    call_command("restore", "-", force=True, verbosity=0)
    assert texts(database) == ["kept"]
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(copy[:-10])))
    with pytest.raises(CommandError, match=r"Nothing was restored: standard-input.sqlite3.gz is damaged"):
        call_command("restore", "-", force=True)
    # No temporary file is left.
    assert len(list(settings.BACKUP_DIR.iterdir())) == 1


@pytest.mark.usefixtures("commands")
def test_backups_go_into_a_store_too(
    database: BaseDatabaseWrapper, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.STORAGES = {
        **settings.STORAGES,
        "backups": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
    }
    settings.BACKUP_DIR, settings.BACKUP_KEEP = None, 2
    store = storages["backups"]
    for name in ("20200101T000000Z.sqlite3.gz", "20200102T000000Z.sqlite3.gz", "by-hand.sqlite3.gz"):
        store.save(name, ContentFile(b""))
    call_command("backup")
    newest, _ = capsys.readouterr().out.split(", in the store")
    call_command("backup", list=True)
    assert capsys.readouterr().out.split() == [newest, "20200102T000000Z.sqlite3.gz"]
    assert store.exists("by-hand.sqlite3.gz")
    for name in (newest, ""):
        call_command("restore", name, force=True)
        assert capsys.readouterr().out.startswith(f"Restored {newest}. ")
    assert texts(database) == ["kept"]
    with pytest.raises(CommandError, match="Nothing was restored: the store says of 20200103T000000Z"):
        call_command("restore", "20200103T000000Z.sqlite3.gz", force=True)
    with pytest.raises(CommandError, match=r"20200102T000000Z.sqlite3.gz is damaged"):
        call_command("restore", "20200102T000000Z.sqlite3.gz", force=True)


def test_a_store_that_fails_is_named(
    database: BaseDatabaseWrapper, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for command in ("backup", "restore"):
        monkeypatch.setattr(f"operations.management.commands.{command}.connection", database)
    settings.STORAGES = {
        **settings.STORAGES,
        "backups": {"BACKEND": "operations.uploads.NoUploads"},
    }
    settings.BACKUP_DIR = None
    with pytest.raises(CommandError, match="No backup was made: the store says"):
        call_command("backup")
    settings.BACKUP_DIR = tmp_path / "backups"
    with pytest.raises(CommandError, match=r"It is only at .*/backups/.*: the store says"):
        call_command("backup")
    monkeypatch.setattr(InMemoryStorage, "save", lambda *_: "other")
    settings.STORAGES = {
        **settings.STORAGES,
        "backups": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
    }
    monkeypatch.setattr(InMemoryStorage, "open", lambda *_: ContentFile(b"something else"))
    with pytest.raises(CommandError, match="the store has something else under the name other"):
        call_command("backup")
    monkeypatch.setattr(InMemoryStorage, "listdir", mock.Mock(side_effect=OSError("it is down")))
    with pytest.raises(CommandError, match=r"It is only at .*: the store says: it is down"):
        call_command("backup")
    with pytest.raises(CommandError, match="The bucket was not listed: the store says: it is down"):
        call_command("backup", list=True)
    with pytest.raises(CommandError, match="Nothing was restored: the store says: it is down"):
        call_command("restore")
    with pytest.raises(CommandError, match="was not sent: the store says: it is down"):
        call_command("backup", send=str(settings.BACKUP_DIR))

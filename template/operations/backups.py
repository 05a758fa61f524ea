"""Back up the database into a file, and restore it."""

import contextlib
import gzip
import hashlib
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from django.core.files import File
from django.core.files.storage import Storage
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.client import DatabaseClient

# File suffixes, by Django's name for the database. PostgreSQL backups are in pg_dump's custom format, for pg_restore.
SUFFIXES = {"postgresql": ".dump", "sqlite": ".sqlite3.gz"}
# Older releases did not compress SQLite's.
PLAIN = ".sqlite3"
NAME = re.compile(r"\d{8}T\d{6}Z\.(dump|sqlite3(\.gz)?)")
# Older releases wrote the database's name before the time.
IN_FOLDER = re.compile(rf"(\w+-)?{NAME.pattern}")
UNFINISHED = ".unfinished-"
# Seconds after which no backup is being written any more.
ABANDONED = 24 * 60 * 60
# Every SQLite file begins with these bytes.
MAGIC = b"SQLite format 3\0"
# In the first lines of what pg_restore 17 and newer write. Servers before 17 do not know it, and the others have it anyway.
# https://www.postgresql.org/docs/current/runtime-config-client.html#GUC-TRANSACTION-TIMEOUT
TOO_NEW = b"SET transaction_timeout = 0;"


class BackupError(Exception):
    """Say why a backup or restore failed, in words for the person who ran it."""


def back_up(connection: BaseDatabaseWrapper, folder: Path, *, keep: int) -> Path:
    """Write the database into a new file, and delete the oldest ones.

    The site keeps serving meanwhile. The file holds a consistent snapshot of the database, compressed. It gets its name
    only after it was read back and found complete. Only its owner can read it.

    Args:
        connection: the database.
        folder: where backups are; created if it does not exist.
        keep: how many backups to keep there.

    Returns:
        The file.

    Raises:
        BackupError: it could not be written.
    """
    suffix = SUFFIXES[connection.vendor]
    name = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}{suffix}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise BackupError(f"{folder} cannot be created ({error.strerror})") from None
    discard_abandoned(folder)
    try:
        # A random name and not the process id: two containers can have the same id.
        handle, unfinished = tempfile.mkstemp(suffix, UNFINISHED, folder)
    except OSError as error:
        raise BackupError(f"{folder} cannot be written ({error.strerror})") from None
    os.close(handle)
    file = Path(unfinished)
    try:
        if connection.vendor == "postgresql":
            run(*client(connection, "pg_dump", "--format=custom", f"--file={file}"))
        else:
            copy_to(connection, file)
        check(connection, file)
        backup = file.replace(folder / name)
        for old in backups(folder)[keep:]:
            # Another backup may have deleted it.
            old.unlink(missing_ok=True)
    except (OSError, sqlite3.Error) as error:
        raise BackupError(f"{folder} cannot be written ({error})") from None
    finally:
        file.unlink(missing_ok=True)
    return backup


def discard_abandoned(folder: Path) -> None:
    """Delete what backups that were killed have left in a folder, or the disk would fill with it."""
    for path in folder.glob(f"{UNFINISHED}*"):
        # It may be another user's, or gone by now.
        with contextlib.suppress(OSError):
            if time.time() - path.lstat().st_mtime > ABANDONED:
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def backups(folder: Path | None) -> list[Path]:
    """Return the backups in a folder, newest first, and no other files."""
    if folder is None or not folder.is_dir():
        return []
    found = [path for path in folder.iterdir() if IN_FOLDER.fullmatch(path.name)]
    return sorted(found, key=lambda path: without_database(path.name), reverse=True)


def without_database(name: str) -> str:
    """Return a backup's name without the database's name, which older releases wrote before the time."""
    return name.rpartition("-")[2]


def restore(connection: BaseDatabaseWrapper, backup: Path, *, force: bool) -> None:
    """Replace everything in the database with a backup. If that fails, nothing changes.

    Args:
        connection: the database.
        backup: the file.
        force: whether to replace a database that has tables.

    Raises:
        BackupError: it failed, and the database is unchanged.
    """
    if not backup.is_file():
        raise BackupError(f"there is no file {backup}")
    if not fits(connection, backup.name):
        raise BackupError(
            f"{backup.name} is of another kind of database: this one's backups end in {SUFFIXES[connection.vendor]}"
        )
    check(connection, backup)
    tables = connection.introspection.table_names()
    if tables and not force:
        name = connection.settings_dict["NAME"]
        raise BackupError(f"{name} is not empty: it has {len(tables)} tables. --force replaces them")
    if connection.vendor == "postgresql":
        replay(connection, backup)
    else:
        copy_from(connection, backup)


def fits(connection: BaseDatabaseWrapper, name: str) -> bool:
    """Return whether a backup of that name belongs to this kind of database."""
    return name.endswith((SUFFIXES[connection.vendor], *([PLAIN] if connection.vendor == "sqlite" else [])))


def check(connection: BaseDatabaseWrapper, backup: Path) -> None:
    """Check that a backup is complete, by reading all of it.

    Raises:
        BackupError: it is not.
    """
    try:
        if connection.vendor == "postgresql":
            run(["pg_restore", f"--file={os.devnull}", str(backup)], dict(os.environ))
        else:
            with unpacked(backup):
                pass
    except (OSError, EOFError, zlib.error, sqlite3.Error, BackupError) as error:
        raise BackupError(f"{backup.name} is damaged: {error}") from None


# --- A storage beside the folder, which outlives this machine


def send(backup: Path, store: Storage, *, keep: int, name: str = "") -> None:
    """Copy a backup into a store, under its own or another name, check that it arrived, and delete the oldest ones.

    Raises:
        BackupError: the store failed, or has something else under that name.
    """
    try:
        with backup.open("rb") as file:
            name = store.save(name or backup.name, File(file))
        with backup.open("rb") as file, store.open(name) as copy:
            arrived = hashlib.file_digest(copy, "sha256").digest() == hashlib.file_digest(file, "sha256").digest()
        for old in stored(store)[keep:]:
            store.delete(old)
    except BackupError:
        raise
    except Exception as error:  # noqa: BLE001 - each kind of store has its own exceptions
        raise BackupError(f"the store says: {error}") from None
    if not arrived:
        raise BackupError(f"the store has something else under the name {name}")


def stored(store: Storage) -> list[str]:
    """Return the names of the backups in a store, newest first, and no other files.

    Raises:
        BackupError: the store failed.
    """
    try:
        _, names = store.listdir("")
    except Exception as error:  # noqa: BLE001 - each kind of store has its own exceptions
        raise BackupError(f"the store says: {error}") from None
    return sorted(filter(NAME.fullmatch, names), reverse=True)


def fetch(name: str, store: Storage, folder: Path) -> Path:
    """Copy a backup from a store into a folder.

    Raises:
        BackupError: the store failed, or has none of that name.
    """
    try:
        with store.open(name) as copy, (folder / name).open("wb") as file:
            shutil.copyfileobj(copy, file)
    except Exception as error:  # noqa: BLE001 - each kind of store has its own exceptions
        raise BackupError(f"the store says of {name}: {error}") from None
    return folder / name


# --- Choose a backup


@contextlib.contextmanager
def chosen(connection: BaseDatabaseWrapper, name: str, folder: Path | None, store: Storage | None) -> Iterator[Path]:
    """Find a backup. If it is not on this machine, keep a copy here until the end of the block.

    Args:
        connection: the database.
        name: a path, or the name of a backup in the folder or the store; `-` for standard input; empty for the newest.
        folder: where backups are, if there is a folder.
        store: where backups are, if there is a store.

    Raises:
        BackupError: there is none, or the store failed.
    """
    if not name:
        names = [*(path.name for path in backups(folder)), *(stored(store) if store else [])]
        # Of two that are equally new, take the one in the folder.
        name = max(filter(partial(fits, connection), names), key=without_database, default="")
        if not name:
            raise BackupError("there is no backup")
    path = Path(name)
    if folder and not path.exists() and (folder / name).exists():
        path = folder / name
    if name != "-" and (path.exists() or store is None or not NAME.fullmatch(name)):
        yield path
        return
    # Put the copy beside the other backups, where there is room: a container's /tmp is in memory.
    with TemporaryDirectory(dir=folder if folder and folder.is_dir() else None, prefix=UNFINISHED) as temporary:
        if store and name != "-":
            yield fetch(name, store, Path(temporary))
        else:
            path = Path(temporary, f"standard-input{SUFFIXES[connection.vendor]}")
            with path.open("wb") as file:
                shutil.copyfileobj(sys.stdin.buffer, file)
            yield path


# --- SQLite: https://sqlite.org/backup.html


def copy_to(connection: BaseDatabaseWrapper, file: Path) -> None:
    """Copy SQLite's database into a file, compressed."""
    connection.ensure_connection()
    with TemporaryDirectory(dir=file.parent, prefix=UNFINISHED) as folder:
        plain = Path(folder, "plain")
        with contextlib.closing(sqlite3.connect(plain)) as copy:
            connection.connection.backup(copy)
            # Write a single file, without a write-ahead log beside it.
            copy.execute("PRAGMA journal_mode = DELETE")
        with plain.open("rb") as source, gzip.open(file, "wb") as target:
            shutil.copyfileobj(source, target)


def copy_from(connection: BaseDatabaseWrapper, file: Path) -> None:
    """Copy a file into SQLite's database."""
    with unpacked(file) as copy:
        connection.ensure_connection()
        copy.backup(connection.connection)


@contextlib.contextmanager
def unpacked(file: Path) -> Iterator[sqlite3.Connection]:
    """Open the database in a file, compressed or not.

    Raises:
        BackupError, EOFError, OSError, zlib.error, sqlite3.Error: the file is not complete.
    """
    with TemporaryDirectory(dir=file.parent, prefix=UNFINISHED) as folder:
        plain = Path(folder, "plain")
        with file.open("rb") if file.suffix == PLAIN else gzip.open(file) as packed, plain.open("wb") as target:
            shutil.copyfileobj(packed, target)
        # SQLite takes an empty file for an empty database, which passes its own check.
        with plain.open("rb") as source:
            if source.read(len(MAGIC)) != MAGIC:
                raise BackupError("it holds no database")
        with contextlib.closing(sqlite3.connect(plain)) as database:
            found = database.execute("PRAGMA integrity_check").fetchone()[0]
            if found != "ok":
                raise BackupError(str(found))
            yield database


# --- PostgreSQL: its own programs, which must not be older than the server


def client(connection: BaseDatabaseWrapper, program: str, *options: str) -> tuple[list[str], dict[str, str]]:
    """Return the command line of a PostgreSQL program, and its environment variables, which hold the password."""
    # The arguments with which Django starts psql. The last one is the database.
    arguments, env = DatabaseClient.settings_to_cmd_args_env(connection.settings_dict, [])
    command = [program, *arguments[1:-1], f"--dbname={arguments[-1]}", "--no-password", *options]
    return command, {**os.environ, **(env or {})}


def run(command: list[str], env: dict[str, str]) -> None:
    """Run a program, and wait until it ends.

    Raises:
        BackupError: it is not installed, or it failed; the text has the program's own message.
    """
    try:
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)  # noqa: S603 - PostgreSQL's own, and no shell
    except FileNotFoundError:
        raise BackupError(f"{command[0]} is not installed: it comes with PostgreSQL's client programs") from None
    if done.returncode != 0:
        raise BackupError(f"{command[0]} said: {done.stderr.strip()}")


def replay(connection: BaseDatabaseWrapper, file: Path) -> None:
    """Replace all tables with a dump, in one transaction.

    Raises:
        BackupError: PostgreSQL refused.
    """
    with connection.cursor() as cursor:
        # Drop tables newer than the dump too: the migrations that made them will run again.
        tables = [connection.ops.quote_name(name) for name in connection.introspection.table_names(cursor)]
    # Put the scripts beside the dump, where there is room: /tmp may be in memory.
    with TemporaryDirectory(dir=file.parent, prefix=UNFINISHED) as folder:
        drop, script = Path(folder, "drop.sql"), Path(folder, "script.sql")
        drop.write_text("".join(f"DROP TABLE IF EXISTS {table} CASCADE;\n" for table in tables))
        # Read the whole dump before anything is dropped.
        options = ["--clean", "--if-exists", "--no-owner", "--no-privileges", f"--file={script}", str(file)]
        run(["pg_restore", *options], dict(os.environ))
        with script.open("r+b") as lines:
            position = lines.read(4096).find(TOO_NEW)
            if position >= 0:
                lines.seek(position)
                lines.write(b"--")
        options = ["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--single-transaction", f"--file={drop}"]
        run(*client(connection, "psql", *options, f"--file={script}"))

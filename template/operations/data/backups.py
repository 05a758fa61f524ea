"""The database in a file, and the way back."""

import contextlib
import gzip
import hashlib
import os
import re
import shutil
import sqlite3
import subprocess
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from django.core.files import File
from django.core.files.storage import Storage
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.client import DatabaseClient

# By what Django calls the vendor. PostgreSQL's is its own custom format, compressed, for pg_restore anywhere.
SUFFIXES = {"postgresql": ".dump", "sqlite": ".sqlite3.gz"}
# SQLite's were not compressed before; such files are taken too.
PLAIN = ".sqlite3"
NAME = re.compile(r"\d{8}T\d{6}Z\.(dump|sqlite3(\.gz)?)")
UNFINISHED = ".unfinished-"
# What each file of SQLite's begins with.
MAGIC = b"SQLite format 3\0"


class BackupError(Exception):
    """It failed; the text is what a person should read."""


def back_up(connection: BaseDatabaseWrapper, folder: Path, *, keep: int) -> Path:
    """Write the database into a new file, and delete the oldest ones.

    The site goes on meanwhile; what is written is the database as it was at one moment, compressed. A file has its
    name only once it has been read again and found whole, and only its owner may read it.

    Args:
        connection: the database.
        folder: where backups are; it is made if need be.
        keep: how many to leave there.

    Returns:
        The file.

    Raises:
        BackupError: it could not be written.
    """
    suffix = SUFFIXES[connection.vendor]
    name = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}{suffix}"
    unfinished = folder / f"{UNFINISHED}{os.getpid()}{suffix}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise BackupError(f"{folder} cannot be made ({error.strerror})") from None
    try:
        os.close(os.open(unfinished, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600))
        if connection.vendor == "postgresql":
            run(*client(connection, "pg_dump", "--format=custom", f"--file={unfinished}"))
        else:
            copy_to(connection, unfinished)
        check(connection, unfinished)
        backup = unfinished.replace(folder / name)
        for old in backups(folder)[keep:]:
            old.unlink()
    except (OSError, sqlite3.Error) as error:
        raise BackupError(f"{folder} cannot be written ({error})") from None
    finally:
        unfinished.unlink(missing_ok=True)
    return backup


def backups(folder: Path) -> list[Path]:
    """The backups in a folder, newest first; nothing else that is there."""
    return sorted((path for path in folder.iterdir() if NAME.fullmatch(path.name)), reverse=True)


def restore(connection: BaseDatabaseWrapper, backup: Path, *, force: bool) -> None:
    """Put a backup in place of all that is in the database: the whole of it, or, if that fails, nothing.

    Args:
        connection: the database.
        backup: the file.
        force: whether to, if the database has tables.

    Raises:
        BackupError: it failed, and the database is as it was.
    """
    if not backup.is_file():
        raise BackupError(f"there is no file {backup}")
    taken = (SUFFIXES[connection.vendor], *([PLAIN] if connection.vendor == "sqlite" else []))
    if not backup.name.endswith(taken):
        raise BackupError(
            f"{backup.name} is of another kind of database, and this one's end in {SUFFIXES[connection.vendor]}"
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


def check(connection: BaseDatabaseWrapper, backup: Path) -> None:
    """See that a backup is whole, by reading all of it.

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


# --- A store beside the folder, which outlives this machine


def send(backup: Path, store: Storage, *, keep: int, name: str = "") -> None:
    """Copy a backup into a store, under its own name or another, see that it arrived, and delete the oldest ones there.

    Raises:
        BackupError: the store would not, or has something else.
    """
    try:
        with backup.open("rb") as file:
            name = store.save(name or backup.name, File(file))
        with backup.open("rb") as file, store.open(name) as copy:
            arrived = hashlib.file_digest(copy, "sha256").digest() == hashlib.file_digest(file, "sha256").digest()
        for old in stored(store)[keep:]:
            store.delete(old)
    except Exception as error:  # noqa: BLE001 - each kind of store has its own
        raise BackupError(f"the store says: {error}") from None
    if not arrived:
        raise BackupError(f"the store has something else under the name {name}")


def stored(store: Storage) -> list[str]:
    """The names of the backups in a store, newest first; nothing else that is there."""
    return sorted((name for name in store.listdir("")[1] if NAME.fullmatch(name)), reverse=True)


def fetch(name: str, store: Storage, folder: Path) -> Path:
    """Bring a backup from a store into a folder.

    Raises:
        BackupError: the store has none of that name, or would not.
    """
    try:
        with store.open(name) as copy, (folder / name).open("wb") as file:
            shutil.copyfileobj(copy, file)
    except Exception as error:  # noqa: BLE001 - as above
        raise BackupError(f"the store says of {name}: {error}") from None
    return folder / name


# --- SQLite: https://sqlite.org/backup.html


def copy_to(connection: BaseDatabaseWrapper, file: Path) -> None:
    """Copy SQLite's database into a file, compressed."""
    connection.ensure_connection()
    with TemporaryDirectory(dir=file.parent, prefix=UNFINISHED) as folder:
        plain = Path(folder, "plain")
        with contextlib.closing(sqlite3.connect(plain)) as copy:
            connection.connection.backup(copy)
            # One file, without a log beside it.
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
    """The database in a file, compressed or not.

    Raises:
        BackupError, EOFError, OSError, zlib.error, sqlite3.Error: the file is not whole.
    """
    with TemporaryDirectory(dir=file.parent, prefix=UNFINISHED) as folder:
        plain = Path(folder, "plain")
        with file.open("rb") if file.suffix == PLAIN else gzip.open(file) as packed, plain.open("wb") as target:
            shutil.copyfileobj(packed, target)
        # Of nothing SQLite would make an empty database, which is whole.
        with plain.open("rb") as source:
            if source.read(len(MAGIC)) != MAGIC:
                raise BackupError("it holds no database")
        with contextlib.closing(sqlite3.connect(plain)) as database:
            found = database.execute("PRAGMA integrity_check").fetchone()[0]
            if found != "ok":
                raise BackupError(str(found))
            yield database


# --- PostgreSQL: its own programs, of which none may be older than the server


def client(connection: BaseDatabaseWrapper, program: str, *options: str) -> tuple[list[str], dict[str, str]]:
    """The command of one of PostgreSQL's programs, and its environment, where the password is."""
    # Django's own way to psql. The last argument is the database.
    arguments, env = DatabaseClient.settings_to_cmd_args_env(connection.settings_dict, [])
    command = [program, *arguments[1:-1], f"--dbname={arguments[-1]}", "--no-password", *options]
    return command, {**os.environ, **(env or {})}


def run(command: list[str], env: dict[str, str]) -> None:
    """Run a program to its end.

    Raises:
        BackupError: it failed, or is not installed; the text is what it said.
    """
    try:
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)  # noqa: S603 - PostgreSQL's own, and no shell
    except FileNotFoundError:
        raise BackupError(f"{command[0]} is not installed: it comes with PostgreSQL's client programs") from None
    if done.returncode != 0:
        raise BackupError(f"{command[0]} said: {done.stderr.strip()}")


def replay(connection: BaseDatabaseWrapper, file: Path) -> None:
    """Put a dump in place of all tables, in one transaction.

    Raises:
        BackupError: PostgreSQL would not.
    """
    with connection.cursor() as cursor:
        # Tables younger than the dump go too: the migrations that made them will be run again.
        tables = [connection.ops.quote_name(name) for name in connection.introspection.table_names(cursor)]
    # Beside the dump, where there is room, and not in memory.
    with TemporaryDirectory(dir=file.parent, prefix=UNFINISHED) as folder:
        drop, script = Path(folder, "drop.sql"), Path(folder, "script.sql")
        drop.write_text("".join(f"DROP TABLE IF EXISTS {table} CASCADE;\n" for table in tables))
        # The whole dump is read before anything is dropped.
        options = ["--clean", "--if-exists", "--no-owner", "--no-privileges", f"--file={script}", str(file)]
        run(["pg_restore", *options], dict(os.environ))
        options = ["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--single-transaction", f"--file={drop}"]
        run(*client(connection, "psql", *options, f"--file={script}"))

"""Backs the SQLite database up into the volume at /backups, and restores it: the service `backup` of compose.yaml.

    backup             write a backup; the last seven are kept
    list               name the backups, oldest first
    check [NAME]       see that a backup is whole; the newest where none is named
    restore [NAME]     put a backup in place of what the database holds
    show [NAME]        write a backup to standard output, for a copy elsewhere
    take               read a backup from standard input, as the newest

Both ways by SQLite's own backup (https://www.sqlite.org/backup.html), which takes no half of a transaction along
and may run while the site serves. Exit codes: 0, done; 1, not done; 2, asked for something else.
"""

import argparse
import contextlib
import shutil
import sqlite3
import sys
import time
from pathlib import Path

DATABASE = Path("/data/db.sqlite3")
BACKUPS = Path("/backups")
KEPT = 7


class BackupError(Exception):
    """It cannot be done; the text is what a person should read."""


def main() -> int:
    """Do what the arguments say; gives the exit code."""
    parser = argparse.ArgumentParser(prog="backup", description="Back the database up, and restore it.")
    parser.add_argument(
        "what", nargs="?", default="backup", choices=["backup", "list", "check", "restore", "show", "take"]
    )
    parser.add_argument("name", nargs="?", help="which backup; the newest where none is named")
    asked = parser.parse_args()
    try:
        if asked.what in ("backup", "take"):
            print(write(from_input=asked.what == "take"))
        elif asked.what == "list":
            print(*(path.name for path in backups()), sep="\n")
        else:
            use(asked.what, chosen(asked.name))
    except (BackupError, OSError, sqlite3.Error) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def write(*, from_input: bool) -> str:
    """Write a backup of the database, or of what standard input holds; gives its name.

    Raises:
        BackupError: there is no database, or what came is not whole.
    """
    if not from_input and not DATABASE.exists():
        raise BackupError(f"there is no database at {DATABASE}")
    name = f"db-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}.sqlite3"
    partial = BACKUPS / f"{name}.partial"
    try:
        if from_input:
            with partial.open("wb") as file:
                shutil.copyfileobj(sys.stdin.buffer, file)
        else:
            copy(DATABASE, partial)
        check(partial)
        # It has its name from when it is whole.
        partial.rename(BACKUPS / name)
    finally:
        partial.unlink(missing_ok=True)
    for old in backups()[:-KEPT]:
        old.unlink()
    return name


def use(what: str, backup: Path) -> None:
    """Check a backup, show it, or restore it once it is known to be whole."""
    if what == "show":
        sys.stdout.buffer.write(backup.read_bytes())
        return
    check(backup)
    if what == "restore":
        copy(backup, DATABASE)
    print(f"{backup.name} is {'restored' if what == 'restore' else 'whole'}")


def copy(source: Path, target: Path) -> None:
    """Copy a database into another, as one transaction there."""
    with contextlib.closing(sqlite3.connect(source)) as one, contextlib.closing(sqlite3.connect(target)) as other:
        one.backup(other)


def check(backup: Path) -> None:
    """See that a database is whole, and one of Django's.

    Raises:
        BackupError: it is not.
    """
    try:
        with contextlib.closing(sqlite3.connect(f"file:{backup}?mode=ro&immutable=1", uri=True)) as connection:
            (said,) = connection.execute("PRAGMA integrity_check").fetchone()
            connection.execute("SELECT 1 FROM django_migrations LIMIT 1")
    except sqlite3.Error as error:
        said = str(error)
    if said != "ok":
        raise BackupError(f"{backup.name} is not a whole backup of the site: {said}")


def backups() -> list[Path]:
    """The backups, oldest first."""
    return sorted(BACKUPS.glob("*.sqlite3"))


def chosen(name: str | None) -> Path:
    """The backup of that name, or the newest.

    Raises:
        BackupError: there is none.
    """
    found = {path.name: path for path in backups()}
    if not found:
        raise BackupError("there is no backup")
    if name is not None and name not in found:
        raise BackupError(f"there is no backup called {name}; there are {', '.join(found)}")
    return found[name] if name else backups()[-1]


if __name__ == "__main__":
    sys.exit(main())

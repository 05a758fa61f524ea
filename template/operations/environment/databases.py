"""Parse the database's URL. Refuse one that cannot work, without repeating what may be its password."""

import os
import sqlite3
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dj_database_url

from operations.environment.variables import EnvError

BASE_DIR = Path(__file__).resolve().parents[2]
EXAMPLES = "Examples: postgresql://user:password@host:5432/name or sqlite:////absolute/path/db.sqlite3"

# Options that Django's backend takes itself: https://docs.djangoproject.com/en/6.1/ref/databases/#postgresql-notes
DJANGOS = {"assume_role", "isolation_level", "pool", "server_side_binding"}
# What libpq takes, and a site cannot use: a name beside the path's, and a connection that speaks no SQL.
UNUSABLE = {"dbname", "replication"}
# libpq learns only when it connects that one of its options is not a number:
# https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS
NUMBERS = {
    "connect_timeout",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "tcp_user_timeout",
}
MOST = 2**31 - 1
# Those whose words are told. What libpq refuses besides is found by libpq itself.
WORDS = {
    "channel_binding": ("disable", "prefer", "require"),
    "gssencmode": ("disable", "prefer", "require"),
    # https://www.psycopg.org/psycopg3/docs/api/connections.html#psycopg.IsolationLevel
    "isolation_level": (1, 2, 3, 4),
    "sslmode": ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    "target_session_attrs": ("any", "read-write", "read-only", "primary", "standby", "prefer-standby"),
}
# Files that libpq may be told of, and in part ignores where they are missing.
FILES = ("passfile", "sslcert", "sslcrl", "sslcrldir", "sslkey", "sslrootcert")
ROOT_CERTIFICATE = "~/.postgresql/root.crt"
# https://docs.djangoproject.com/en/6.1/ref/databases/#transaction-pooling-and-server-side-cursors
WITHOUT_CURSORS = "disable_server_side_cursors"
# What sqlite3.connect takes, and what Django's backend takes besides.
SQLITES = {
    "autocommit",
    "cached_statements",
    "check_same_thread",
    "detect_types",
    "init_command",
    "isolation_level",
    "timeout",
    "transaction_mode",
    "uri",
}
SQLITES_WORDS = {
    "isolation_level": ("DEFERRED", "IMMEDIATE", "EXCLUSIVE"),
    "transaction_mode": ("DEFERRED", "IMMEDIATE", "EXCLUSIVE"),
}
SQLITES_MAGIC = b"SQLite format 3\0"


def is_cut_short(url: str) -> bool:
    """Return whether a `/`, `?` or `#` in the password cut the URL's host short."""
    parts = urlsplit(url)
    return "@" not in parts.netloc and "@" in parts.path + parts.query + parts.fragment


def database(text: str) -> dict[str, Any]:
    """Return Django's settings of the database at a URL, tuned for serving a site; none for an empty text.

    Options are in the URL's query (`?sslmode=require`), and win over what is set here.

    Raises:
        EnvError: the URL names no database that this project can use, or has an option that nobody knows.
    """
    if not text:
        return {}
    try:
        settings: dict[str, Any] = dict(dj_database_url.parse(text))
        cut_short = is_cut_short(text)
    except Exception:  # noqa: BLE001 - whatever it is, its text may hold the password
        raise EnvError(f"not a database's URL. {EXAMPLES}") from None
    if cut_short or urlsplit(text).fragment:
        raise EnvError("cut short by a sign in its password. Write / ? # % in a password as %2F %3F %23 %25")
    # Where the path is missing, dj-database-url takes a database in memory.
    if not settings.get("NAME") or (settings["NAME"] == ":memory:" and ":memory:" not in text):
        raise EnvError(f"names no database. {EXAMPLES}")
    if settings["NAME"] != settings["NAME"].strip():
        raise EnvError(f"has a space around the database's name. {EXAMPLES}")
    settings.setdefault("OPTIONS", {})
    if any("\0" in str(value) for value in (*settings.values(), *settings["OPTIONS"].values())):
        raise EnvError(f"holds a NUL character (%00). {EXAMPLES}")
    if settings["ENGINE"] == "django.db.backends.sqlite3":
        of_sqlite(settings)
    elif settings["ENGINE"] == "django.db.backends.postgresql":
        if urlsplit(text).port == 0:
            raise EnvError(f"has the port 0. {EXAMPLES}")
        of_postgresql(settings)
    else:
        raise EnvError(f"neither PostgreSQL nor SQLite, which this project is made for. {EXAMPLES}")
    return settings


def of_sqlite(settings: dict[str, Any]) -> None:
    """Complete the settings of a database in a file.

    Raises:
        EnvError: the file cannot be there, or an option is not known.
    """
    options = settings["OPTIONS"]
    refuse_unknown(options, SQLITES)
    refuse_others(
        options,
        numbers={"timeout", "cached_statements", "detect_types"},
        flags={"autocommit", "uri"},
        words=SQLITES_WORDS,
    )
    if settings["NAME"] != ":memory:":
        # A relative path counts from the project, not from where a command was started.
        path = BASE_DIR / settings["NAME"]
        try:
            refuse_file(path)
        except OSError as error:
            raise EnvError(f"its file cannot be read ({error.strerror}). Name another") from None
        settings["NAME"] = str(path)
    # Writers queue instead of failing: https://docs.djangoproject.com/en/6.1/ref/databases/#sqlite-notes
    options.setdefault("transaction_mode", "IMMEDIATE")
    options.setdefault("timeout", 20)
    # Readers go on while one writes. Not on a network disk: ?init_command=PRAGMA journal_mode=DELETE
    options.setdefault("init_command", "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;")
    memory = sqlite3.connect(":memory:")
    try:
        memory.executescript(str(options["init_command"]))
    except sqlite3.Error:
        raise EnvError(
            "its option init_command is no statement of SQLite's. Example: PRAGMA journal_mode=DELETE"
        ) from None
    finally:
        memory.close()


def refuse_file(path: Path) -> None:
    """Refuse a path where SQLite could not read and write its database.

    Raises:
        EnvError: there cannot be one.
        OSError: it cannot be read.
    """
    # `exists` and the like hide errors since Python 3.14.
    with suppress(FileNotFoundError, NotADirectoryError):
        path.stat()
    if not path.parent.is_dir():
        raise EnvError(f"the folder {path.parent} is not there. Make it, or name another")
    if path.is_dir():
        raise EnvError(f"{path} is a folder. Add the name of a file to it")
    if path.exists():
        if not path.is_file():
            raise EnvError(f"{path} is not a file. Name another")
        with path.open("rb") as file:
            if file.read(len(SQLITES_MAGIC)) not in (b"", SQLITES_MAGIC):
                raise EnvError(f"{path} is a file of another kind, and no SQLite database. Name another")
    # Its log of writes is beside it.
    if not all(os.access(each, os.W_OK) for each in (path.parent, path) if each.exists()):
        raise EnvError(f"{path} or its folder cannot be written. Change its owner, or name another")


def of_postgresql(settings: dict[str, Any]) -> None:
    """Complete the settings of a database on a server.

    Raises:
        EnvError: psycopg or its pool is not installed, or an option is not known or has a value that it cannot have.
    """
    if find_spec("psycopg") is None:
        raise EnvError("PostgreSQL needs psycopg, which is not installed: uv add 'psycopg[binary]'")
    options = settings["OPTIONS"]
    if WITHOUT_CURSORS in options:
        settings[WITHOUT_CURSORS.upper()] = flag(options, WITHOUT_CURSORS)
        del options[WITHOUT_CURSORS]
    # By its name, since projects on SQLite have no psycopg, and their types are checked too.
    libpq = import_module("psycopg.pq")
    # With what its own variables give, such as PGSSLROOTCERT.
    libpqs = {option.keyword.decode(): option.val for option in libpq.Conninfo.get_defaults()}
    refuse_unknown(options, (libpqs.keys() | DJANGOS | {WITHOUT_CURSORS}) - UNUSABLE)
    refuse_others(options, numbers=NUMBERS, flags={"pool", "server_side_binding"}, words=WORDS)
    if options.get("pool") and find_spec("psycopg_pool") is None:
        raise EnvError("its option pool needs a package that is not installed: uv add 'psycopg[pool]'")
    refuse_server(settings, certificate=options.get("sslrootcert") or libpqs.get("sslrootcert"))
    refuse_libpqs(libpq, {name: value for name, value in options.items() if name in libpqs})
    # A server that hangs, or whose machine has disappeared, must not hang the site:
    # seconds for a new connection, milliseconds for what a kept one has sent, and seconds
    # after which a silent one is asked whether it is still there.
    options.setdefault("connect_timeout", 5)
    options.setdefault("tcp_user_timeout", 5000)
    options.setdefault("keepalives_idle", 10)
    options.setdefault("keepalives_interval", 5)
    options.setdefault("keepalives_count", 2)
    # A kept connection may have died since; without this its next request fails.
    settings["CONN_HEALTH_CHECKS"] = True


def refuse_server(settings: dict[str, Any], certificate: object) -> None:
    """Refuse what names no server or database, and files that are missing.

    Args:
        settings: the database's.
        certificate: the root certificate that is named, if any.

    Raises:
        EnvError: there is such a thing.
    """
    options = settings["OPTIONS"]
    for name in ("host", "port", "user", "password"):
        if name in options and settings[name.upper()]:
            raise EnvError(f"its option {name} is given twice: ahead of the database's name, and behind the ?")
    host, ports = str(settings["HOST"]), str(options.get("port", settings["PORT"] or 5432)).split(",")
    if host != host.strip() or not all(port.isdecimal() and 1 <= int(port) <= 65535 for port in ports):
        raise EnvError(f"has a space around the host, or a port that is not from 1 to 65535. {EXAMPLES}")
    if "/" in settings["NAME"] or "&" in settings["NAME"] or len(settings["NAME"]) > 63:
        raise EnvError(f"its database's name has a / or &, or over 63 characters. Options begin with ?. {EXAMPLES}")
    for name in FILES:
        # With a colon it may be a key in hardware.
        if (
            name in options
            and not {"system", ":"} & {options[name], *str(options[name])}
            and not Path(str(options[name])).exists()
        ):
            raise EnvError(f"its option {name} names a file that is not there")
    verified = str(options.get("sslmode", "")).startswith("verify-")
    if verified and not certificate and not Path(ROOT_CERTIFICATE).expanduser().exists():
        raise EnvError("its option sslmode needs a certificate: add sslrootcert=system, or the path of one")
    if not isinstance(options.get("assume_role", ""), str):
        raise EnvError("its option assume_role is not the name of a role")


def refuse_libpqs(libpq: Any, options: dict[str, Any]) -> None:
    """Refuse options that libpq itself refuses before it connects, as a value that it does not know.

    Raises:
        EnvError: there is one; libpq's own words are not repeated, since they hold the value.
    """
    # Nothing listens at this address, so libpq only checks the options.
    nowhere = {"host": "/", "user": "user", "password": "password"}
    asked = {**options, **nowhere}
    for name in ("hostaddr", "passfile", "port"):
        asked.pop(name, None)
    text = import_module("psycopg.conninfo").make_conninfo(**asked)
    tried = libpq.PGconn.connect_start(text.encode())
    said = tried.error_message.decode(errors="replace")
    tried.finish()
    if not said.startswith("connection to server"):
        named = [name for name in options if name in said]
        which = f"its option {', '.join(named)} has a value" if named else "it has options"
        raise EnvError(f"{which} that libpq refuses")


def go_direct(connection: Any, direct: dict[str, Any]) -> None:
    """Let a command go past a pooler.

    Args:
        connection: Django's connection that the command uses.
        direct: the settings of the database at DATABASE_DIRECT_URL, to which the site's connection goes from now on; empty without one.
    """
    if direct and connection.alias == "default":
        connection.close()
        connection.settings_dict.update(direct)


def refuse_unknown(options: dict[str, Any], known: set[str]) -> None:
    """Refuse an option that would end in an error at the first query.

    Raises:
        EnvError: there is one; the text names it, unless it may be a part of a password.
    """
    for name in options:
        if name not in known:
            named = f"option {name}" if name.isidentifier() else "option"
            hint = f" For PgBouncer write {WITHOUT_CURSORS}=true" if name == "pgbouncer" else ""
            raise EnvError(f"its {named} is not known.{hint or f' There are: {", ".join(sorted(known))}'}")


def refuse_others(
    options: dict[str, Any], *, numbers: set[str], flags: set[str], words: dict[str, tuple[Any, ...]]
) -> None:
    """Refuse options whose value is of another kind than theirs. dj-database-url has made numbers and flags of what is one.

    Raises:
        EnvError: there is one.
    """
    for name, value in options.items():
        if name in numbers and (type(value) is not int or value > MOST):
            raise EnvError(f"its option {name} is not a whole number from 0 to {MOST}")
        if name in flags:
            flag(options, name)
        if (
            name in words
            and (value.upper() if words is SQLITES_WORDS and isinstance(value, str) else value) not in words[name]
        ):
            raise EnvError(f"its option {name} is none of {', '.join(map(str, words[name]))}")


def flag(options: dict[str, Any], name: str) -> bool:
    """Return an option that is true or false.

    Raises:
        EnvError: it is neither.
    """
    value = options[name]
    if not isinstance(value, bool):
        raise EnvError(f"its option {name} is neither true nor false")
    return value

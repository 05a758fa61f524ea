"""What the URL of the database means. A URL that cannot work is refused, without repeating what may be its password."""

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dj_database_url
from environs import EnvError

BASE_DIR = Path(__file__).resolve().parents[2]
EXAMPLES = "Examples: postgresql://user:password@host:5432/name or sqlite:////absolute/path/db.sqlite3"

# Options that Django's backend takes itself: https://docs.djangoproject.com/en/6.1/ref/databases/#postgresql-notes
DJANGOS = {"assume_role", "isolation_level", "pool", "server_side_binding"}
# libpq learns only when it connects that one of its options is not a number, or not one of its words:
# https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS
NUMBERS = {
    "connect_timeout",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "tcp_user_timeout",
}
WORDS = {
    "channel_binding": ("disable", "prefer", "require"),
    "gssencmode": ("disable", "prefer", "require"),
    "sslmode": ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    "target_session_attrs": ("any", "read-write", "read-only", "primary", "standby", "prefer-standby"),
}
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


def is_cut_short(url: str) -> bool:
    """Whether a `/`, `?` or `#` in a password has ended a URL's host too early."""
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
    if settings["ENGINE"] == "django.db.backends.sqlite3":
        of_sqlite(settings)
    elif settings["ENGINE"] == "django.db.backends.postgresql":
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
    for name in {"timeout", "cached_statements"} & set(options):
        if type(options[name]) is not int:
            raise EnvError(f"its option {name} is not a whole number")
    if settings["NAME"] != ":memory:":
        # A relative path counts from the project, not from where a command was started.
        path = BASE_DIR / settings["NAME"]
        if not path.parent.is_dir():
            raise EnvError(f"the folder {path.parent} is not there. Make it, or name another")
        if path.is_dir():
            raise EnvError(f"{path} is a folder. Add the name of a file to it")
        settings["NAME"] = str(path)
    # Writers queue instead of failing: https://docs.djangoproject.com/en/6.1/ref/databases/#sqlite-notes
    options.setdefault("transaction_mode", "IMMEDIATE")
    options.setdefault("timeout", 20)
    # Readers go on while one writes. Not on a network disk: ?init_command=PRAGMA journal_mode=DELETE
    options.setdefault("init_command", "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;")


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
    libpqs = {option.keyword.decode() for option in libpq.Conninfo.get_defaults()}
    refuse_unknown(options, libpqs | DJANGOS | {WITHOUT_CURSORS})
    for name in NUMBERS & set(options):
        # dj-database-url has made a number of what is one.
        if type(options[name]) is not int:
            raise EnvError(f"its option {name} is not a whole number")
    for name in set(WORDS) & set(options):
        if options[name] not in WORDS[name]:
            raise EnvError(f"its option {name} is none of {', '.join(WORDS[name])}")
    if "pool" in options and flag(options, "pool") and find_spec("psycopg_pool") is None:
        raise EnvError("its option pool needs a package that is not installed: uv add 'psycopg[pool]'")
    # A server that hangs, or whose machine is gone without a word, must not hang the site:
    # seconds for a new connection, milliseconds for what a kept one has sent, and seconds
    # after which a silent one is asked whether it is still there.
    options.setdefault("connect_timeout", 5)
    options.setdefault("tcp_user_timeout", 5000)
    options.setdefault("keepalives_idle", 10)
    options.setdefault("keepalives_interval", 5)
    options.setdefault("keepalives_count", 2)
    # A kept connection may have died since; without this its next request fails.
    settings["CONN_HEALTH_CHECKS"] = True


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


def flag(options: dict[str, Any], name: str) -> bool:
    """Return an option that is true or false.

    Raises:
        EnvError: it is neither.
    """
    value = options[name]
    if not isinstance(value, bool):
        raise EnvError(f"its option {name} is neither true nor false")
    return value

"""Read environment variables. Report all problems in one message, and never a secret's value."""

import codecs
import os
import re
import shlex
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from dotenv.parser import Binding, parse_stream

from operations.environment import parsers
from operations.environment.variables import NOT_SET, Variables

BASE_DIR = Path(__file__).resolve().parents[2]

# gunicorn replaces a worker that exits with 1 again and again, but stops at 3, its own code for a worker that cannot
# start.
REFUSED = 3
# Host names of this machine.
LOCAL = ("localhost", "127.0.0.1", "::1")

SETTINGS = "DJANGO_SETTINGS_MODULE"
DEVELOPMENT = "config.settings.development"
# The variables that came from `.env`.
from_dotenv: set[str] = set()


class NotTextError(ValueError):
    """Say that a file is not UTF-8 text; `line` is the number of the first line that is not."""

    def __init__(self, reason: str, line: int) -> None:
        super().__init__(f"{reason}. Save the file as UTF-8")
        self.line = line


def decoded(data: bytes) -> str:
    """Return the text of a UTF-8 file, without a byte order mark.

    Raises:
        NotTextError: it is in another encoding, or contains a NUL, which no variable can hold.
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise NotTextError("UTF-16", 1)
    if b"\0" in data:
        raise NotTextError("a NUL character", data[: data.index(b"\0")].count(b"\n") + 1)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise NotTextError("not UTF-8", data[: error.start].count(b"\n") + 1) from None


def load_dotenv(arguments: Sequence[str] = ()) -> None:
    """Add the variables of the project's `.env` to the environment, except those that are set already.

    A `.env` that names production's settings is production's: where development's are chosen, nothing of it is read.

    Args:
        arguments: those of manage.py, which may choose settings, and tells the developer of what `.env` has chosen.

    Raises:
        SystemExit: with code 3, after a line on standard error for each line of `.env` that cannot be read, or where
            there are no settings of the chosen name.
    """
    variables = read_dotenv(BASE_DIR / ".env")
    chosen, named, said = chosen_settings(arguments), variables.get(SETTINGS), ""
    if named and named != DEVELOPMENT and chosen == DEVELOPMENT:
        variables, said = {}, f"{DEVELOPMENT}; .env is not read, because it is for {named}"
    elif named and not chosen:
        said = f"{named}, from .env (for development's, add: --settings {DEVELOPMENT})"
    elif (chosen or DEVELOPMENT) == DEVELOPMENT and "DATABASE_URL" in variables.keys() - os.environ.keys():
        said = f"{DEVELOPMENT}, with DATABASE_URL from .env"
    for name in variables.keys() - os.environ.keys():
        os.environ[name] = variables[name]
        from_dotenv.add(name)
    refuse_unknown_settings(arguments)
    # Where the server reloads, its first process has said it.
    if said and arguments and is_developers() and "RUN_MAIN" not in os.environ:
        sys.stderr.write(f"Settings: {said}\n")


def read_dotenv(path: Path) -> dict[str, str]:
    """Return the variables in a `.env`; none if there is no file.

    Raises:
        SystemExit: with code 3, after a line on standard error for each line that cannot be read.
    """
    variables, problems = {}, []
    try:
        # Take values literally, even in quotes: a secret may contain ${…}, which must not be replaced.
        for binding in parse_stream(StringIO(decoded(path.read_bytes()))):
            if binding.error or (binding.key and not is_variable(binding)):
                problems.append(f".env, line {line_of(binding)}: not NAME=value, or a quote is not closed")
            elif binding.key:
                variables[binding.key] = binding.value or ""
    except (FileNotFoundError, IsADirectoryError):
        return {}
    except OSError as error:
        problems.append(f".env cannot be read: {error.strerror}")
    except NotTextError as error:
        problems.append(f".env, line {error.line}: {error}")
    if problems:
        refuse(f"Not starting: {len(problems)} problem(s) in .env.", problems)
    return variables


def is_variable(binding: Binding) -> bool:
    """Return whether a line was read as a variable with a value."""
    return binding.value is not None and bool(re.fullmatch(r"[A-Za-z_][\w.-]*", binding.key or ""))


def line_of(binding: Binding) -> int:
    """Return the number of the line on which a variable begins, not counting empty lines before it."""
    text = binding.original.string
    return binding.original.line + text[: len(text) - len(text.lstrip())].count("\n")


def chosen_settings(arguments: Sequence[str]) -> str | None:
    """Return the settings that the arguments of manage.py name, or else the environment."""
    for index, argument in enumerate(arguments):
        if argument.startswith("--settings="):
            return argument.removeprefix("--settings=")
        if argument == "--settings":
            return next(iter(arguments[index + 1 :]), None)
    return os.environ.get(SETTINGS) or None


def refuse_unknown_settings(arguments: Sequence[str]) -> None:
    """End the process if no settings are in the module that the arguments or the environment name.

    A name that is empty counts as none, so that the entry point chooses.

    Raises:
        SystemExit: with code 3. The line does not repeat the name, which may be a secret in the wrong variable.
    """
    if not os.environ.get(SETTINGS, "").strip():
        os.environ.pop(SETTINGS, None)
    name = chosen_settings(arguments)
    if name is None:
        return
    try:
        spec = find_spec(name)
    except (ImportError, TypeError, ValueError):
        # The package that it would be in is not there, or it is no name of a module at all.
        spec = None
    # A package without a line of its own has no setting either.
    if spec is None or not spec.origin or (Path(spec.origin).is_file() and not Path(spec.origin).stat().st_size):
        refuse(
            "Not starting: there are no settings of that name.",
            [f"{SETTINGS}, or --settings, names no settings. Write config.settings.production or {DEVELOPMENT}"],
        )


def is_developers() -> bool:
    """Return whether this is a developer's machine: it has tools that no site needs."""
    return find_spec("honcho") is not None


def refuse(title: str, problems: Iterable[str]) -> None:
    """Print `title` and one line per problem on standard error, and end the process without a traceback.

    Raises:
        SystemExit: always, with code 3.
    """
    sys.stderr.write("\n".join([title, *(f"  {problem}" for problem in problems)]) + "\n")
    raise SystemExit(REFUSED)


class Environment(Variables):
    """The process's environment, in which an empty variable counts as one that is not set.

    A variable `NAME` can also be given as a file whose path is in `NAME_FILE`. Problems are
    collected, and `seal` refuses to go on with all of them. Until then a value that is missing
    or malformed reads as None: derive nothing from one before `seal`.
    """

    def __init__(self) -> None:
        super().__init__()
        for name in parsers.__all__:
            self.add_parser(name, getattr(parsers, name))
        self.add_parser("bool", parsers.flag)

    def value(self, name: str, default: Any) -> Any:
        """Return the text of a variable or of the file that it names, or the default."""
        value = os.environ.get(name, "")
        path = os.environ.get(f"{name}_FILE", "")
        if path and value:
            self.problem(**{name: f"given twice. Unset it or {name}_FILE"})
        elif path:
            try:
                value = decoded(Path(path).read_bytes()).rstrip("\r\n")
            except (OSError, NotTextError) as error:
                # Do not repeat the path: it may be the secret itself, by mistake.
                reason = error.strerror if isinstance(error, OSError) else f"line {error.line}: {error}"
                self.problem(**{name: f"{name}_FILE names a file that cannot be read ({reason})"})
        return value if value.strip() else default

    def not_empty(self, *names: str) -> None:
        """Refuse empty variables that another program reads before this project does."""
        for name in set(names) - from_dotenv:
            if name in os.environ and not os.environ[name].strip():
                self.problem(**{name: "empty. gunicorn cannot start on it: give it a value, or remove it"})

    def seal(self) -> None:
        """Stop reading variables, and end the process if one was missing or malformed.

        Raises:
            SystemExit: with code 3, after one line per variable on standard error.
        """
        problems = []
        for name, (problem, *_) in self.problems.items():
            # Report only a variable's first problem. A second one is its consequence.
            example = parsers.EXAMPLES.get(name, "") if problem == NOT_SET else ""
            problems.append(f"{name}: {problem} {example}".rstrip())
        if problems and SETTINGS in from_dotenv and is_developers() and Path(sys.argv[0]).name == "manage.py":
            problems.append(
                f"The settings are {os.environ[SETTINGS]}, from .env. For development's, type:"
                f" uv run python {shlex.join(sys.argv)} --settings {DEVELOPMENT}"
            )
        if problems:
            refuse(
                f"Not starting: {len(self.problems)} problem(s) in the environment. docs/environment.md lists every variable.",
                problems,
            )
        super().seal()


def check_direct(env: Environment, *, pages: dict[str, Any] | None, direct: dict[str, Any] | None) -> None:
    """Refuse a pooler alone: a dump through one leaves settings on its connections, and the site finds no table from then on.

    Args:
        env: what the values were read from, and what refuses. One that is malformed is None.
        pages: the settings of the database at DATABASE_URL.
        direct: those of the one at DATABASE_DIRECT_URL, where commands go; empty without one.
    """
    if pages is None or direct is None:
        return
    if not direct and pages.get("DISABLE_SERVER_SIDE_CURSORS"):
        env.problem(
            DATABASE_DIRECT_URL="not set. DATABASE_URL is a pooler's (disable_server_side_cursors), and migrate, backup and restore "
            "must go past it. Write the database's own URL here"
        )
    elif direct and direct["ENGINE"] != pages["ENGINE"]:
        env.problem(
            DATABASE_DIRECT_URL="the database is of another kind than the one at DATABASE_URL. Write the same one's URL"
        )
    elif direct and direct.get("DISABLE_SERVER_SIDE_CURSORS"):
        env.problem(
            DATABASE_DIRECT_URL="is a pooler's too (disable_server_side_cursors). Write the database's own URL here"
        )


def keep_paths_apart(
    env: Environment,
    *,
    static: Path,
    media: Path | None,
    backups: Path | None,
    log: str | None,
    database: dict[str, Any] | None,
) -> None:
    """Refuse a path inside another one where its files would be served, overwritten or deleted.

    Args:
        env: what the values were read from, and what refuses. One that is missing or malformed is None.
        static: STATIC_ROOT. The site gives out all that is in it.
        media: MEDIA_ROOT. The site gives out all that is in it, and `cleanup` deletes what no row names.
        backups: BACKUP_DIR. `restore` takes the newest file in it that is called like a backup.
        log: LOG_FILE.
        database: the settings of the database at DATABASE_URL, which may be a file.
    """
    sqlite = database is not None and database["ENGINE"].endswith("sqlite3") and database["NAME"] != ":memory:"
    file = Path(database["NAME"]) if sqlite and database else None
    log_file = Path(log) if log else None
    shown = "whose files visitors can read"
    for name, inner, outer_name, outer, why in (
        ("MEDIA_ROOT", media, "STATIC_ROOT", static, "from which a page could load an upload as a script"),
        ("BACKUP_DIR", backups, "STATIC_ROOT", static, shown),
        ("LOG_FILE", log_file, "STATIC_ROOT", static, shown),
        ("DATABASE_URL", file, "STATIC_ROOT", static, shown),
        ("BACKUP_DIR", backups, "MEDIA_ROOT", media, f"{shown} and `cleanup` deletes"),
        ("LOG_FILE", log_file, "MEDIA_ROOT", media, f"{shown} and `cleanup` deletes"),
        ("DATABASE_URL", file, "MEDIA_ROOT", media, f"{shown} and `cleanup` deletes"),
    ):
        if inner and outer and inner.resolve().is_relative_to(outer.resolve()):
            env.problem(**{name: f"the path is in {outer_name}, {why}. Choose one outside it"})
    if media and backups and backups.resolve() in media.resolve().parents:
        env.problem(MEDIA_ROOT="the path is in BACKUP_DIR, where an upload could be taken for a backup. Choose another")
    if media and BASE_DIR.resolve().is_relative_to(media.resolve()):
        env.problem(MEDIA_ROOT="this folder holds the project itself, which would be shown and deleted. Choose another")
    if file and log_file and file.resolve() == log_file.resolve():
        env.problem(LOG_FILE="the path is that of the database. Choose another")


def redis_database(url: str | None) -> tuple[str, int, int] | None:
    """Return the host, port and number of the Redis database at a URL; None if it is not Redis."""
    parts = urlsplit(url or "")
    if parts.scheme not in ("redis", "rediss"):
        return None
    number = parse_qs(parts.query).get("db", [parts.path.strip("/")])[0]
    host = (parts.hostname or "").lower()
    return "localhost" if host in LOCAL else host, parts.port or 6379, int(number) if number.isdecimal() else 0


def keep_redis_apart(env: Environment, *, cache: str | None, broker: str | None) -> None:
    """Refuse one Redis database for both cache and broker: clearing the cache would delete all waiting tasks.

    Args:
        env: what the values were read from, and what refuses.
        cache: CACHE_URL.
        broker: CELERY_BROKER_URL.
    """
    if cache and redis_database(cache) == redis_database(broker):
        env.problem(
            CACHE_URL="the Redis database is the one of CELERY_BROKER_URL, and clearing the cache would delete all tasks that wait. "
            "Choose another number behind the last /"
        )


@contextmanager
def refused_without_database() -> Iterator[None]:
    """Let a command of manage.py say in a line that there is no database, where an error of its own comes from that.

    Raises:
        SystemExit: with code 3, if the database cannot be connected to. Any other error is raised as it is.
    """
    # Not at the top: settings are read by then, which what only reads `.env` does without.
    from django.db import Error, connection

    try:
        yield
    except Error:
        # The command's own may be in the middle of a transaction.
        other = connection.copy()
        try:
            other.ensure_connection()
        except Error as error:
            # The driver's message has the host and the user, but no password.
            reason = " ".join(str(error).split())
        else:
            other.close()
            raise
        refuse("Not done: the database cannot be connected to.", [f"DATABASE_URL: {reason}"])


def refuse_without_manifest() -> None:
    """End the process, when a server starts, if it lacks what a build does without.

    That is the manifest by which production's pages name static files, which `collectstatic` makes, and a database that is not in memory.

    Raises:
        SystemExit: with code 3.
    """
    # Settings are read by then, which a command that only refuses does without.
    from django.contrib.staticfiles.storage import ManifestFilesMixin, staticfiles_storage
    from django.db import connection

    if not isinstance(staticfiles_storage, ManifestFilesMixin):
        return
    reasons, problems = [], []
    if connection.settings_dict["NAME"] == ":memory:":
        reasons.append("the database is in memory, where each process has an empty one of its own")
        problems.append(f"DATABASE_URL: name a database that stays. {parsers.EXAMPLES['DATABASE_URL']}")
    if staticfiles_storage.read_manifest() is None:
        reasons.append("the static files are not collected, and no page could name its style sheet")
        problems.append("Run: python manage.py collectstatic --noinput")
    if problems:
        refuse(f"Not starting: {', and '.join(reasons)}.", problems)

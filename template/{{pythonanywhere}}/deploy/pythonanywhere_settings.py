"""Check that a release's settings are valid here and its database answers, and print what a deploy needs to know.

The deploy script runs it in the release's folder, with the release's Python and `.env`.

Exit codes: 0, and a line of JSON; 3, a value in `.env` is wrong; 1, the code is wrong. Standard error then says what is
wrong.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

from dotenv import dotenv_values

RELEASE = Path.cwd()
sys.path.insert(0, str(RELEASE))
PRODUCTION = "config.settings.production"
os.environ.setdefault("DJANGO_SETTINGS_MODULE", PRODUCTION)


def main() -> int:
    """Check, and return the exit code."""
    # Import these here: sys.path must be set first, and `.env` must be loaded before Django's settings.
    from operations.environment import REFUSED, load_dotenv

    load_dotenv()
    import django

    # If a variable is missing or malformed, this ends the process and prints one line for each.
    django.setup()
    from django.conf import settings
    from django.core.management import CommandError, call_command

    code = 0
    try:
        call_command("check", verbosity=0)
    except CommandError as error:
        print(f"  {error}", file=sys.stderr)
        code = 1
    for problem in [*misplaced(settings), *unreachable()]:
        print(f"  {problem}", file=sys.stderr)
        code = REFUSED
    urls = {"static_url": settings.STATIC_URL, "media_url": settings.MEDIA_URL}
    print(json.dumps({"domain": settings.ALLOWED_HOSTS[0], **urls, "processes": processes(settings)}))
    return code


def processes(settings: Any) -> list[str]:
    """Return the processes that must always run besides the web app, as arguments of Python in the release's folder."""
    from django.tasks import task_backends

    found = ["manage.py worker"] if hasattr(task_backends["default"], "work") else []
    if hasattr(settings, "CELERY_BEAT_SCHEDULE"):
        found.append("-m celery --quiet --app config.celery beat")
    return found


def misplaced(settings: Any) -> list[str]:
    """Return problems with settings that work elsewhere, but lose data or visitors here."""
    problems = []
    if dotenv_values(RELEASE / ".env", interpolate=False).get("DJANGO_SETTINGS_MODULE") != PRODUCTION:
        # The WSGI file sets it for the web server, but consoles and scheduled tasks would use development settings.
        problems.append(f"DJANGO_SETTINGS_MODULE: must be {PRODUCTION} in .env")
    if settings.ALLOWED_HOSTS[0].startswith("."):
        problems.append("ALLOWED_HOSTS: its first host must be the web app's own, like todolist.pythonanywhere.com")
    database = settings.DATABASES["default"]
    if database["ENGINE"].endswith("sqlite3"):
        if Path(database["NAME"]).resolve().is_relative_to(RELEASE):
            problems.append(
                "DATABASE_URL: the file would be lost with this release. Write its whole path, sqlite:////…"
            )
        if "WAL" in database["OPTIONS"].get("init_command", "").upper():
            problems.append(
                "DATABASE_URL: SQLite's WAL is not safe on a network disk, and your home is on one."
                " End it in ?init_command=PRAGMA%20journal_mode%3DDELETE"
            )
    for name in ("LOG_FILE", "BACKUP_DIR", "MEDIA_ROOT"):
        path = os.environ.get(name)
        if path and Path(path).resolve().is_relative_to(RELEASE.parent):
            problems.append(f"{name}: it would be lost with its release. Write a path outside of releases/")
    return problems


def unreachable() -> list[str]:
    """Return why the database cannot be used; an empty list if it can."""
    from django.db import Error, NotSupportedError, connection

    try:
        connection.ensure_connection()
    except NotSupportedError as error:
        return [
            f"DATABASE_URL: {error}. Take a newer server: ask the platform's support for one, name one of another"
            " provider in DATABASE_URL, or answer `sqlite` at the template's question (docs/troubleshooting.md)"
        ]
    except Error as error:
        # The driver's message has the host and the user, but no password.
        return [f"DATABASE_URL: the database does not answer: {' '.join(str(error).split())}"]
    return []


if __name__ == "__main__":
    sys.exit(main())

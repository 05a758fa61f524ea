"""Prepare an existing project to follow the template: docs/adopting.md. Runs with that project's own Python and Django.

python ../copier-django/scripts/adopt.py check                      lists what prevents the move, and what to change
python ../copier-django/scripts/adopt.py save                       writes the data, then moves the SQLite file away
python ../copier-django/scripts/adopt.py save --rename accounts=members
python ../copier-django/scripts/adopt.py ignore                     puts .gitignore's old lines below the new ones
"""

import argparse
import io
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import django
from django.apps import AppConfig, apps
from django.conf import settings
from django.core.management import call_command
from django.db import models, transaction
from django.db.models.functions import Lower
from django.urls import URLPattern, URLResolver, get_resolver

PROJECT = Path.cwd()
TEMPLATE = Path(__file__).resolve().parents[1] / "template"
NEEDS = (6, 1)

DATA, OLD_DATABASE = PROJECT.parent / "data.json", PROJECT.parent / "old.sqlite3"
# Models whose rows are not saved: Django creates them again, or they have no value in another database.
LEFT_OUT = ["contenttypes", "auth.permission", "sessions", "admin.logentry"]

OUR_LABELS = {"account", "accounts", "assistant", "operations", "pages"}
OUR_FOLDERS = {"apps", "operations", "smoke"}
# The URLs of a fresh project, written as Django's routes. One that ends with a slash includes all URLs below it.
OUR_ROUTES = ("accounts/", "admin/", "assistant/", "media/", "favicon.ico", "health/", "ready/", "tasks/answer/")
OUR_USER = {
    *("id", "password", "last_login", "is_superuser", "first_name", "last_name", "email", "is_staff", "is_active"),
    *("date_joined", "groups", "user_permissions"),
}

# Files that tools would still read beside the template's files or instead of them, and what to do with each.
IN_THE_WAY = {
    "uv.lock": "delete it: `uv sync` writes a new one",
    "poetry.lock": "delete it: uv.lock takes its place",
    "Pipfile": "`uv add` its packages, then delete it",
    "Pipfile.lock": "delete it: uv.lock takes its place",
    "requirements*.txt": "`uv add` its packages, then delete it: platforms install from it instead of uv.lock",
    "requirements/*.txt": "`uv add` its packages, then delete it",
    "setup.py": "`uv add` its packages, then delete it",
    "setup.cfg": "move what is still needed to pyproject.toml, then delete it",
    "runtime.txt": "delete it: .python-version takes its place",
    "pytest.ini": "delete it: pytest would not read pyproject.toml",
    "tox.ini": "delete it: pytest may read it instead of pyproject.toml",
    ".flake8": "delete it: ruff takes its place",
    ".isort.cfg": "delete it: ruff takes its place",
    "mypy.ini": "delete it: mypy would not read pyproject.toml",
    ".coveragerc": "delete it: coverage would not read pyproject.toml",
    "ruff.toml": "delete it: ruff would not read pyproject.toml",
    ".env": "rename its variables as in docs/environment.md",
    "**/local_settings.py": "move what it has to the environment, then delete it",
    "env": "delete it: uv makes .venv",
    "venv": "delete it: uv makes .venv",
}
# Patterns of code that must be changed, by the file's suffix, and what to write instead.
TO_CHANGE: dict[str, dict[str, str]] = {
    ".py": {
        r"from django\.contrib\.auth\.models import .*\bUser\b": "from apps.accounts.models import User",
        r"\bto=['\"]auth\.User['\"]|['\"]auth\.User['\"]": "settings.AUTH_USER_MODEL",
        r"\.create_(super)?user\(": "create_user(email, password): there is no user name",
        r"\busername\b": "email: there is no user name",
        r"\b(reverse|reverse_lazy|redirect|resolve_url)\(\s*['\"](login|logout|password_\w+)['\"]": "account_login and so on",
        r"/accounts/login/|LOGIN_URL": "/accounts/login/, the same with allauth; LOGIN_URL is account_login",
    },
    ".html": {
        r"\{% url ['\"](login|logout|password_\w+)['\"]": "account_login, account_logout, account_change_password, …",
        r"\busername\b": "email: there is no user name",
        r"<script(?![^>]*\b(src|type=\"application/json\")\b)|\son\w+=\"|javascript:": "inline script: a file in static/, or a nonce",
        r"<style|\sstyle=\"": "inline style: a file in static/",
        r"<(script|link|img|iframe|form)[^>]*(src|href|action)=\"(https?:)?//": "another origin: SECURE_CSP",
    },
}


def git(*arguments: str) -> list[str]:
    """Return the lines that git prints; an empty list if it fails."""
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    return done.stdout.splitlines()


def set_up() -> None:
    """Set up Django with the settings that the project's manage.py names.

    Raises:
        SystemExit: it cannot be loaded.
    """
    named = re.search(r"['\"]DJANGO_SETTINGS_MODULE['\"],\s*['\"]([\w.]+)['\"]", Path("manage.py").read_text())
    if named:
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", named[1])
    sys.path.insert(0, str(PROJECT))
    try:
        django.setup()
    except Exception as error:  # noqa: BLE001 - settings are code, which may raise anything
        sys.exit(f"The project cannot be checked, because Django does not start: {type(error).__name__}: {error}")


def own_apps() -> list[AppConfig]:
    """Return the apps that are in the project's folder, without those in a virtual environment inside it."""
    return [app for app in apps.get_app_configs() if is_own(app.path)]


def is_own(path: str) -> bool:
    """Return True for a file or folder that is the project's own."""
    return Path(path).is_relative_to(PROJECT) and "site-packages" not in Path(path).parts


def cannot_come() -> Iterator[str]:
    """Yield the reasons why the project cannot follow the template as it is."""
    if not git("rev-parse", "--git-dir"):
        yield "it is not a git repository: git init, git add --all, git commit"
    elif changes := git("status", "--porcelain"):
        yield f"not everything is committed: {', '.join(line[3:] for line in changes[:5])}"
    if django.VERSION[:2] < NEEDS:
        yield f"it runs on Django {django.get_version()}: upgrade it to Django {'.'.join(map(str, NEEDS))} first"
    if len(settings.DATABASES) > 1:
        yield f"it has {len(settings.DATABASES)} databases, and `save` writes one: {', '.join(settings.DATABASES)}"
    for folder in sorted(OUR_FOLDERS):
        if any(app.path == str(PROJECT / folder) for app in own_apps()) or (PROJECT / f"{folder}.py").exists():
            yield f"{folder} is a folder of the template's: rename yours"
    user = user_model()
    if not isinstance(user._meta.pk, models.IntegerField):
        yield f"{user._meta.label} has {user._meta.pk} for a key, and apps.accounts.User a number"
    if "email" not in {field.name for field in user._meta.fields}:
        yield f"{user._meta.label} has no field `email`, which people log in with"


def user_model() -> Any:
    """Return the project's user model."""
    return apps.get_model(settings.AUTH_USER_MODEL)


def accounts_without() -> Iterator[str]:
    """Yield the accounts that cannot be saved: each needs an email address that no other has.

    Raises:
        django.db.Error: the database cannot be read.
    """
    user = user_model()
    if "email" not in {field.name for field in user._meta.fields}:
        return
    name = user.USERNAME_FIELD
    if nameless := list(user._base_manager.filter(email="").values_list(name, flat=True)):
        yield f"these accounts have no email address: {nameless}"
    counts = Counter(address.lower() for address in user._base_manager.values_list("email", flat=True) if address)
    if twice := sorted(address for address, count in counts.items() if count > 1):
        yield f"these email addresses have several accounts: {twice}"


def clashes(app: AppConfig) -> bool:
    """Return True if an app has rows, other than accounts, under a label that one of the template's apps uses."""
    return app.label in OUR_LABELS and any(model != user_model() for model in app.get_models())


def labels() -> Iterator[str]:
    """Yield the apps whose label is one of the template's."""
    for app in own_apps():
        if app.label in OUR_LABELS:
            rename = f", and save with --rename {app.label}=NEW" if clashes(app) else ""
            yield f"app {app.name}: the template has an app {app.label!r}. Move yours to another folder and label{rename}"


def user_fields() -> Iterator[str]:
    """Yield the user model's fields that the template's user model lacks."""
    user = user_model()
    fields = {field.name for field in user._meta.get_fields() if not field.auto_created or field.concrete}
    if more := sorted(fields - OUR_USER - {"username"}):
        yield f"{user._meta.label} becomes accounts.User, which has fewer fields: add to apps/accounts/models.py, before `loaddata`: {', '.join(more)}"


def keys() -> Iterator[str]:
    """Yield the apps whose primary keys have another type than the template's DEFAULT_AUTO_FIELD."""
    for app in own_apps():
        found = {type(model._meta.pk).__name__ for model in app.get_models() if model._meta.auto_field}
        if found - {"BigAutoField"}:
            yield f'app {app.name}: in its AppConfig, default_auto_field = "django.db.models.{found.pop()}", or `makemigrations`'


def routes(resolver: URLResolver | None = None, before: str = "") -> Iterator[tuple[str, URLPattern]]:
    """Yield each URL of the project, and its view."""
    for pattern in (resolver or get_resolver()).url_patterns:
        route = before + str(pattern.pattern).lstrip("^")
        if isinstance(pattern, URLResolver):
            # Both projects have Django's admin at /admin/, so it is no clash.
            if pattern.app_name != "admin":
                yield from routes(pattern, route)
        else:
            yield route, pattern


def shadowed_routes() -> Iterator[str]:
    """Yield the project's URLs that the template's URLs hide, since those are matched first."""
    for route, pattern in routes():
        answers = pattern.lookup_str
        clash = route in {"", "$"} or any(route.startswith(ours) for ours in OUR_ROUTES)
        if clash and not answers.startswith(("allauth.", "django.contrib.auth.views.")):
            yield f"/{route.rstrip('$')} ({answers})"


def shadowed_templates() -> Iterator[str]:
    """Yield the apps' templates that a file in the template's templates/ hides."""
    ours = {str(file.relative_to(TEMPLATE / "templates")) for file in (TEMPLATE / "templates").rglob("*.html")}
    for app in own_apps():
        for name in sorted(ours):
            if (Path(app.path) / "templates" / name).exists():
                yield str((Path(app.path) / "templates" / name).relative_to(PROJECT))


def in_the_way() -> Iterator[str]:
    """Yield files that tools would still read beside the template's files or instead of them."""
    for pattern, advice in IN_THE_WAY.items():
        for found in sorted(PROJECT.glob(pattern)):
            if is_own(str(found)) and not {"node_modules", ".venv", "venv", "env"} & set(found.parts[:-1]):
                yield f"{found.relative_to(PROJECT)}: {advice}"


def to_change() -> Iterator[str]:
    """Yield the lines of code that must be changed."""
    for end, patterns in TO_CHANGE.items():
        texts = {
            name: Path(name).read_text(errors="replace") for name in git("ls-files", f"*{end}") if Path(name).is_file()
        }
        for pattern, advice in patterns.items():
            counts = {name: len(re.findall(pattern, text)) for name, text in texts.items()}
            where = [f"{name} ({count})" for name, count in counts.items() if count]
            if where:
                more = f" and {len(where) - 4} more" if len(where) > 4 else ""
                yield f"{advice}\n      {', '.join(where[:4])}{more}"


def check() -> None:
    """Print what prevents the move, and what to change for it.

    Raises:
        SystemExit: with code 1, if the project cannot be moved as it is.
    """
    set_up()
    reasons = [*cannot_come(), *accounts_without()]
    told("This project cannot come as it is", reasons)
    told("Names that clash: rename them first", [*labels(), *user_fields(), *keys()])
    told("URLs that the template's URLs hide: move yours above them in config/urls.py", shadowed_routes())
    told("Templates that the template's files hide: rename yours", shadowed_templates())
    told("Files in the way", in_the_way())
    told("Code to change once it has moved", to_change())
    if reasons:
        sys.exit(1)


def say(text: str) -> None:
    """Print text."""
    sys.stdout.write(f"{text}\n")


def told(title: str, lines: Iterator[str] | list[str]) -> None:
    """Print a list under its title, if there is anything in it."""
    if found := list(lines):
        say("\n".join([f"{title}:", *(f"  - {line}" for line in found), ""]))


def save(renamed: dict[str, str]) -> None:
    """Write the data in the form that the new project loads, and only then move the SQLite file away.

    Args:
        renamed: the new label of each app that gets another one.

    Raises:
        SystemExit: it cannot be saved; nothing was moved or written.
    """
    set_up()
    reasons = [*cannot_come(), *accounts_without()]
    reasons += [f"there is a {path} already" for path in (DATA, OLD_DATABASE) if path.exists()]
    reasons += [
        f"save with --rename {app.label}=NEW" for app in own_apps() if clashes(app) and app.label not in renamed
    ]
    if reasons:
        told("Nothing was saved", reasons)
        sys.exit(1)
    user, out = user_model(), io.StringIO()
    with transaction.atomic():
        # All changes to the database are rolled back: only the file with the data is written.
        user._base_manager.update(**dict.fromkeys(("email", user.USERNAME_FIELD), Lower("email")))
        call_command("dumpdata", natural_foreign=True, exclude=LEFT_OUT, stdout=out)
        transaction.set_rollback(True)
    rows = [moved(row, renamed) for row in json.loads(out.getvalue())]
    DATA.write_text(json.dumps(rows))
    say(f"Saved {len(rows)} rows in {DATA}.")
    database = settings.DATABASES["default"]
    file = PROJECT / str(database["NAME"])
    if database["ENGINE"].endswith("sqlite3") and file.is_relative_to(PROJECT) and file.exists():
        file.rename(OLD_DATABASE)
        say(f"Moved {file.name} to {OLD_DATABASE}.")


def moved(row: dict[str, Any], renamed: dict[str, str]) -> dict[str, Any]:
    """Return a row with the names that the new project uses."""
    user = user_model()._meta
    names = {f"{user.app_label}.{user.model_name}": "accounts.user"}

    def new_name(label: str, model: str) -> str:
        return names.get(f"{label}.{model}") or f"{renamed.get(label, label)}.{model}"

    row["model"] = new_name(*row["model"].split("."))
    if row["model"] == "accounts.user":
        row["fields"].pop("username", None)
    # A content type's natural key is its label and model. A permission's is its codename and its content type's.
    text = json.dumps(row["fields"])
    for model in apps.get_models():
        old = (model._meta.app_label, model._meta.model_name)
        if new_name(*old) != ".".join(old):
            text = text.replace(f'"{old[0]}", "{old[1]}"]', '"{}", "{}"]'.format(*new_name(*old).split(".")))
    row["fields"] = json.loads(text)
    return row


def ignore() -> None:
    """Append to the template's .gitignore the lines that the project's old one had."""
    file = PROJECT / ".gitignore"
    now = file.read_text().splitlines()
    own = [line for line in git("show", "HEAD:.gitignore") if line.strip() and line not in now]
    if own:
        file.write_text("\n".join([*now, "", "# The project's own.", *own, ""]))
    say(f"Kept {len(own)} lines of your .gitignore.")


def main() -> None:
    """Run the command that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["check", "save", "ignore"])
    parser.add_argument("--rename", metavar="OLD=NEW", action="append", default=[], help="an app gets another label")
    arguments = parser.parse_args()
    if not Path("manage.py").exists():
        sys.exit("Run this in the project's folder, where manage.py is.")
    if arguments.command == "check":
        check()
    elif arguments.command == "save":
        save(dict(each.split("=", 1) for each in arguments.rename))
    else:
        ignore()


if __name__ == "__main__":
    main()

"""`manage.py newapp todo`: create an app that works, and add it to the project.

Django's own `startapp` creates an empty app, and remains as it is.
"""

import keyword
import re
import secrets
import shutil
import subprocess
import sys
from argparse import ArgumentParser
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.urls import Resolver404, resolve

# The line below which the lists in these files are the project's own: `copier update` changes nothing there.
MARKER = "    # The project's own, apart from those that `copier update` changes."
SETTINGS, URLS = "config/settings/base.py", "config/urls.py"

NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
# The tables' names contain it, and PostgreSQL cuts names at 63 letters.
LONGEST = 40
# Windows has no files of these names.
WINDOWS = re.compile(r"con|prn|aux|nul|com\d|lpt\d")

# The app's files. APP is its name, CLASS its name in camel case, TITLE its name in words, and IMPORTS are sorted.
FILES = {
    "apps/APP/__init__.py": "",
    "apps/APP/apps.py": """from django.apps import AppConfig


class CLASSConfig(AppConfig):
    name = "apps.APP"
""",
    "apps/APP/models.py": """from django.conf import settings
from django.db import models


class Item(models.Model):
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="APP_items")
    name = models.CharField(max_length=200)

    def __str__(self) -> str:
        return self.name
""",
    "apps/APP/migrations/__init__.py": "",
    "apps/APP/admin.py": """from django.contrib import admin

from apps.APP.models import Item


@admin.register(Item)
class ItemAdmin(admin.ModelAdmin):
    list_display = ["name", "owner"]
""",
    "apps/APP/views.py": """from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render

IMPORTS


@login_required
def index(request: MemberRequest) -> HttpResponse:
    return render(request, "APP/index.html", {"items": Item.objects.filter(owner=request.user)})
""",
    "apps/APP/urls.py": """from django.urls import path

from apps.APP import views

app_name = "APP"
urlpatterns = [path("", views.index, name="index")]
""",
    "apps/APP/seed.py": '''"""Rows for development: `make seed`."""

from collections.abc import Sequence
from typing import Any

from apps.APP.models import Item


def seed(members: Sequence[Any]) -> None:
    for member in members:
        for name in ("First", "Second"):
            Item.objects.get_or_create(owner=member, name=f"{name} of {member}")
''',
    "templates/APP/index.html": """{% extends "base.html" %}
{% block head_title %}
  TITLE
{% endblock head_title %}
{% block content %}
  <h1>TITLE</h1>
  <ul>
    {% for item in items %}<li>{{ item }}</li>{% endfor %}
  </ul>
{% endblock content %}
""",
    "tests/test_APP.py": """from django.contrib.auth import get_user_model
from django.urls import reverse

from apps.APP.models import Item
from apps.APP.seed import seed


def test_members_see_their_own_items_and_nobody_elses(member_client, member):
    Item.objects.create(owner=get_user_model().objects.create_user("other@example.com"), name="Not mine")
    Item.objects.create(owner=member, name="Mine")
    answer = member_client.get(reverse("APP:index"))
    assert "Mine" in answer.text
    assert "Not mine" not in answer.text


def test_visitors_must_log_in(client):
    assert client.get(reverse("APP:index")).status_code == 302


def test_seeding_again_adds_nothing(member):
    seed([member])
    seed([member])
    assert Item.objects.count() == 2
""",
}


class Command(BaseCommand):
    """Create an app with a model, a page, its admin, a test and a migration."""

    help = "Creates an app that works, with a model, a page, its admin, a test and a migration, and adds it to the project."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the app's name."""
        parser.add_argument("name", help="The app's name, such as todo.")

    def handle(self, *_: Any, name: str, **__: Any) -> None:
        """Create the app, or change nothing.

        Raises:
            CommandError: an app cannot have this name, or it could not be added to the project.
        """
        if reason := refusal(name):
            raise CommandError(f"Nothing was changed: {reason}. Choose another name, like: make app NAME=todo_list")
        create(name)
        self.stdout.write(
            f"Created apps/{name}/, templates/{name}/ and tests/test_{name}.py.\n"
            f"Next: uv run python manage.py migrate (`make dev` does it when it starts); the page is /{prefix(name)}/\n"
        )


def refusal(name: str) -> str:
    """Return why no app can have a name; empty if one can."""
    if not NAME.fullmatch(name) or len(name) > LONGEST:
        return f"{name!r} is no name of an app: use a-z, 0-9 and single _, a letter first, {LONGEST} at most"
    if keyword.iskeyword(name):
        return f"{name} is a word of Python's own"
    if WINDOWS.fullmatch(name):
        return f"Windows has no files called {name}"
    if any(name == config.label for config in apps.get_app_configs()):
        return f"{name} is taken by an app in INSTALLED_APPS"
    places = [f"apps/{name}", f"apps/{name}.py", f"templates/{name}", f"tests/test_{name}.py"]
    if there := [place for place in places if (settings.BASE_DIR / place).exists()]:
        return f"{name} is taken: there is {there[0]}"
    if find_spec(name):
        return f"{name} is the name of a Python module, or of a folder here"
    path = f"/{prefix(name)}/"
    # A pattern that any path fits, such as a CMS's, stays below the new one.
    if path in ("/health/", "/ready/") or route(path) not in (None, route(f"/{secrets.token_hex(8)}/")):
        return f"{name} is taken: there is a page at {path}"
    return ""


def prefix(name: str) -> str:
    """Return the first part of an app's URLs."""
    return name.replace("_", "-")


def route(path: str) -> str | None:
    """Return the pattern that a path leads to; None if there is none."""
    with suppress(Resolver404):
        return resolve(path).route
    return None


def create(name: str) -> None:
    """Write an app's files, add it to the project, and make its migration; undo all of it if a step fails.

    Raises:
        CommandError: a step failed.
    """
    base: Path = settings.BASE_DIR
    new = {file.replace("APP", name): fill(text, name) for file, text in FILES.items()}
    before = {file: (base / file).read_bytes() for file in (SETTINGS, URLS)}
    changed = {
        SETTINGS: with_line(SETTINGS, before[SETTINGS], f'    "apps.{name}",'),
        URLS: with_line(URLS, before[URLS], f'    path("{prefix(name)}/", include("apps.{name}.urls")),'),
    }
    try:
        for file, text in new.items():
            (base / file).parent.mkdir(parents=True, exist_ok=True)
            (base / file).write_text(text, encoding="utf-8", newline="\n")
        # Last, because a development server that runs loads the project again.
        for file, content in changed.items():
            (base / file).write_bytes(content)
        migration(name)
    except BaseException as error:
        for file, content in before.items():
            (base / file).write_bytes(content)
        for folder in (f"apps/{name}", f"templates/{name}"):
            shutil.rmtree(base / folder, ignore_errors=True)
        (base / f"tests/test_{name}.py").unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise CommandError(f"Nothing was changed: {error}") from error
        raise


def fill(text: str, name: str) -> str:
    """Return a file's text for an app."""
    imports = sorted(["from apps.accounts.views import MemberRequest", f"from apps.{name}.models import Item"])
    words = name.split("_")
    for key, value in {
        "IMPORTS": "\n".join(imports),
        "TITLE": " ".join(words).capitalize(),
        "CLASS": "".join(word.capitalize() for word in words),
        "APP": name,
    }.items():
        text = text.replace(key, value)
    return text


def with_line(file: str, content: bytes, line: str) -> bytes:
    """Return a file's content with a line below the marker.

    Raises:
        CommandError: the marker is not there, or more than once.
    """
    parts = re.split(rf"(?m)^({re.escape(MARKER)}(\r?\n))", content.decode())
    if len(parts) != 4:
        raise CommandError(f"Nothing was changed: {file} needs this line once, at the end of its list:\n{MARKER}")
    above, marker, end, below = parts
    return f"{above}{marker}{line}{end}{below}".encode()


def migration(name: str) -> None:
    """Let Django write the app's migration, in a process that loads the project with the app. Django checks all of it first.

    Raises:
        CommandError: the project does not work with the app.
    """
    command = [sys.executable, "manage.py", "makemigrations", name, "--verbosity=0", "--no-input"]
    done = subprocess.run(  # noqa: S603 - the name has been checked
        command, cwd=settings.BASE_DIR, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise CommandError(f"{done.stderr.strip()}\n\nNothing was changed, because the app leads to this error.")

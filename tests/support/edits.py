"""Make an owner's changes to a project; they apply to projects of any release."""

import json
import re
from collections.abc import Callable
from pathlib import Path

from tests.support.faults import text, without

Edit = Callable[[Path], object]

APP = {
    "apps/todo/__init__.py": "",
    "apps/todo/apps.py": '''"""Things to do."""

from django.apps import AppConfig


class TodoConfig(AppConfig):
    """Things to do."""

    name = "apps.todo"
''',
    "apps/todo/models.py": '''"""Things to do."""

from django.conf import settings
from django.db import models


class Task(models.Model):
    """A thing to do."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    name = models.CharField(max_length=100)

    def __str__(self) -> str:
        """What is to be done."""
        return self.name
''',
    "apps/todo/migrations/__init__.py": "",
    "apps/todo/migrations/0001_initial.py": """import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Task",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=100)),
                (
                    "owner",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to=settings.AUTH_USER_MODEL),
                ),
            ],
        ),
    ]
""",
    "apps/todo/urls.py": '''"""Addresses of things to do."""

from django.urls import path

from apps.todo import views

urlpatterns = [path("", views.tasks, name="tasks")]
''',
    "apps/todo/views.py": '''"""Pages of things to do."""

from django.http import HttpRequest, HttpResponse

from apps.todo.models import Task


def tasks(_request: HttpRequest) -> HttpResponse:
    """All that is to be done."""
    return HttpResponse("\\n".join(str(task) for task in Task.objects.all()), content_type="text/plain")
''',
    "apps/todo/tests.py": '''"""Things to do are shown."""

import pytest
from django.test import Client

from apps.accounts.models import User
from apps.todo.models import Task


@pytest.mark.django_db
def test_tasks_are_shown(client: Client) -> None:
    Task.objects.create(owner=User.objects.create_user("owner@example.com"), name="Update")
    assert client.get("/todo/").text == "Update"
''',
}

# An owner's field on the template's model, with its migration.
NICKNAME_MIGRATION = """from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="user",
            name="nickname",
            field=models.CharField(blank=True, db_default="", max_length=50),
        ),
    ]
"""


def added(files: dict[str, str]) -> Edit:
    """Add new files."""

    def change(project: Path) -> None:
        for name, content in files.items():
            assert not (project / name).exists(), f"{name} has become the template's"
            (project / name).parent.mkdir(parents=True, exist_ok=True)
            (project / name).write_text(content)

    return change


def behind(name: str, line: str, new: str) -> Edit:
    """Add a line after another one."""
    return text(name, f"{line}\n", f"{line}\n{new}\n")


def appended(name: str, line: str) -> Edit:
    """Append a line to a file."""

    def change(project: Path) -> None:
        with (project / name).open("a") as file:
            file.write(f"{line}\n")

    return change


def known(**values: object) -> Edit:
    """Describe the site to the smoke suite in its table of pyproject.toml: `known(admin="/office/")`."""

    def change(project: Path) -> None:
        before, head, table = (project / "pyproject.toml").read_text().partition("\n[tool.smoke.site]\n")
        for key, value in values.items():
            # TOML separates keys from values by =, not by a colon.
            new = json.dumps(value).replace('": ', '" = ')
            found = re.search(rf"(?m)^{key} = .*$", table)
            assert found, f"{key} is none of the keys"
            table = f"{table[: found.start()]}{key} = {new}{table[found.end() :]}"
        (project / "pyproject.toml").write_text(before + head + table)

    return change


# Places below the comments with which the template marks the project's own part of a file.
IN_LISTS: tuple[Edit, ...] = (
    behind(
        "pyproject.toml",
        "    # The project's own: `uv add` puts them here, apart from those that `copier update` changes.",
        '    "idna>=3,<4",',
    ),
    behind("pyproject.toml", "    # The project's own: `uv add --dev` puts them here.", '    "iniconfig>=2,<3",'),
    behind(
        "config/settings/base.py",
        "    # The project's own, apart from those that `copier update` changes.",
        '    "django.contrib.humanize",',
    ),
    behind(
        "config/urls.py",
        "    # The project's own, apart from those that `copier update` changes.",
        '    path("hello/", include([])),',
    ),
)
# Edits in these places, and at the ends of files.
APART: tuple[Edit, ...] = (
    *IN_LISTS,
    appended("Makefile", "\nhello: ## Say hello\n\techo hello"),
    appended(".env.example", "# GREETING=hello"),
    appended(".gitignore", "/hello.txt"),
    appended("README.md", "\nHello."),
)

# Edits outside the platform's shell, which updates and switches keep.
OF_THE_PROJECT: tuple[Edit, ...] = (
    added(APP),
    behind("config/settings/base.py", '    "apps.pages",', '    "apps.todo",'),
    behind(
        "config/urls.py", '    path("", include("apps.pages.urls")),', '    path("todo/", include("apps.todo.urls")),'
    ),
    added({"apps/accounts/migrations/0002_user_nickname.py": NICKNAME_MIGRATION}),
    behind(
        "apps/accounts/models.py",
        '    email = models.EmailField(_("email address"), unique=True)',
        '    nickname = models.CharField(max_length=50, blank=True, db_default="")',
    ),
    text("config/settings/base.py", 'TIME_ZONE = "UTC"', 'TIME_ZONE = "Europe/Vienna"'),
    appended("templates/pages/home.html", "{# What is there to do? #}"),
    behind("pyproject.toml", '    "python-json-logger>=4,<5",', '    "six>=1.17,<2",'),
    without("docs/security.md"),
    added({"apps/todo/notes.txt": "Ours.\n"}),
)

# A lock file for a project that is not installed: its content does not matter.
LOCK = added({"uv.lock": "version = 1\n"})

# Edits in the platform's shell, which an update keeps and a switch to another platform deletes.
OF_THE_SHELL: dict[str, Edit] = {
    "heroku": behind(
        "Procfile", "release: python manage.py migrate --noinput", "clock: python manage.py clearsessions"
    ),
    "pythonanywhere": behind(
        "deploy/pythonanywhere_wsgi.py",
        '    environ["wsgi.url_scheme"] = "https"',
        '    environ["HTTP_HOST"] = environ["HTTP_HOST"].lower()',
    ),
    "docker": text("Dockerfile", "EXPOSE 8000", "ENV TZ=Europe/Vienna\nEXPOSE 8000"),
    "gunicorn": behind("deploy/systemd/web.service", "KillMode=mixed", "Nice=5"),
}


# A change that a release may make, to the folder template/: one more field in the user model.
LOCALE: tuple[Edit, ...] = (
    behind(
        "apps/accounts/models.py",
        '    """A person who can log in, by e-mail address and password."""',
        '\n    locale = models.CharField(max_length=50, blank=True, db_default="")',
    ),
    added({"apps/accounts/migrations/0002_user_locale.py": NICKNAME_MIGRATION.replace("nickname", "locale")}),
)


def edit(project: Path, *edits: Edit) -> Path:
    """Apply several edits to a project; return the project."""
    for each in edits:
        each(project)
    return project

"""A project's own tests, types and lint still pass after its owner's ordinary changes."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.edits import added, behind, edit
from tests.support.environments import Environments, project_environment, run
from tests.support.faults import text

Render = Callable[..., Path]
Project = tuple[Path, dict[str, str]]

MODELS = '''"""Pictures."""

from django.db import models


class Picture(models.Model):
    """A picture that somebody has uploaded."""

    file = models.FileField(upload_to="pictures")
    icon = models.FileField(upload_to="icons", blank=True)

    def __str__(self) -> str:
        """Return its name."""
        return str(self.file)
'''
VIEWS = '''"""Pages of the owner's."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from honcho.environ import parse

from apps.accounts.models import User


@login_required
def mine(request: HttpRequest) -> HttpResponse:
    """Show what is the visitor's own."""
    assert request.user.is_authenticated
    found = User.objects.filter(pk=request.user.pk)
    return HttpResponse(f"{found.count()} {parse('A=1')}")
'''
TESTS = '''"""Tests as Django's tutorial writes them."""

from django.test import TestCase


class MineTests(TestCase):
    """Pages of the owner's."""

    def test_a_visitor_must_log_in(self):
        self.assertEqual(self.client.get("/mine/").status_code, 302)
        with self.assertRaises(ValueError):
            int("x")
'''


@pytest.fixture
def project(render: Render, environments: Environments) -> Project:
    """An installed project, and environment variables with its programs on the path."""
    folder = render(platform="gunicorn", database="sqlite", ci="none")
    return folder, project_environment(environments.install(folder))


def own_app(project: Project, name: str) -> None:
    """Create an app as the README says, and register it."""
    folder, env = project
    (folder / "apps" / name).mkdir()
    run(["python", "manage.py", "startapp", name, f"apps/{name}"], folder, env=env)
    apps = folder / f"apps/{name}/apps.py"
    apps.write_text(apps.read_text().replace(f"'{name}'", f'"apps.{name}"'))
    edit(folder, behind("config/settings/base.py", '    "apps.pages",', f'    "apps.{name}",'))


def format_code(project: Project) -> None:
    """Format Python as `make format` does."""
    folder, env = project
    run(["ruff", "check", "--fix", "--exit-zero", "--quiet"], folder, env=env)
    run(["ruff", "format", "--quiet"], folder, env=env)


def test_a_model_with_a_file_field(project: Project) -> None:
    folder, env = project
    own_app(project, "pictures")
    (folder / "apps/pictures/models.py").write_text(MODELS)
    for name in ("admin.py", "views.py", "tests.py"):
        (folder / "apps/pictures" / name).unlink()
    run(["python", "manage.py", "makemigrations", "pictures"], folder, env=env)
    format_code(project)
    run(["pytest", "--quiet"], folder, env=env)
    run(["ruff", "check"], folder, env=env)
    run(["mypy"], folder, env=env)

    # Old pictures that a rich text refers to are kept. A file that the model field left unused is listed and deleted.
    rich, left = folder / "media/uploads/rich.jpg", folder / "media/pictures/left.jpg"
    for picture in (rich, left):
        picture.parent.mkdir(parents=True)
        picture.touch()
        os.utime(picture, (0, 0))
    run(["python", "manage.py", "migrate"], folder, env=env)
    run(["python", "manage.py", "cleanup"], folder, env=env)
    assert left.exists()
    run(["sh", "-c", "python manage.py cleanup --dry-run | python manage.py cleanup --uploads -"], folder, env=env)
    assert (rich.exists(), left.exists()) == (True, False)


def test_a_view_for_members_a_library_without_types_and_a_test_case(project: Project) -> None:
    folder, env = project
    edit(
        folder,
        added({"apps/mine/__init__.py": "", "apps/mine/views.py": VIEWS, "apps/mine/tests.py": TESTS}),
        behind("config/urls.py", '    path("admin/", admin.site.urls),', '    path("mine/", mine),'),
        behind("config/urls.py", "from django.urls import include, path", "\nfrom apps.mine.views import mine"),
    )
    format_code(project)
    run(["pytest", "--quiet"], folder, env=env)
    run(["ruff", "check"], folder, env=env)
    run(["mypy"], folder, env=env)


def test_formatting_leaves_the_imports_of_a_new_app(project: Project) -> None:
    folder, _ = project
    own_app(project, "todo")
    format_code(project)
    assert "from django.contrib import admin" in (folder / "apps/todo/admin.py").read_text()
    assert "from django.db import models" in (folder / "apps/todo/models.py").read_text()


@pytest.mark.parametrize("settings", ["config.settings.production", "config.settings.development"])
def test_the_tests_have_their_own_settings_whatever_the_environment_names(project: Project, settings: str) -> None:
    folder, env = project
    # No Redis listens on this port, so a test that cleared the cache would fail.
    variables = {"DJANGO_SETTINGS_MODULE": settings, "CACHE_URL": "redis://127.0.0.1:1/0"}
    assert " failed" not in run(["pytest", "--quiet"], folder, env={**env, **variables})


@pytest.mark.parametrize(("name", "before"), [("runserver", '"operations",'), ("runserver", ""), ("migrate", "")])
def test_a_command_of_another_app_is_gone_on_from(project: Project, name: str, before: str) -> None:
    """Channels' daphne has a `runserver` and must be the first app; django-tenants has a `migrate`."""
    folder, env = project
    command = f'''"""A command in the place of Django's."""

from typing import Any

from django.core.management.base import CommandParser
from django.core.management.commands.{name} import Command as Before


class Command(Before):
    """It can be loud."""

    def add_arguments(self, parser: CommandParser) -> None:
        """Add an option."""
        super().add_arguments(parser)
        parser.add_argument("--loud", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        """Say that it is this one."""
        self.stdout.write("LOUD")
        if not options.pop("loud"):
            super().handle(*args, **options)
'''
    commands = "apps/loud/management/commands"
    edit(
        folder,
        added({"apps/loud/__init__.py": "", f"{commands}/{name}.py": command}),
        text("config/settings/base.py", before, f'"apps.loud",\n    {before}')
        if before
        else behind("config/settings/base.py", '    "apps.pages",', '    "apps.loud",'),
    )
    # With options of both commands. `--loud` ends runserver, which would run forever.
    options = ["--loud", "--migrate"] if name == "runserver" else ["--lock-timeout=5"]
    said = run(["python", "manage.py", name, *options], folder, env=env)
    assert "LOUD" in said
    assert "Applying accounts.0001_initial" in said
    run(["mypy"], folder, env=env)

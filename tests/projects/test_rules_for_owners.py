"""The project's lint and type rules help its owner: ordinary code passes, and bugs are found."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.edits import added, behind, edit
from tests.support.environments import Environments, run
from tests.support.faults import text
from tests.support.polls_tutorial import PARTS
from tests.support.runbooks import noise

Render = Callable[..., Path]
Project = tuple[Path, dict[str, str]]

STRICT = text("pyproject.toml", 'module = ["apps.*", ', "module = [")


@pytest.fixture
def project(render: Render, environments: Environments) -> Project:
    """An installed project, and the variables with which its `make` finds its programs."""
    folder = render(ci="none")
    return folder, environments.at_work(folder)


def start_app(project: Project, name: str) -> Path:
    """Create an app as the README says, without `make format`; return its folder."""
    folder, env = project
    (folder / "apps" / name).mkdir()
    run([*PYTHON, "manage.py", "startapp", name, f"apps/{name}"], folder, env=env)
    text(f"apps/{name}/apps.py", f"'{name}'", f"'apps.{name}'")(folder)
    edit(folder, behind("config/settings/base.py", '    "apps.pages",', f'    "apps.{name}",'))
    return folder / "apps" / name


PYTHON = ("uv", "run", "--quiet", "python")


def routed(name: str) -> Callable[[Path], object]:
    """Add an app's URLs to the project's."""
    return behind(
        "config/urls.py",
        '    path("", include("apps.pages.urls")),',
        f'    path("{name}/", include("apps.{name}.urls")),',
    )


# --- A new app


def test_an_app_passes_lint_and_types_from_its_first_minute(project: Project) -> None:
    """tests/projects/test_polls_tutorial.py follows all of Django's tutorial, on SQLite."""
    folder, env = project
    start_app(project, "polls")
    run(["make", "format"], folder, env=env)
    # The app has no code yet.
    run(["make", "style", "types"], folder, env=env)
    for name in ("apps/polls/models.py", "apps/polls/admin.py"):
        (folder / name).write_text(PARTS[7][name])
    run([*PYTHON, "manage.py", "makemigrations", "polls"], folder, env=env)
    # Nor does a tool speak of its own settings each time, which would teach people to look away.
    assert not noise(run(["make", "lint"], folder, env=env))


# --- Types

VIEWS = {
    "a view without types": """
@login_required
def mine(request):
    items = []
    return render(request, "mine.html", {"items": Picture.objects.filter(owner=request.user), "more": items})
""",
    "a typed view of a member's": """
@login_required
def mine(request: HttpRequest) -> HttpResponse:
    return render(request, "mine.html", {"items": Picture.objects.filter(owner=request.user)})
""",
    "what a member makes": """
@login_required
def make(request: HttpRequest) -> HttpResponse:
    form = PictureForm(request.POST)
    if form.is_valid():
        picture = form.save(commit=False)
        picture.owner = request.user
        picture.save()
        Picture.objects.create(owner=request.user)
        messages.success(request, f"Saved, {request.user.email}")
    return redirect("picture", pk=get_object_or_404(Picture, pk=1, owner=request.user).pk)
""",
    "a view of everybody's": """
def home(request: HttpRequest) -> HttpResponse:
    if not request.user.is_authenticated:
        return redirect("account_login")
    return HttpResponse(request.user.get_full_name())
""",
    "classes": """
class Mine(LoginRequiredMixin, ListView):
    def get_queryset(self):
        return Picture.objects.filter(owner=self.request.user)


class Make(LoginRequiredMixin, CreateView):
    model = Picture
    fields = ["text"]

    def form_valid(self, form: PictureForm) -> HttpResponse:
        form.instance.owner = self.request.user
        return super().form_valid(form)
""",
    "a library without types, and an own decorator": """
def noisy(view):
    return view


@noisy
@login_required
def mine(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(parse("A=1")))
""",
    "a function with some types": """
def add(one: int, two=3):
    return one + two
""",
}
START = """from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.mixins import LoginRequiredMixin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.generic import CreateView, ListView
from honcho.environ import parse

from apps.pictures.models import Picture


class PictureForm(forms.ModelForm):
    class Meta:
        model = Picture
        fields = ["text"]

"""
MODELS = """from django.conf import settings
from django.db import models


class Picture(models.Model):
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    text = models.CharField(max_length=100, null=True)
"""
PICTURES = (
    added({"apps/pictures/__init__.py": "", "apps/pictures/models.py": MODELS}),
    behind("config/settings/base.py", '    "apps.pages",', '    "apps.pictures",'),
)


def test_what_people_ordinarily_write_passes(project: Project) -> None:
    folder, env = project
    edit(folder, *PICTURES)
    for number, view in enumerate(VIEWS.values()):
        (folder / f"apps/pictures/views{number}.py").write_text(START + view)
    # Ignore unused imports: all views start with the same ones.
    run(["uv", "run", "ruff", "check", "--ignore=F401"], folder, env=env)
    run(["make", "types"], folder, env=env)


TYPE_BUGS = {
    "a field that is not there": ("Picture.objects.filter(ownr=request.user)", "Cannot resolve keyword 'ownr'"),
    "a value of another kind": ("Picture.objects.filter(owner='me')", "Incompatible type for lookup 'owner'"),
    "a misspelt attribute of a member's": ("request.user.emial", 'has no attribute "emial"'),
    "a misspelt attribute of nobody's": (
        "0 if request.user.is_authenticated else request.POTS",
        'has no attribute "POTS"',
    ),
    "what may be missing": ("Picture.objects.first().text", 'has no attribute "text"'),
    "what is no answer": ("render(request, 5)", "incompatible type"),
}


def test_types_that_do_not_fit_are_found(project: Project) -> None:
    folder, env = project
    edit(folder, *PICTURES)
    views = "\n\n".join(
        f"def view{number}(request: HttpRequest) -> None:\n    {line}\n"
        for number, (line, _) in enumerate(TYPE_BUGS.values())
    )
    (folder / "apps/pictures/views.py").write_text(START + "\n" + views)
    with pytest.raises(AssertionError) as refused:
        run(["make", "types"], folder, env=env)
    said = str(refused.value)
    assert f"Found {len(TYPE_BUGS)} errors in 1 file" in said
    for _, message in TYPE_BUGS.values():
        assert message in said


MEMBERS = """
@login_required
def mine(request: MemberRequest) -> HttpResponse:
    return render(request, "mine.html", {"items": Picture.objects.filter(owner=request.user)})
"""


def test_one_line_makes_the_apps_strict_and_leaves_tests_alone(project: Project) -> None:
    folder, env = project
    edit(folder, *PICTURES, STRICT)
    # Tests need no types, in a folder or a module, and two apps may have test modules of the same name.
    for name in ("pictures/tests/test_views", "pages/tests/test_views", "accounts/tests", "../tests/test_own"):
        path = folder / f"apps/{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text("def test_it(client):\n    assert client.get('/')\n")
    views = folder / "apps/pictures/views.py"
    views.write_text(START + VIEWS["a view without types"] + VIEWS["a typed view of a member's"].replace("mine", "own"))
    with pytest.raises(AssertionError) as refused:
        run(["make", "types"], folder, env=env)
    assert "Function is missing a type annotation" in str(refused.value)
    assert 'got "User | AnonymousUser"' in str(refused.value)
    assert re.search(r"Found \d+ errors in 1 file", str(refused.value))
    views.write_text(f"from apps.accounts.views import MemberRequest\n{START}{MEMBERS}")
    run(["make", "types"], folder, env=env)


def test_what_is_the_templates_is_strict(project: Project) -> None:
    folder, env = project
    names = ["operations/extra.py", "deploy/extra.py", "smoke/extra.py"]
    for name in names:
        (folder / name).write_text("def f(x):\n    return x\n")
    with pytest.raises(AssertionError) as refused:
        run(["make", "types"], folder, env=env)
    for name in names:
        assert f"{name}:1: error: Function is missing a type annotation" in str(refused.value)


# --- Style

TASTE = '''"""Ways to write that are no bugs."""
import os
import random
from datetime import timedelta
import json, sys


def answerOf(request, id, type = None, *args):
    print("here", file=sys.stderr)
    password = "secret"
    path = os.path.join("a", "b")
    try:
        value = json.loads(open(path).read())
    except Exception:
        value = None
    if value == True:
        return dict(a=1)
    elif value:
        return random.choice([1, 2])
    else:
        for index, each in enumerate([1, 2]):
            value = list(x for x in [each])
    assert value, "nothing"
    return "%s is „so“ %s" % (password, timedelta(days=1))
'''
BUGS = {
    "a name that is not there": ("print(nothing)", "F821"),
    "an unused variable": ("def f():\n    x = 1", "F841"),
    "an import of nothing's": ("import os", "F401"),
    "a default that all calls share": ("def f(x=[]):\n    return x", "B006"),
    "an error that is swallowed": ("try:\n    x = 1\nexcept:\n    pass", "E722"),
    "a comparison with None": ("x = 1\ny = x == None", "E711"),
    "a time of no zone": ("from datetime import datetime\n\nx = datetime.now()", "DTZ005"),
    "a request without end": ('import requests\n\nrequests.get("https://example.com")', "S113"),
    "SQL of a visitor's": ("def f(c, x):\n    c.execute(f\"SELECT * FROM a WHERE b = '{x}'\")", "S608"),
    "HTML of a visitor's": (
        "from django.utils.safestring import mark_safe\n\n\ndef f(x):\n    return mark_safe(x)",
        "S308",
    ),
    "a field that is defined twice": ("class A:\n    x = 1\n    x = 2", "PIE794"),
    "a line without effect": ("x = 1\nx == 2", "B015"),
}


def test_ways_to_write_are_nobodys_business(project: Project) -> None:
    folder, env = project
    (folder / "apps/taste.py").write_text(TASTE)
    (folder / "tests/test_taste.py").write_text(
        "from django.test import TestCase\n\n\nclass T(TestCase):\n    def testIt(self):\n        self.assertEqual(1, 1)\n"
    )
    run(["make", "format"], folder, env=env)
    run(["make", "style"], folder, env=env)


def test_bugs_are_found(project: Project) -> None:
    folder, env = project
    for number, (code, _) in enumerate(BUGS.values()):
        (folder / f"apps/bug{number}.py").write_text(f"{code}\n")
    with pytest.raises(AssertionError) as refused:
        run(["uv", "run", "ruff", "check", "--output-format=concise"], folder, env=env)
    for number, (_, rule) in enumerate(BUGS.values()):
        assert f"apps/bug{number}.py" in str(refused.value)
        assert rule in str(refused.value)


def test_an_unused_import_is_shown_and_stays(project: Project) -> None:
    folder, env = project
    (folder / "apps/pages/more.py").write_text("from django.db import models\n")
    assert "F401" in run(["make", "format"], folder, env=env)
    assert (folder / "apps/pages/more.py").read_text() == "from django.db import models\n"
    with pytest.raises(AssertionError, match="F401"):
        run(["make", "style"], folder, env=env)


def test_a_new_app_and_its_migrations_pass_lint(project: Project) -> None:
    folder, env = project
    app = start_app(project, "pictures")
    run(["make", "format"], folder, env=env)
    (app / "models.py").write_text(MODELS)
    run([*PYTHON, "manage.py", "makemigrations", "pictures"], folder, env=env)
    text("apps/pictures/models.py", "max_length=100, null=True", "max_length=200, blank=True, null=True")(folder)
    run([*PYTHON, "manage.py", "makemigrations", "pictures"], folder, env=env)
    before = {path: path.read_text() for path in (app / "migrations").glob("*.py")}
    run(["make", "lint"], folder, env=env)
    run(["make", "format"], folder, env=env)
    assert {path: path.read_text() for path in (app / "migrations").glob("*.py")} == before


def test_a_field_with_a_default_in_an_app_that_is_not_deployed_is_settled_by_the_command_in_the_message(
    project: Project,
) -> None:
    folder, env = project
    edit(folder, *PICTURES)
    run([*PYTHON, "manage.py", "makemigrations", "pictures"], folder, env=env)
    field = "    done = models.BooleanField(default=False)\n"
    text("apps/pictures/models.py", "class Picture(models.Model):\n", f"class Picture(models.Model):\n{field}")(folder)
    run([*PYTHON, "manage.py", "makemigrations", "pictures"], folder, env=env)
    with pytest.raises(AssertionError) as refused:
        run(["make", "migrations"], folder, env=env)
    (command,) = [line.strip() for line in str(refused.value).splitlines() if line.startswith("    uv run")]
    assert command.endswith("lintmigrations --not-deployed pictures")
    assert "0002_picture_done.py" in run(command.split(), folder, env=env)
    run(["make", "style", "migrations"], folder, env=env)
    # A migration after the deployed one is checked again.
    text("apps/pictures/models.py", "done =", "finished =")(folder)
    text("apps/pictures/models.py", "max_length=100", "max_length=50")(folder)
    run([*PYTHON, "manage.py", "makemigrations", "--noinput", "pictures"], folder, env=env)
    with pytest.raises(AssertionError, match="0003_"):
        run(["make", "migrations"], folder, env=env)


PAGES = {
    "a link and a form as books write them": '<a href="/about/">About</a>\n<form method="POST" action="/x/"></form>\n',
    "entities": "<p>\n  &nbsp;&copy; 2026\n  <br />\n</p>\n",
    "a picture": '<img src="/static/a.png" alt="A">\n',
}


def test_pages_as_people_write_them_pass(project: Project) -> None:
    folder, env = project
    (folder / "templates/own").mkdir()
    for number, page in enumerate(PAGES.values()):
        (folder / f"templates/own/page{number}.html").write_text(page)
    run(["make", "format"], folder, env=env)
    run(["make", "style"], folder, env=env)


BROKEN = {
    "T038": "{% block a %}\n  <p>text</p>\n",
    "H021": '<p style="color: red">\n  It is blocked.\n</p>\n',
    "H013": '<img src="/static/a.png">\n',
}


def test_broken_pages_are_found(project: Project) -> None:
    folder, env = project
    for rule, page in BROKEN.items():
        (folder / f"templates/{rule}.html").write_text(page)
    with pytest.raises(AssertionError) as refused:
        run(["make", "style"], folder, env=env)
    for rule in BROKEN:
        assert rule in str(refused.value)


# --- Coverage

VIEW = """

def view{number}(request):
    if request.GET:
        return HttpResponse("{number}")
    return HttpResponse()
"""


def with_views(folder: Path, numbers: range) -> None:
    """Add views to the app."""
    with (folder / "apps/many/views.py").open("a") as file:
        file.writelines(VIEW.format(number=number) for number in numbers)


def test_views_without_tests_are_shown_and_not_red_until_a_team_says_so(project: Project) -> None:
    folder, env = project
    few = {**env, "PYTEST_ADDOPTS": "apps tests/test_pages.py"}
    start_app(project, "many")
    for name in ("models", "admin"):
        (folder / f"apps/many/{name}.py").unlink()
    (folder / "apps/many/views.py").write_text("from django.http import HttpResponse\n")
    (folder / "apps/many/urls.py").write_text(
        "from django.urls import path\n\nfrom apps.many import views\n\nurlpatterns = [path('', views.view1)]\n"
    )
    shutil.copytree(folder / "apps/many/migrations", folder / "apps/many/tests")
    (folder / "apps/many/tests.py").unlink()
    (folder / "apps/many/tests/test_it.py").write_text("def test_it():\n    if 0:\n        assert 0\n")
    routed("many")(folder)
    with_views(folder, range(20))
    said = run(["make", "test"], folder, env=few)
    assert "apps/many/views.py" in said
    measured = [line.split()[0] for line in said.splitlines() if re.search(r"^apps/.* \d+%  ", line)]
    # Coverage measures neither the template's code, nor tests or migrations.
    assert all(name.startswith("apps/many/") and "test" not in name for name in measured)

    assert "fail_under = " in run(["make", "ratchet"], folder, env=few)
    run(["make", "test"], folder, env=few)
    before = (folder / "pyproject.toml").read_text()
    with_views(folder, range(20, 60))
    for target in ("test", "ratchet"):
        with pytest.raises(AssertionError, match="Coverage failure"):
            run(["make", target], folder, env=few)
    assert (folder / "pyproject.toml").read_text() == before

"""A project that django-admin made becomes one that follows the template, with its accounts and its data."""

from pathlib import Path

import pytest

from tests.support.edits import added, behind, edit
from tests.support.environments import Environments, project_environment, run
from tests.support.faults import text
from tests.support.releases import AGAIN, FOLLOWING, release, tag
from tests.support.rendering import ROOT
from tests.support.runbooks import Reader
from tests.support.updating import answers_of, owners_machine, render_release, status, tracked, unsettled

POLLS = {
    "polls/models.py": '''"""Polls."""

from django.conf import settings
from django.db import models


class Poll(models.Model):
    """A question, and who asks it."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    question = models.CharField(max_length=200)

    def __str__(self) -> str:
        """What is asked."""
        return self.question
''',
    "polls/views.py": '''"""Pages of polls."""

from django.http import HttpRequest, HttpResponse

from polls.models import Poll


def polls(_request: HttpRequest) -> HttpResponse:
    """Each poll and who asks it."""
    said = [f"{poll} {poll.owner.email}" for poll in Poll.objects.all()]
    return HttpResponse("\\n".join(said), content_type="text/plain")
''',
    "polls/tests.py": '''"""Polls are shown."""

from django.contrib.auth import get_user_model
from django.test import TestCase

from polls.models import Poll


class PollTests(TestCase):
    """Polls are shown."""

    def test_polls_are_shown(self) -> None:
        """Each with who asks it."""
        owner = get_user_model().objects.create(email="ann@example.com")
        Poll.objects.create(owner=owner, question="Why?")
        self.assertEqual(self.client.get("/polls/").text, "Why? ann@example.com")
''',
}

# What the site knows before: an account that may do everything and one of a group, each with a password.
DATA = """
from django.contrib.auth.models import Group, Permission, User
from polls.models import Poll
staff = Group.objects.create(name="Staff")
staff.permissions.set(Permission.objects.filter(codename__in=["change_user", "add_poll"]))
User.objects.create_superuser("ann", "Ann@Example.com", "correct horse")
bob = User.objects.create_user("bob", "bob@example.com", "battery staple")
bob.groups.add(staff)
Poll.objects.create(owner=bob, question="Why?")
"""

# What it knows after.
SEEN = """
from allauth.account.models import EmailAddress
from django.contrib.auth import authenticate
from django.test import Client
from apps.accounts.models import User
ann = authenticate(email="ann@example.com", password="correct horse")
bob = authenticate(email="bob@example.com", password="battery staple")
print(ann.is_superuser, bob.has_perms(["accounts.change_user", "polls.add_poll"]), bob.has_perm("polls.delete_poll"))
print(Client(headers={"host": "localhost"}).get("/polls/").text)
print([address.email for address in EmailAddress.objects.filter(verified=True)])
"""


@pytest.fixture
def shop(following: Path, environments: Environments, tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """A project of django-admin's with an app and data, and an environment in which it works."""
    (tmp_path / "machine").mkdir()
    machine = owners_machine(following, tmp_path / "machine")
    django = environments.install(render_release(following, tmp_path / "django"))
    env = project_environment(django, **machine)
    env["PATH"] = f"{django}:{machine['PATH']}"
    del env["VIRTUAL_ENV"]
    project = tmp_path / "shop"
    project.mkdir()
    run(["django-admin", "startproject", "shop", "."], project, env=env)
    run(["python", "manage.py", "startapp", "polls"], project, env=env)
    for name in POLLS:
        (project / name).unlink()
    edit(
        project,
        added(POLLS),
        text("shop/settings.py", "INSTALLED_APPS = [", 'INSTALLED_APPS = [\n    "polls",'),
        text("shop/urls.py", "urlpatterns = [", 'from polls.views import polls\nurlpatterns = [path("polls/", polls),'),
        added({".gitignore": "db.sqlite3\n__pycache__/\n"}),
    )
    run(["python", "manage.py", "makemigrations"], project, env=env)
    run(["python", "manage.py", "migrate"], project, env=env)
    run(["python", "manage.py", "test"], project, env=env)
    run(["python", "manage.py", "shell", "--command", DATA], project, env=env)
    return tracked(project), env


def move_in(project: Path) -> None:
    """What the page leaves to an editor."""
    edit(
        project,
        text("apps/polls/apps.py", "polls", "apps.polls"),
        text("apps/polls/views.py", "from polls", "from apps.polls"),
        text("apps/polls/tests.py", "from polls", "from apps.polls"),
        behind("config/settings/base.py", '    "apps.pages",', '    "apps.polls",'),
        text(
            "config/urls.py",
            "from django.urls import include, path",
            "from django.urls import include, path\n\nfrom apps.polls.views import polls",
        ),
        behind("config/urls.py", '    path("admin/", admin.site.urls),', '    path("polls/", polls),'),
    )


def test_the_page_on_adopting_is_followed(shop: tuple[Path, dict[str, str]], following: Path, tmp_path: Path) -> None:
    project, env = shop
    (tmp_path / "state").mkdir()
    (tmp_path / "state/folder").write_text(f"{project}\n")
    person = Reader(ROOT / "docs/adopting.md", tmp_path / "state", env)
    person.follow("Save the data")
    said = person.follow("Copy the template over it")
    assert " M manage.py\n" in said
    person.paste(person.left.pop(0).text)
    move_in(project)
    person.follow("Move in what is yours")
    person.follow("Bring the data back")
    assert " passed" in person.follow("See that it works")
    assert not person.left

    seen = run(["uv", "run", "python", "manage.py", "shell", "--command", SEEN], project, env=env).splitlines()[-3:]
    assert seen == ["True True False", "Why? bob@example.com", "['ann@example.com']"]
    assert status(project) == []
    assert "shop" not in {path.name for path in project.iterdir()}

    # And it follows.
    text("templates/pages/home.html", "The site is up, and this is its home page.", "Welcome.")(following / "template")
    release(following, FOLLOWING)
    assert answers_of(project)["_commit"] == tag(AGAIN)
    person.paste("uvx copier update --quiet --defaults")
    assert not unsettled(project)
    assert sorted(status(project)) == [" M .copier-answers.yml", " M templates/pages/home.html"]


def test_accounts_without_an_address_are_named(shop: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    project, env = shop
    add = "from django.contrib.auth.models import User; User.objects.create_user('carl')"
    run(["python", "manage.py", "shell", "--command", add], project, env=env)
    (tmp_path / "state").mkdir()
    (tmp_path / "state/folder").write_text(f"{project}\n")
    person = Reader(ROOT / "docs/adopting.md", tmp_path / "state", env)
    said = person.paste(person.left[0].text, code=1)
    assert "these accounts have no e-mail address: ['carl']" in said
    assert not (tmp_path / "data.json").exists()
    assert (project / "db.sqlite3").exists()

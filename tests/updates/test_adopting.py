"""A project that django-admin made can follow the template, and keeps its accounts and data."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.edits import added, appended, behind, edit
from tests.support.environments import Environments, project_environment, run
from tests.support.faults import text
from tests.support.releases import AGAIN, FOLLOWING, release, tag
from tests.support.rendering import ROOT, Once
from tests.support.repositories import commit
from tests.support.runbooks import Reader, blocks
from tests.support.updating import answers_of, owners_machine, status, tracked, unsettled

PAGE = ROOT / "docs/adopting.md"
Shop = tuple[Path, dict[str, str]]

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

# The data before: a superuser's account and one in a group, each with a password.
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

# The data after.
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


# Files that older projects have. The last two are in their .gitignore.
OLD_FILES = {
    "requirements.txt": "django\n",
    "runtime.txt": "python-3.12.1\n",
    "pytest.ini": "[pytest]\nDJANGO_SETTINGS_MODULE = shop.settings\n",
    "setup.cfg": "[tool:pytest]\naddopts = --reuse-db\n",
    "uv.lock": "version = 1\n",
    "polls/templates/base.html": "<p onclick=\"go()\">{% url 'login' %}</p>\n",
    ".gitignore": "db.sqlite3\n__pycache__/\nlocal_settings.py\nenv/\n",
    "shop/local_settings.py": "PASSWORD = 'secret'\n",
    "env/pyvenv.cfg": "",
}


@pytest.fixture
def shop(following: Path, fresh: Callable[..., Path], environments: Environments, once: Once, tmp_path: Path) -> Shop:
    """A project that django-admin made, with an app, data, and an environment."""
    (following / "scripts").mkdir()
    shutil.copy(ROOT / "scripts/adopt.py", following / "scripts")
    commit(following, "Adopt")
    (tmp_path / "machine").mkdir()
    machine = owners_machine(following, tmp_path / "machine")
    django = environments.install(fresh())
    env = project_environment(django, **machine)
    env["PATH"] = f"{django}:{machine['PATH']}"
    del env["VIRTUAL_ENV"]
    made = once.get("shop", lambda folder: make_shop(folder, env))
    return Path(shutil.copytree(made, tmp_path / "shop")), env


def make_shop(project: Path, env: dict[str, str]) -> None:
    """Create the project in a new folder, with an environment that has Django."""
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
        added(OLD_FILES),
    )
    run(["python", "manage.py", "makemigrations"], project, env=env)
    run(["python", "manage.py", "migrate"], project, env=env)
    run(["python", "manage.py", "test"], project, env=env)
    run(["python", "manage.py", "shell", "--command", DATA], project, env=env)
    tracked(project)


def move_in(project: Path) -> None:
    """Make the changes that the page says to make by hand."""
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


@pytest.fixture
def person(shop: Shop, tmp_path: Path) -> Reader:
    """A reader who follows the page in the project's folder."""
    project, env = shop
    (tmp_path / "state").mkdir()
    (tmp_path / "state/folder").write_text(f"{project}\n")
    return Reader(PAGE, tmp_path / "state", env)


def adopt(shop: Shop, *arguments: str) -> str:
    """Run the page's program in the project; return its output.

    Raises:
        AssertionError: it failed; the message is its output.
    """
    project, env = shop
    return run(["python", str(ROOT / "scripts/adopt.py"), *arguments], project, env=env)


def shell(shop: Shop, code: str) -> None:
    """Run lines in the project's shell."""
    project, env = shop
    run(["python", "manage.py", "shell", "--command", code], project, env=env)


def start_green(project: Path) -> None:
    """Add the page's lines to pyproject.toml; lines of an existing table go into that table."""
    (block,) = [block.text for block in blocks(PAGE) if block.language == "toml"]
    overrides, _, ruff = block.strip().partition("\n\n")
    heading, line = ruff.splitlines()
    edit(
        project,
        text("pyproject.toml", "[tool.django-stubs]", f"{overrides}\n\n[tool.django-stubs]"),
        behind("pyproject.toml", heading, line),
    )


def test_the_page_on_adopting_is_followed(shop: Shop, person: Reader, following: Path) -> None:
    project, env = shop
    said = person.follow("What cannot come")
    for name in (
        "requirements.txt",
        "runtime.txt",
        "pytest.ini",
        "setup.cfg",
        "uv.lock",
        "shop/local_settings.py",
        "env",
    ):
        assert f"  - {name}: " in said
    assert "  - polls/templates/base.html\n" in said
    assert "cannot come" not in said
    assert status(project) == []

    # It is listed before it is replaced.
    assert set(re.findall(r"overwrite\S*\s+(\S+)", person.paste(person.left.pop(0).text))) == {
        ".gitignore",
        "manage.py",
    }
    assert "Moved db.sqlite3" in person.follow("Save the data")
    said = person.follow("Copy the template over it")
    assert " M manage.py\n" in said
    person.paste(person.left.pop(0).text)
    move_in(project)
    person.follow("Move in what is yours")
    person.follow("Bring the data back")
    start_green(project)
    assert " passed" in person.follow("Start green")
    assert not person.left

    seen = run(["uv", "run", "python", "manage.py", "shell", "--command", SEEN], project, env=env).splitlines()[-3:]
    assert seen == ["True True False", "Why? bob@example.com", "['ann@example.com']"]
    assert status(project) == []
    assert not set(OLD_FILES) & (set(run(["git", "ls-files"], project).split()) - {".gitignore", "uv.lock"})

    # The project follows the template.
    text("templates/404.html", "There is no page at this address.", "No such page.")(following / "template")
    release(following, FOLLOWING)
    assert answers_of(project)["_commit"] == tag(AGAIN)
    person.paste("uvx copier update --quiet --defaults")
    assert not unsettled(project)
    assert sorted(status(project)) == [" M .copier-answers.yml", " M templates/404.html"]


# Reasons why the data cannot be saved, and edits that cause them, in accounts and in files.
ACCOUNTS_REFUSED = {
    "User.objects.create_user('carl')": "these accounts have no email address: ['carl']",
    "User.objects.create_user('rob', 'BOB@example.com')": "have several accounts: ['bob@example.com']",
}
FILES_REFUSED = {
    "notes.txt": "not everything is committed: notes.txt",
    "../data.json": "data.json already",
    "../old.sqlite3": "old.sqlite3 already",
}


def test_nothing_moves_unless_the_data_is_saved(shop: Shop, subtests: pytest.Subtests) -> None:
    project, _ = shop

    def nothing_moves(reason: str) -> None:
        database = (project / "db.sqlite3").read_bytes()
        there = sorted(project.parent.glob("*.*"))
        with pytest.raises(AssertionError, match=re.escape(reason)):
            adopt(shop, "save")
        assert (project / "db.sqlite3").read_bytes() == database
        assert sorted(project.parent.glob("*.*")) == there

    for name, reason in FILES_REFUSED.items():
        with subtests.test(name):
            (project / name).touch()
            nothing_moves(reason)
            (project / name).unlink()
    before = (project / "db.sqlite3").read_bytes()
    for code, reason in ACCOUNTS_REFUSED.items():
        with subtests.test(code):
            shell(shop, f"from django.contrib.auth.models import User\n{code}")
            nothing_moves(reason)
            (project / "db.sqlite3").write_bytes(before)


def own_app(shop: Shop, name: str, model: str, *edits: Callable[[Path], object]) -> None:
    """Add an app to the project, recreate the database, and commit."""
    project, env = shop
    run(["python", "manage.py", "startapp", name], project, env=env)
    (project / name / "models.py").write_text(model)
    edit(project, text("shop/settings.py", "INSTALLED_APPS = [", f'INSTALLED_APPS = [\n    "{name}",'), *edits)
    run(["python", "manage.py", "makemigrations"], project, env=env)
    run(["python", "manage.py", "migrate"], project, env=env)
    commit(project, name)


def test_what_clashes_is_named_and_saved_under_another_name(shop: Shop) -> None:
    """An app has the label of one of the template's apps, and URLs that the template's hide."""
    project, _ = shop
    own_app(
        shop,
        "accounts",
        """from django.db import models


class Profile(models.Model):
    user = models.OneToOneField("auth.User", models.CASCADE)
""",
        text("shop/urls.py", "urlpatterns = [", 'urlpatterns = [path("", polls), path("accounts/profile/", polls),'),
    )
    shell(
        shop,
        "from django.contrib.auth.models import Group, Permission, User; from accounts.models import Profile\n"
        "Profile.objects.create(user=User.objects.first())\n"
        "Group.objects.get().permissions.add(Permission.objects.get(codename='add_profile'))",
    )
    said = adopt(shop, "check")
    assert "the template has an app 'accounts'" in said
    assert "  - / (polls.views.polls)" in said
    assert "  - /accounts/profile/ (polls.views.polls)" in said
    with pytest.raises(AssertionError, match="save with --rename accounts=NEW"):
        adopt(shop, "save")
    adopt(shop, "save", "--rename", "accounts=members")
    rows = json.loads((project.parent / "data.json").read_text())
    (profile,) = [row["fields"] for row in rows if row["model"] == "members.profile"]
    assert profile == {"user": ["ann@example.com"]}
    (group,) = [row["fields"] for row in rows if row["model"] == "auth.group"]
    assert ["add_profile", "members", "profile"] in group["permissions"]
    assert ["change_user", "accounts", "user"] in group["permissions"]


MEMBERS = """import uuid

from django.contrib.auth.models import AbstractUser
from django.db import models


class Member(AbstractUser):
    {key}
    nickname = models.CharField(max_length=50)
"""


def test_a_user_model_of_ones_own_becomes_the_templates(shop: Shop) -> None:
    project, _ = shop
    (project / "db.sqlite3").unlink()
    model = MEMBERS.format(key='city = models.CharField(max_length=50, default="Vienna")')
    own_app(shop, "members", model, appended("shop/settings.py", 'AUTH_USER_MODEL = "members.Member"'))
    shell(
        shop,
        "from members.models import Member; from polls.models import Poll\n"
        "Poll.objects.create(question='Why?', owner=Member.objects.create_user('ann', 'Ann@example.com', nickname='A'))",
    )
    assert "add to apps/accounts/models.py, before `loaddata`: city, nickname" in adopt(shop, "check")
    adopt(shop, "save")
    rows = {row["model"]: row["fields"] for row in json.loads((project.parent / "data.json").read_text())}
    ann = rows["accounts.user"]
    assert (ann["email"], ann["nickname"], ann["city"]) == ("ann@example.com", "A", "Vienna")
    assert "username" not in ann
    assert rows["polls.poll"]["owner"] == ["ann@example.com"]


def test_accounts_with_other_keys_cannot_come(shop: Shop) -> None:
    project, _ = shop
    (project / "db.sqlite3").unlink()
    model = MEMBERS.format(key="id = models.UUIDField(primary_key=True, default=uuid.uuid4)")
    own_app(shop, "members", model, appended("shop/settings.py", 'AUTH_USER_MODEL = "members.Member"'))
    with pytest.raises(
        AssertionError, match=r"This project cannot come as it is:\n  - members.Member has .* for a key"
    ):
        adopt(shop, "check")


def test_a_project_that_does_not_start_is_told_so(shop: Shop) -> None:
    project, _ = shop
    edit(project, text("shop/settings.py", "INSTALLED_APPS = [", 'INSTALLED_APPS = [\n    "nowhere",'))
    with pytest.raises(AssertionError, match=r"does not start.*No module named 'nowhere'") as told:
        adopt(shop, "check")
    assert "Traceback" not in str(told.value)

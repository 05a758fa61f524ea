"""A beginner follows Django's tutorial in a fresh project, and all checks pass."""

import base64
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.edits import behind, edit
from tests.support.environments import Environments, project_environment, run
from tests.support.faults import text
from tests.support.polls_tutorial import MODELS_2, PARTS, TESTS_5_FIRST

OWN_APPS = "    # The project's own, apart from those that `copier update` changes."

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII="

# Texts that a visitor sees after each part.
SEEN = """
from django.test import Client
from django.utils import timezone
from apps.accounts.models import User
from apps.polls.models import Question
Question.objects.all().delete()
question = Question.objects.create(question_text="What's new?", pub_date=timezone.now())
sky = question.choice_set.create(choice_text="The sky")
User.objects.all().delete()
staff = Client(headers={"host": "localhost"})
staff.force_login(User.objects.create_superuser("ann@example.com", "correct horse"))
voted = staff.post(f"/polls/{question.pk}/vote/", {"choice": sky.pk}, follow=True)
print("1 vote" in voted.text)
page = staff.get("/polls/").text
print("What&#x27;s new?" in page, "polls/style.css" in page)
changed = staff.get(f"/admin/polls/question/{question.pk}/change/").text
print("Polls Administration" in changed, "Date information" in changed, "The sky" in changed)
print("Published recently?" in staff.get("/admin/polls/question/?q=new").text)
"""


def write(project: Path, files: dict[str, str]) -> None:
    """Write files, and overwrite existing ones."""
    for name, content in files.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(content)


@pytest.fixture
def project(render: Callable[..., Path]) -> Path:
    """A project with the fewest features."""
    return render(platform="gunicorn", database="sqlite", ci="none")


def test_djangos_tutorial_leaves_nothing_red(project: Path, environments: Environments) -> None:
    env = project_environment(environments.install(project))
    (project / "apps/polls").mkdir()
    run(["python", "manage.py", "startapp", "polls", "apps/polls"], project, env=env)
    edit(
        project,
        text("apps/polls/apps.py", "'polls'", '"apps.polls"'),
        behind("config/urls.py", OWN_APPS, '    path("polls/", include("apps.polls.urls")),'),
    )
    for part, files in PARTS.items():
        write(project, files)
        if part == 6:
            # The tutorial says any picture: this one is a single pixel.
            (project / "apps/polls/static/polls/images").mkdir()
            (project / "apps/polls/static/polls/images/background.png").write_bytes(base64.b64decode(PIXEL))
        if part == 2:
            edit(project, behind("config/settings/base.py", OWN_APPS, '    "apps.polls.apps.PollsConfig",'))
            run(["python", "manage.py", "makemigrations", "polls"], project, env=env)
        if part == 5:
            # As in the tutorial, the test that finds the bug fails first.
            write(project, {"apps/polls/models.py": MODELS_2, "apps/polls/tests.py": TESTS_5_FIRST})
            with pytest.raises(AssertionError, match="True is not False"):
                run(["python", "manage.py", "test", "apps.polls"], project, env=env)
            write(project, files)
            assert "Ran 7 tests" in run(["python", "manage.py", "test", "apps.polls"], project, env=env)
        run(["ruff", "check"], project, env=env)
        run(["mypy"], project, env=env)

    at_work = environments.at_work(project)
    run(["make", "format", "lint", "test", "smoke"], project, env=at_work, timeout=600)
    run(["python", "manage.py", "migrate", "--verbosity=0"], project, env=env)
    seen = run(["python", "manage.py", "shell", "--verbosity=0", "--command", SEEN], project, env=env)
    assert seen.split() == ["True"] * 7

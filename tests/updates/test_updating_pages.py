"""The pages on updating and switching are followed as written, with Copier as uvx installs it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.databases import PostgreSQL
from tests.support.edits import LOCALE, OF_THE_PROJECT, OF_THE_SHELL, edit
from tests.support.environments import run, uv, uvx
from tests.support.faults import text
from tests.support.releases import AGAIN, FOLLOWING, RELEASES, release, tag
from tests.support.rendering import ANSWERS, ROOT
from tests.support.repositories import commit, repository
from tests.support.runbooks import Reader
from tests.support.updating import ADDRESS, ANSWERS_FILE, answers_of, owners_machine, status, unsettled

# A change that a fork releases for its own projects.
FORKED = "1000.2.0"


@pytest.fixture
def machine(following: Path, tmp_path: Path) -> dict[str, str]:
    """The environment variables of a machine where the template's URL leads to a copy of this repository."""
    (tmp_path / "machine").mkdir()
    return owners_machine(following, tmp_path / "machine")


@pytest.fixture
def start(machine: dict[str, str], tmp_path: Path) -> Callable[..., Path]:
    """A project that was copied from the template's URL: `start(version, **answers)`."""

    def copied(version: str, **answers: str) -> Path:
        project = tmp_path / "project"
        data = [f"--data={name}={answer}" for name, answer in {**ANSWERS, **answers}.items()]
        command = [uvx(), "copier", "copy", "--quiet", "--defaults", f"--vcs-ref={tag(version)}"]
        run([*command, *data, ADDRESS, str(project)], tmp_path, env=machine)
        return repository(project)

    return copied


def reader(page: str, project: Path, state: Path, machine: dict[str, str]) -> Reader:
    """Return a reader who follows a page of docs/ in a project's folder."""
    state.mkdir()
    (state / "folder").write_text(f"{project}\n")
    return Reader(ROOT / "docs" / page, state, machine)


def test_the_page_on_updating_is_followed(
    start: Callable[..., Path], following: Path, machine: dict[str, str], tmp_path: Path
) -> None:
    project = start(list(RELEASES)[-1])
    edit(project, *OF_THE_PROJECT)
    run([uv(), "lock", "--quiet"], project)
    commit(project, "Ours")
    person = reader("updating.md", project, tmp_path / "state", machine)
    said = person.follow("Update")
    assert "New template version available" in said
    assert "Todo List is up to date. Next steps:" in said
    assert status(project) == []
    assert answers_of(project)["_commit"] == tag(AGAIN)

    text("templates/404.html", "There is no page at this address.", "What is to be done?")(project)
    commit(project, "Ours again")
    text("templates/404.html", "There is no page at this address.", "Welcome.")(following / "template")
    edit(following / "template", *LOCALE)
    release(following, FOLLOWING)
    page = (ROOT / "docs/updating.md").read_text()
    person.paste("uvx copier update --quiet --defaults")
    assert unsettled(project) == ["templates/404.html"]
    marks = [line for line in (project / "templates/404.html").read_text().splitlines() if line[:7] in page]
    assert {"<<<<<<< before updating", "=======", ">>>>>>> after updating"} <= set(marks)
    assert "UU templates/404.html" in person.follow("Resolve a conflict")
    assert "Welcome." in (project / "templates/404.html").read_text()

    person.follow("Undo an update")
    assert status(project) == []
    assert answers_of(project)["_commit"] == tag(AGAIN)

    person.paste("uvx copier update --quiet --defaults && git checkout --ours templates/404.html")
    assert "Conflicting migrations detected" in person.paste("uv run python manage.py migrate", code=1)
    assert "accounts.0003_merge" in person.follow("Join migrations")
    person.paste("uv run python manage.py makemigrations --check --dry-run")

    # A fork of the template, with the template's releases and one of its own.
    commit(project, "Join")
    fork = Path(shutil.copytree(following, tmp_path / "fork"))
    text(".editorconfig", "root = true", "# Ours.\nroot = true")(fork / "template")
    release(fork, FORKED)
    address = "https://git.example.com/ann/copier-django.git"
    with Path(machine["GIT_CONFIG_GLOBAL"]).open("a") as settings:
        settings.write(f'[url "{fork}"]\n\tinsteadOf = {address}\n')
    assert "# Ours." in person.follow("Follow a fork")
    assert answers_of(project)["_src_path"] == address
    assert answers_of(project)["_commit"] == tag(FORKED)
    assert not unsettled(project)
    assert not person.left
    # The page's case of a URL that does not end in .git.
    commit(project, "Forked")
    text(ANSWERS_FILE, address, address.removesuffix(".git"))(project)
    commit(project, "A URL that Copier takes for a folder")
    assert "Local template must be a directory" in person.paste("uvx copier update --defaults", code=1)


def test_the_page_on_switching_is_followed(
    start: Callable[..., Path], machine: dict[str, str], tmp_path: Path, database: PostgreSQL
) -> None:
    project = start(AGAIN, platform="heroku")
    edit(project, OF_THE_SHELL["heroku"])
    commit(project, "Ours")
    person = reader("switching.md", project, tmp_path / "state", machine)
    assert " passed" in person.follow("Move")
    said = person.follow("What is lost")
    assert "Procfile\n" in said
    assert "clock: python manage.py clearsessions" in said
    assert answers_of(project)["platform"] == "docker"

    commit(project, "Docker")
    person.follow("What is asked anew")
    assert (answers_of(project)["platform"], answers_of(project)["domain"]) == ("gunicorn", "www.example.com")

    account = "DJANGO_SUPERUSER_PASSWORD='correct horse' uv run python manage.py createsuperuser --noinput --email a@example.com"
    person.paste(
        f"OLD=sqlite:///old.sqlite3 NEW={database.create(tmp_path.name)}\nexport DJANGO_SETTINGS_MODULE=config.settings.development"
    )
    person.paste(f"export DATABASE_URL=$OLD\nuv run python manage.py migrate\n{account}")
    person.follow("Take the data along")
    say = "from apps.accounts.models import User; print(User.objects.get().email)"
    assert person.paste(f'DATABASE_URL=$NEW uv run python manage.py shell --command "{say}"').endswith(
        "a@example.com\n"
    )
    assert not (project / "data.json").exists()

    commit(project, "Moved")
    person.follow("Rename the project")
    assert answers_of(project)["project_slug"] == "todo-list"
    assert "Chores" in (project / "config/settings/site.py").read_text()
    changed = [line for line in run(["git", "diff"], project, env=machine).splitlines() if line.startswith(("+", "-"))]
    assert [line for line in changed if "todo-list" in line] == []
    commit(project, "Chores")
    said = person.follow("Change the slug")
    assert " passed" in said
    assert answers_of(project)["project_slug"] == "chores"
    assert not unsettled(project)
    assert not person.left

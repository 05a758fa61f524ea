"""The page about a first app and the commands for coding assistants are followed word for word, and all checks pass."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.edits import behind
from tests.support.environments import Environments, project_environment, run
from tests.support.faults import text
from tests.support.runbooks import PASTED, Reader, blocks

# The page's texts above a block, which say where it goes.
WHOLE_FILE = re.compile(r"(?:^|\. )`([\w/]+\.\w+)`:$")
AT_THE_END = re.compile(r"(?:^|\. )In `([\w/.]+)`, at the end:$")
BELOW = re.compile(r"^In `([\w/.]+)`, below `(.+)`:$")


def steps(page: str) -> list[tuple[str, str, str]]:
    """Return the blocks of a page: the line above each, its language, and its text."""
    return re.findall(r"^(.*)\n\n```(\w+)\n((?:.*\n)*?)(?=^```$)", page, re.MULTILINE)


def write(project: Path, said: str, block: str) -> None:
    """Apply a block to the file that the page names.

    Raises:
        AssertionError: the page does not say where the block goes.
    """
    if found := AT_THE_END.search(said):
        with (project / found[1]).open("a") as file:
            file.write(f"\n\n{block}")
    elif found := BELOW.search(said):
        (indent,) = re.findall(rf"(?m)^( *){re.escape(found[2])}$", (project / found[1]).read_text())
        behind(found[1], f"{indent}{found[2]}", block.removesuffix("\n"))(project)
    else:
        found = WHOLE_FILE.search(said)
        assert found, f"where does the block go: {said}"
        (project / found[1]).parent.mkdir(parents=True, exist_ok=True)
        (project / found[1]).write_text(block)


@pytest.mark.parametrize("database", ["postgresql", "sqlite"])
def test_the_first_app_ends_green(
    render: Callable[..., Path], environments: Environments, tmp_path: Path, database: str
) -> None:
    project = render(platform="gunicorn", database=database, ci="none")
    if database == "sqlite":
        follow_agents(project, environments, tmp_path)
    page = (project / "docs/first-app.md").read_text()
    (tmp_path / "state").mkdir()
    owner = Reader(project / "docs/first-app.md", tmp_path / "state", environments.at_work(project))
    printed = []
    for said, language, block in steps(page):
        if language == "bash":
            printed.append(owner.paste(block))
        else:
            write(project, said, block)
    assert len(steps(page)) == page.count("\n```\n")
    assert "0002_item_done" in "".join(printed)
    assert "All checks passed!" in printed[-1]
    assert "Success: no issues found" in printed[-1]
    # The app's tests cover all of its lines.
    assert re.search(r"^TOTAL .* 100%$", printed[-1], re.MULTILINE)
    assert "apps/todo" not in printed[-1].partition("tests coverage")[2]
    # Its place is the one that updates leave alone: tests/updates/test_places_of_owners.py.
    for name, line in (("settings/base", '"apps.todo"'), ("urls", 'path("todo/", include("apps.todo.urls"))')):
        assert f"{MARKER}\n    {line},\n" in (project / f"config/{name}.py").read_text()


def follow_agents(project: Path, environments: Environments, tmp_path: Path) -> None:
    """Run the commands of AGENTS.md: a new app is green, and what is to be seen is seen."""
    (project / "docs/AGENTS.md").write_text((project / "AGENTS.md").read_text())
    (state := tmp_path / "agents").mkdir()
    assistant = Reader(project / "docs/AGENTS.md", state, environments.at_work(project))
    (project / "docs/AGENTS.md").unlink()
    assert {block.language for block in blocks(project / "AGENTS.md")} == {PASTED}
    printed = assistant.follow("Commands")
    assert "No changes detected" in printed
    assert "Success: no issues found" in printed
    assert re.search(r"^TOTAL .* 100%$", printed, re.MULTILINE)
    assert "PASS  " in printed
    assert "FAIL  " not in printed
    assert "Rows of apps.notes.seed" in printed
    assert "No email was sent yet." in printed
    assistant.follow("Updates")
    assert not assistant.left
    assert (project / "CLAUDE.md").read_text() == "@AGENTS.md\n"


MARKER = "    # The project's own, apart from those that `copier update` changes."


@pytest.fixture
def project(render: Callable[..., Path], environments: Environments) -> tuple[Path, dict[str, str]]:
    """An installed project, and environment variables with its programs on the path."""
    folder = render(platform="gunicorn", database="sqlite", ci="none")
    return folder, project_environment(environments.install(folder))


def content(folder: Path) -> dict[Path, bytes]:
    """Return a project's files, without those that Python compiles."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"}


# Names that are refused, each with a part of the reason.
REFUSED = {
    "": "is no name of an app",
    "Todo": "is no name of an app",
    "1st": "is no name of an app",
    "to-do": "is no name of an app",
    "añade": "is no name of an app",
    "to__do": "is no name of an app",
    "a" * 41: "40 at most",
    "class": "a word of Python's own",
    "con": "Windows has no files called con",
    "com1": "Windows has no files called com1",
    # In `apps/`, in Django, and in a library, which calls it `account`.
    "pages": "taken by an app in INSTALLED_APPS",
    "auth": "taken by an app in INSTALLED_APPS",
    "account": "taken by an app in INSTALLED_APPS",
    "json": "the name of a Python module",
    "requests": "the name of a Python module",
    "deploy": "or of a folder here",
    "half": "there is apps/half",
    "pictures": "there is templates/pictures",
    "songs": "there is tests/test_songs.py",
    "health": "there is a page at /health/",
    "robots": "there is a page at /robots/",
}


def test_a_name_that_no_app_can_have_is_refused_and_nothing_changed(project: tuple[Path, dict[str, str]]) -> None:
    folder, env = project
    (folder / "apps/half").mkdir()
    (folder / "apps/half/__init__.py").touch()
    (folder / "templates/pictures").mkdir()
    (folder / "templates/pictures/list.html").touch()
    (folder / "tests/test_songs.py").touch()
    # A page of its own, and all others below it, as with a CMS.
    view = "RedirectView.as_view(url='/')"
    behind("config/urls.py", MARKER, f"    path('robots/', {view}), path('<path:rest>', {view}),")(folder)
    before = content(folder)
    # All in one process, because Django takes a second to start.
    code = "from operations.management.commands.newapp import refusal\nimport json, sys\n"
    code += "print(json.dumps({name: refusal(name) for name in json.loads(sys.stdin.read())}))"
    code = code.replace("sys.stdin.read()", repr(json.dumps(list(REFUSED))))
    shell = ["python", "manage.py", "shell", "--no-imports", "--verbosity=0", "--command", code]
    reasons = json.loads(run(shell, folder, env=env))
    assert {name: part for name, part in REFUSED.items() if part not in reasons[name]} == {}, reasons
    with pytest.raises(AssertionError, match="Nothing was changed: class is a word"):
        run(["python", "manage.py", "newapp", "class"], folder, env=env)
    assert content(folder) == before
    # A catch-all pattern does not take all names.
    run(["python", "manage.py", "newapp", "todo_list"], folder, env=env)
    assert 'path("todo-list/", include("apps.todo_list.urls"))' in (folder / "config/urls.py").read_text()


def test_an_app_that_cannot_be_finished_leaves_nothing(project: tuple[Path, dict[str, str]]) -> None:
    folder, env = project
    # The last step finds what the project lacks: URLs without `include`.
    text("config/urls.py", "from django.urls import include, path", "from django.urls import path")(folder)
    (folder / "config/urls.py").write_text(re.sub(r".*include\(.*\n", "", (folder / "config/urls.py").read_text()))
    before = content(folder)
    with pytest.raises(AssertionError, match=r"(?s)name 'include' is not defined.*Nothing was changed"):
        run(["python", "manage.py", "newapp", "todo"], folder, env=env)
    assert content(folder) == before
    # Before the first step, that a file has no place for it.
    text("config/settings/base.py", f"{MARKER}\n", "")(folder)
    before = content(folder)
    with pytest.raises(AssertionError, match=r"config/settings/base\.py needs this line once"):
        run(["python", "manage.py", "newapp", "todo"], folder, env=env)
    assert content(folder) == before
    assert not (folder / "apps/todo").exists()


def test_apps_of_any_name_are_clean(project: tuple[Path, dict[str, str]]) -> None:
    """The order of imports depends on the name, and both have rows of every member's."""
    folder, env = project
    for name in ("aa_1", "zoo"):
        run(["python", "manage.py", "newapp", name], folder, env=env)
    # As strict as the template's own code.
    text("pyproject.toml", 'module = ["apps.*", ', "module = [")(folder)
    run(["ruff", "check"], folder, env=env)
    run(["ruff", "format", "--check"], folder, env=env)
    run(["djlint", "--check", "--lint", "--quiet", "templates"], folder, env=env)
    run(["mypy"], folder, env=env)
    run(["pytest", "--quiet", "tests/test_aa_1.py", "tests/test_zoo.py"], folder, env=env)
    seed = ["python", "manage.py", "seeddevelopment"]
    run(seed, folder, env=env)
    assert "admin@example.com, ann@example.com, ben@example.com" in run(seed, folder, env=env)
    code = "from apps.zoo.models import Item; print(Item.objects.count(), list(User.objects.values_list('is_staff')))"
    code += (
        "; from django.test import Client; print(Client().login(username='ann@example.com', password='development'))"
    )
    code = f"from apps.accounts.models import User; {code}"
    shell = ["python", "manage.py", "shell", "--no-imports", "--verbosity=0", "--command", code]
    assert run(shell, folder, env=env).split("\n")[:2] == ["6 [(True,), (False,), (False,)]", "True"]
    with pytest.raises(AssertionError, match="Nothing was created: everybody knows these passwords"):
        run(seed, folder, env={**env, "DJANGO_SETTINGS_MODULE": "config.settings.test"})

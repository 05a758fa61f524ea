"""The rendered Makefile's targets do what `make help` says."""

import json
import re
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from tests.support.environments import Environments, run
from tests.support.faults import text
from tests.support.redis import Redis
from tests.support.servers import HANGS, eventually, free_port, running

Render = Callable[..., Path]


@pytest.fixture
def at_work(render: Render, environments: Environments) -> tuple[Path, dict[str, str]]:
    """An installed project, and the variables with which its `make` finds uv and the environment."""
    project = render()
    return project, environments.at_work(project)


def test_help_lists_every_target(at_work: tuple[Path, dict[str, str]]) -> None:
    project, env = at_work
    targets = re.findall(r"^([a-z-]+):", (project / "Makefile").read_text(), re.MULTILINE)
    listed = re.findall(r"^make ([a-z-]+) ", run(["make"], project, env=env), re.MULTILINE)
    assert listed == [target for target in targets if target != "uv"]
    assert {"help", "dev", "dev-all", "test", "lint", "smoke"} <= set(listed)


@pytest.mark.parametrize("target", ["dev", "dev-all"])
def test_a_fresh_project_serves_its_home_page(
    at_work: tuple[Path, dict[str, str]], target: str, tmp_path: Path
) -> None:
    project, env = at_work
    port = free_port()
    with running(["make", target, f"PORT={port}"], project, env, tmp_path / "log") as server:
        server.wait_until_it_answers(f"http://127.0.0.1:{port}/")
        answer = requests.get(f"http://127.0.0.1:{port}/", timeout=HANGS)
        assert (answer.status_code, "Todo List" in answer.text) == (200, True), server.output()
        style = re.findall(r'href="(/static/site[^"]*\.css)"', answer.text)
        assert requests.get(f"http://127.0.0.1:{port}{style[0]}", timeout=HANGS).status_code == 200
        server.stop(signal.SIGINT)


TASKS = """
from pathlib import Path

from django.tasks import task


@task
def write_down() -> None:
    with Path("trace").open("a") as trace:
        trace.write("as it was\\n")
"""


@pytest.mark.parametrize("tasks", ["database", "celery"])
def test_all_that_the_site_needs_runs_in_one_terminal_and_is_reloaded(
    render: Render, environments: Environments, redis_server: Redis, tmp_path: Path, tasks: str
) -> None:
    project = render(platform="gunicorn", tasks=tasks, ci="none")
    env = environments.at_work(project)
    port, redis = free_port(), str(redis_server.port)
    (project / "apps/pages/tasks.py").write_text(TASKS)
    (project / "trace").touch()
    asks = {**env, "DATABASE_URL": "", "TASKS_IN_WORKER": "true", "CELERY_BROKER_URL": redis_server.url}
    code = "from apps.pages.tasks import write_down; write_down.enqueue()"

    def is_written(line: str) -> bool:
        run(["uv", "run", "python", "manage.py", "shell", "--no-imports", "--command", code], project, env=asks)
        return line in (project / "trace").read_text().splitlines()

    command = ["make", "dev-all", f"PORT={port}", *([f"REDIS_PORT={redis}"] if tasks == "celery" else [])]
    with running(command, project, env, tmp_path / "log") as server:
        server.wait_until_it_answers(f"http://127.0.0.1:{port}/")
        assert "run in a worker" in page(f"http://127.0.0.1:{port}/")
        assert eventually(lambda: is_written("as it was")), server.output()
        # An email that another process sent is on the home page too.
        run(["uv", "run", "python", "manage.py", "sendtestemail", "ann@example.com"], project, env=asks)
        assert "to ann@example.com" in page(f"http://127.0.0.1:{port}/")
        assert "To: ann@example.com" in run(["make", "mails"], project, env=env)
        text("apps/pages/tasks.py", "as it was", "as it is now")(project)
        assert eventually(lambda: is_written("as it is now")), server.output()
        assert ("beat.1" in server.output()) == (tasks == "celery")
        # An error in the code ends neither the site nor the worker for longer than until it is corrected.
        views = project / "apps/pages/views.py"
        good = views.read_text()
        views.write_text("def (")
        assert eventually(lambda: "manage.py worker ended, and is started again" in server.output()), server.output()
        views.write_text(good)
        text("apps/pages/tasks.py", "as it is now", "corrected")(project)
        assert eventually(lambda: is_written("corrected")), server.output()
        server.stop(signal.SIGINT)
    assert eventually(lambda: not at_home(project))


def test_a_development_container_installs_the_project_and_forwards_its_port(
    at_work: tuple[Path, dict[str, str]],
) -> None:
    project, env = at_work
    container = json.loads((project / ".devcontainer/devcontainer.json").read_text())
    # The test's uv is there; the image's comes from pipx.
    assert "pipx install uv" in container["postCreateCommand"]
    run(["sh", "-c", container["postCreateCommand"]], project, env=env)
    served = re.findall(r"(?m)^PORT \?= (\d+)$", (project / "Makefile").read_text())
    assert [str(port) for port in container["forwardPorts"]] == served
    assert container["image"].endswith(f"/python:{(project / '.python-version').read_text().strip()}")


def at_home(folder: Path) -> list[str]:
    """Return the IDs of the processes whose working directory is a folder."""
    return [link.parent.name for link in Path("/proc").glob("[0-9]*/cwd") if links_to(link, folder)]


def links_to(link: Path, folder: Path) -> bool:
    """Return whether a link leads to a folder; False if its process has ended or is another user's."""
    try:
        return link.readlink() == folder
    except OSError:
        return False


def test_without_redis_it_says_what_to_start(render: Render, environments: Environments) -> None:
    project = render(platform="heroku", tasks="celery", ci="none")
    # With no Docker to start it.
    (tools := project.parent / "no-docker").mkdir()
    for program in ("make", "sh", "awk", "uv", "env"):
        found = shutil.which(program, path=(env := environments.at_work(project))["PATH"])
        assert found
        (tools / program).symlink_to(found)
    port = free_port()
    with pytest.raises(AssertionError, match=f"none answers at redis://127.0.0.1:{port}/0. Start one"):
        run(["make", "dev-all", f"REDIS_PORT={port}"], project, env={**env, "PATH": str(tools)})


def test_messages_are_collected_and_translations_of_them_are_used(at_work: tuple[Path, dict[str, str]]) -> None:
    if not shutil.which("xgettext"):
        pytest.skip("no gettext")
    project, env = at_work
    run(["make", "messages", "LOCALE=de"], project, env=env)
    catalogue = project / "locale/de/LC_MESSAGES/django.po"
    untranslated = 'msgid "Something went wrong"\nmsgstr ""'
    assert untranslated in catalogue.read_text()
    catalogue.write_text(catalogue.read_text().replace(untranslated, untranslated[:-1] + 'Etwas ging schief"'))
    run(["make", "messages"], project, env=env)
    code = (
        "from django.utils.translation import activate, gettext; activate('de'); print(gettext('Something went wrong'))"
    )
    said = run(["uv", "run", "python", "manage.py", "shell", "--no-imports", "--command", code], project, env=env)
    assert said.splitlines()[-1] == "Etwas ging schief"


def test_production_variables_in_dotenv_leave_development_alone(
    at_work: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    project, env = at_work
    production = "DJANGO_SETTINGS_MODULE=config.settings.production\nDATABASE_URL=postgresql://site@database/site\n"
    (project / ".env").write_text(production)
    port = free_port()
    with running(["make", "dev", f"PORT={port}"], project, env, tmp_path / "log") as server:
        server.wait_until_it_answers(f"http://127.0.0.1:{port}/")
        assert page(f"http://127.0.0.1:{port}/"), server.output()
        assert "config.settings.development" in server.output()
        server.stop(signal.SIGINT)
    assert (project / "db.sqlite3").exists()


def test_the_server_outlives_an_error_while_one_works(at_work: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    project, env = at_work
    url = f"http://127.0.0.1:{(port := free_port())}/"
    views = project / "apps/pages/views.py"
    good = views.read_text()
    with running(["make", "dev", f"PORT={port}"], project, env, tmp_path / "log") as server:
        server.wait_until_it_answers(url)
        # The server checks for changes once a second, and must check once after each start before a change.
        time.sleep(2.5)
        views.write_text("def (")
        assert eventually(lambda: "SyntaxError" in server.output()), server.output()
        time.sleep(2.5)
        views.write_text(good.replace('"pages/home.html"', '"404.html"'))
        assert eventually(lambda: "There is no page" in page(url)), server.output()
        server.stop(signal.SIGINT)


def page(url: str) -> str:
    """Return a page's text; empty while no server answers."""
    try:
        return requests.get(url, timeout=5).text
    except requests.ConnectionError:
        return ""


def test_a_fresh_project_passes_its_lint(at_work: tuple[Path, dict[str, str]]) -> None:
    project, env = at_work
    run(["make", "lint"], project, env=env)


def test_format_mends_what_can_be_mended(at_work: tuple[Path, dict[str, str]]) -> None:
    project, env = at_work
    before = (project / "config/urls.py").read_text()
    first, second = "from django.contrib import admin\n", "from django.urls import include, path\n"
    assert first + second in before
    (project / "config/urls.py").write_text(
        before.replace(first + second, second + first).replace("\nhandler500 = ", "\nhandler500  =")
    )
    run(["make", "format"], project, env=env)
    assert (project / "config/urls.py").read_text() == before


def test_without_uv_it_says_where_to_get_it(at_work: tuple[Path, dict[str, str]]) -> None:
    project, env = at_work
    tools = project.parent / "no-uv"
    tools.mkdir()
    for program in ("make", "sh", "awk"):
        found = shutil.which(program)
        assert found
        (tools / program).symlink_to(found)
    with pytest.raises(AssertionError, match=r"uv is not installed\. See https://docs.astral.sh/uv"):
        run(["make", "dev"], project, env={**env, "PATH": str(tools)})

"""A deploy to PythonAnywhere that fails: the release before goes on serving, and the message says what to do."""

import contextlib
import json
import os
import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Thread
from typing import Any, override

import pytest

from tests.platforms.conftest import on_pythonanywhere
from tests.support.databases import PostgreSQL
from tests.support.environments import uv
from tests.support.faults import text
from tests.support.pythonanywhere.account import API_HOST
from tests.support.pythonanywhere.live import Laptop, Live, variables

Break = Callable[[Live], object]

OLD_PYTHON = Path("/usr/bin/python3")


@pytest.fixture
def serves_as_before(live: Live) -> Iterator[None]:
    """The release before goes on serving, and nothing is left of the one that failed."""
    first, page = live.current, live.ask().text
    yield
    assert (live.current, live.releases) == (first, [first])
    assert live.ask().text == page


def pushed(*changes: Callable[[Path], object]) -> Break:
    """Push a change of the project."""
    return lambda live: live.laptop.change(*changes)


def environment(**changed: str | None) -> Break:
    """Change values in `.env`; None deletes one."""

    def write(live: Live) -> None:
        values = {**variables(), **changed}
        lines = [f"{name}={value}\n" for name, value in values.items() if value is not None]
        (live.folder / ".env").write_text("".join(lines))

    return write


def added(name: str, content: str) -> Callable[[Path], object]:
    """Add a file to the project."""

    def write(project: Path) -> None:
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(content)

    return write


MIGRATION = """from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("accounts", "0001_initial")]
    operations = [migrations.RunSQL("SELECT * FROM no_such_table")]
"""

# What breaks, the step that fails, and what the message says of it and of what to do.
FAULTS: dict[str, tuple[Break, str, list[str]]] = {
    "a dirty tree": (
        lambda live: (live.folder / "repository/manage.py").write_text(""),
        "1/10 pull",
        ["M manage.py", "Commit and push them", "nothing has changed"],
    ),
    "a history that was rewritten": (
        lambda live: (
            live.laptop.git("commit", "--quiet", "--amend", "-m", "Other"),
            live.laptop.git("push", "-f", "-q"),
        ),
        "1/10 pull",
        ["does not follow from what is here"],
    ),
    "no .env": (lambda live: (live.folder / ".env").unlink(), "", [".env is not there. Make it from"]),
    "a .env in git": (pushed(added(".gitignore", ""), added(".env", "A=1")), "", ["git rm --cached .env"]),
    "requirements that are not the lock's": (
        pushed(text("requirements.txt", "django==6", "django==5")),
        "2/10 install",
        ["requirements.txt says django==5", "uv export"],
    ),
    "a package whose hash differs": (
        pushed(lambda project: swap_hashes(project / "requirements.txt")),
        "2/10 install",
        ["DO NOT MATCH THE HASHES", "the packages could not be installed"],
    ),
    "no values": (
        environment(SECRET_KEY=None, ALLOWED_HOSTS="https://example.com", DATABASE_URL=""),
        "3/10 check the settings and the database",
        ["3 problem(s)", "SECRET_KEY: not set", "ALLOWED_HOSTS: 'https://example.com'", "DATABASE_URL: not set"],
    ),
    "no settings module": (
        environment(DJANGO_SETTINGS_MODULE=None),
        "3/10 check",
        ["DJANGO_SETTINGS_MODULE: has to be"],
    ),
    "WAL on a network disk": (
        environment(DATABASE_URL="sqlite:////home/todolist/todo-list/db.sqlite3"),
        "3/10 check",
        ["WAL is not safe", "PRAGMA%20journal_mode%3DDELETE"],
    ),
    "files inside of a release": (
        environment(DATABASE_URL="sqlite:///db.sqlite3", LOG_FILE="/home/todolist/todo-list/releases/site.log"),
        "3/10 check",
        ["DATABASE_URL: the file would be lost", "LOG_FILE: it would be lost"],
    ),
    "a first host that is no web app's": (
        environment(ALLOWED_HOSTS=".example.com"),
        "3/10 check",
        ["like todolist.python"],
    ),
    "code that does not start": (
        pushed(text("apps/pages/urls.py", "urlpatterns", "1 / 0\nurlpatterns")),
        "3/10 check",
        ["ZeroDivisionError"],
    ),
    "a database that does not answer": (
        environment(
            DATABASE_URL="sqlite:////home/todolist/todo-list/media?init_command=PRAGMA%20journal_mode%3DDELETE"
        ),
        "3/10 check",
        ["DATABASE_URL: the database does not answer: unable to open"],
    ),
    "an option that is none": (
        environment(
            DATABASE_URL="sqlite:////home/todolist/db?sslmode=require&init_command=PRAGMA%20journal_mode%3DDELETE"
        ),
        "3/10 check",
        ["DATABASE_URL: an option after its ? is none of this database's", "sslmode"],
    ),
    "another Python": (
        lambda live: setattr(live.platform.webapps[live.platform.domain], "python_version", "3.10"),
        "4/10 ask the platform",
        ["the web app runs Python 3.10", "choose 3.13 on the platform's Web page"],
    ),
    "a file that a style sheet names and that is not there": (
        pushed(added("static/broken.css", "body { background: url(no-such.png) }")),
        "5/10 collect the static files",
        ["no-such.png", "`manage.py collectstatic` failed"],
    ),
    "a migration that fails": (
        pushed(added("apps/accounts/migrations/0002_broken.py", MIGRATION)),
        "6/10 migrate",
        ["no such table", "`manage.py migrate` failed", "some migrations may be applied"],
    ),
}


# Here Python or Django show where it is.
DJANGOS_OWN = (
    "code that does not start",
    "a file that a style sheet names and that is not there",
    "a migration that fails",
)


def swap_hashes(requirements: Path) -> None:
    """Let each package have the hashes of no file, and be installed anew."""
    requirements.write_text(re.sub("sha256:....", "sha256:0000", requirements.read_text()))


@pytest.mark.usefixtures("serves_as_before")
@pytest.mark.parametrize("fault", FAULTS)
def test_a_deploy_that_is_stopped_by(live: Live, fault: str) -> None:
    breaks, step, said = FAULTS[fault]
    breaks(live)
    printed = live.deploy(code=1)
    failed = re.findall(r"^(.*): failed after", printed, re.MULTILINE)
    assert [name.startswith(step) for name in failed] == ([True] if step else [])
    for each in said:
        assert each in printed, printed
    assert "serves as before" in printed
    assert "Traceback" not in printed or fault in DJANGOS_OWN


@pytest.mark.usefixtures("serves_as_before")
def test_a_deploy_without_the_package_index_stops(live: Live) -> None:
    # Another lock, and so other packages.
    live.laptop.change(text("requirements.txt", "# This file", "# This changed file"))
    nowhere = {name: "" for name in live.account.environment if name.startswith("PIP_")}
    nowhere |= {"PIP_INDEX_URL": "http://127.0.0.1:9/", "PIP_CONFIG_FILE": os.devnull, "PIP_RETRIES": "0"}
    printed = live.deploy(code=1, **nowhere)
    assert "2/10 install: failed" in printed
    assert "the packages could not be installed, for the reason above" in printed


# What is wrong with the way to the platform's API: the variables of the console, and what is said of them.
UNKNOWN = {
    "no token": ({"API_TOKEN": ""}, "there is no API token"),
    "a token with a line's end": ({"API_TOKEN": "one\ntwo"}, "there is no API token, or one with a space"),
    "a token that was taken back": ({"API_TOKEN": "0" * 40}, "does not know the API token in API_TOKEN: make one"),
    "somebody else's account": ({"PYTHONANYWHERE_USERNAME": "somebody"}, "has to be one of the account somebody"),
    "an address for a host": ({"PYTHONANYWHERE_SITE": f"https://{API_HOST}"}, "PYTHONANYWHERE_SITE is a host name"),
    "a host that is not there": ({"PYTHONANYWHERE_SITE": "127.0.0.1:9"}, "gave no answer (ConnectionError)"),
}


@pytest.mark.usefixtures("serves_as_before")
def test_a_deploy_that_the_platform_does_not_know_stops_before_anything_is_migrated(live: Live) -> None:
    for given, said in UNKNOWN.values():
        printed = live.deploy(code=1, **given)
        assert "4/10 ask the platform: failed" in printed
        assert said in printed
        assert "Traceback" not in printed
        assert given.get("API_TOKEN", "no token") not in printed or given["API_TOKEN"] == ""


def test_a_reload_that_is_refused_leaves_the_release_before(live: Live) -> None:
    first = live.current
    live.platform.broken["POST", "/reload/"] = (500, {"detail": "Something broke."})
    printed = live.deploy(code=1)
    assert "9/10 reload: failed" in printed
    assert "the platform failed" in printed
    assert f"Going back to {first} failed too" in printed
    assert f"The next start of the web server is {first}'s" in printed
    assert live.current == first
    assert live.ask().status == 200
    # And the next deploy mends it.
    live.platform.broken.clear()
    live.deploy("--without-smoke")
    assert live.current != first


def test_a_call_too_many_waits_as_long_as_it_is_told(live: Live) -> None:
    live.platform.minute = 10
    wanted = {"domain": live.platform.domain, "python": "3.13"}
    wanted |= dict.fromkeys(("virtualenv", "source", "media", "media_url", "static_url"), "")
    look = [
        "todo-list/current/.venv/bin/python",
        "todo-list/current/deploy/pythonanywhere_api.py",
        "look",
        json.dumps(wanted),
    ]
    live.platform.recent["GET /webapps/"].extend([time.monotonic()] * 40)
    printed = live.account.run(*look)
    assert re.search(r"the platform takes 40 calls a minute; waiting \d+ s, as it says", printed)
    assert f"there is the web app {live.platform.domain}" in printed


def test_the_stand_in_refuses_what_the_platform_refuses(live: Live) -> None:
    """By the platform's own program, and what it shows of the answer."""
    pa = ["pa", "webapp", "list"]
    assert live.platform.domain in live.account.run(*pa)
    for variables_, status in (({"API_TOKEN": "0" * 40}, "401"), ({"PYTHONANYWHERE_USERNAME": "somebody"}, "403")):
        assert f"{status}" in live.account.run(*pa, code=1, **variables_)
    assert "404" in live.account.run("pa", "webapp", "reload", "--domain", "no.example.com", code=1)
    assert "404" in live.account.run("pa", "path", "tree", "/home/todolist", code=1)
    live.platform.recent["GET /webapps/"].extend([time.monotonic()] * 40)
    assert "429" in live.account.run(*pa, code=1)


def test_two_deploys_at_once_are_one(live: Live) -> None:
    command = ["python3.13", "todo-list/repository/deploy/pythonanywhere.py", "--without-smoke"]
    with subprocess.Popen(
        live.account.command(command), env=live.account.environment, stdout=subprocess.PIPE, text=True
    ) as one:
        assert one.stdout is not None
        assert any(line.startswith("1/10") for line in one.stdout)
        assert "another deploy is at work" in live.deploy("--rollback", code=1)
        one.communicate()
        assert one.returncode == 0
    assert len(live.releases) == 2


def test_a_deploy_that_was_killed_is_taken_up_by_the_next(live: Live) -> None:
    first = live.current
    (live.folder / "releases/0002-0123abcd.new").mkdir()
    (live.folder / "releases/0002-0123abcd.new/.env").touch()
    live.deploy("--without-smoke")
    assert live.releases == [first, live.current]


@pytest.mark.usefixtures("serves_as_before")
def test_a_deploy_where_it_does_not_belong_says_where_it_does(live: Live) -> None:
    run = live.account.run
    run("git", "clone", "--quiet", str(live.laptop.origin), "elsewhere")
    printed = run("python3.13", "elsewhere/deploy/pythonanywhere.py", code=1)
    assert "the web server looks for the site in /home/todolist/todo-list" in printed
    if OLD_PYTHON.exists():
        printed = run(str(OLD_PYTHON), "todo-list/repository/deploy/pythonanywhere.py", code=1)
        assert "and .python-version asks for 3.13: python3.13" in printed
    for wrong in ("-oProxyCommand=x@y", "nobody", "a@b c"):
        assert "--ssh wants the account and the host" in live.deploy(f"--ssh={wrong}", code=2)
    assert "--commit wants what" in live.deploy("--commit=HEAD; id", code=2)
    older = live.laptop.git("rev-parse", "HEAD~1")
    assert "is older than what is here" in live.deploy("--commit", older, code=1)


class OlderServer(BaseRequestHandler):
    """Passes on what a client and PostgreSQL say, but for the server's version."""

    server: Any

    @override
    def handle(self) -> None:
        with socket.create_connection(("127.0.0.1", self.server.behind)) as server:

            def answers() -> None:
                with contextlib.suppress(OSError):
                    while said := server.recv(65536):
                        self.request.sendall(re.sub(rb"(server_version\0)\d\d\.\d", rb"\g<1>14.9", said))
                    self.request.shutdown(socket.SHUT_RDWR)

            thread = Thread(target=answers)
            thread.start()
            with contextlib.suppress(OSError):
                while asked := self.request.recv(65536):
                    server.sendall(asked)
                server.shutdown(socket.SHUT_RDWR)
            thread.join()


def test_a_postgresql_that_is_too_old_stops_the_first_deploy(
    template: Path, tmp_path: Path, database: PostgreSQL
) -> None:
    (tmp_path / "laptop").mkdir()
    laptop = Laptop.fresh(template, tmp_path / "laptop")
    laptop.lock()
    laptop.push("Lock")
    with (
        on_pythonanywhere(tmp_path / "platform") as platform,
        ThreadingTCPServer(("127.0.0.1", 0), OlderServer) as older,
    ):
        older.behind = database.port  # type: ignore[attr-defined]  # for the handler
        thread = Thread(target=older.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        live = Live(platform, laptop)
        url = database.url.replace(f":{database.port}/", f":{older.server_address[1]}/")
        live.set_up({**variables(), "DATABASE_URL": url})
        # Where uv is there, it installs, and needs no requirements.txt.
        live.account.provide("uv", Path(uv()))
        laptop.git("rm", "--quiet", "requirements.txt")
        laptop.push("Have no requirements.txt")
        printed = live.deploy(code=1)
        older.shutdown()
        thread.join()
        assert "PostgreSQL 15 or later is required (found 14" in printed
        assert "Take a newer server" in printed
        assert "Nothing serves yet; nothing has changed for it." in printed
        assert platform.webapps == {}

"""If a deploy to PythonAnywhere fails, the previous release keeps serving, and the message says what to do."""

import contextlib
import json
import os
import re
import socket
import subprocess
import time
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Thread
from typing import Any, override

import pytest

from stand_ins.pythonanywhere.account import API_HOST, EUROPE
from stand_ins.pythonanywhere.live import Laptop, Live, on_pythonanywhere, variables
from tests.support.databases import PostgreSQL
from tests.support.environments import uv
from tests.support.faults import text

OLD_PYTHON = Path("/usr/bin/python3")


@pytest.mark.usefixtures("serves_as_before")
def test_a_deploy_without_the_package_index_stops(live: Live) -> None:
    # A change of the lock file, and so of the packages.
    live.laptop.change(text("requirements.txt", "# This file", "# This changed file"))
    nowhere = {name: "" for name in live.account.environment if name.startswith("PIP_")}
    nowhere |= {"PIP_INDEX_URL": "http://127.0.0.1:9/", "PIP_CONFIG_FILE": os.devnull, "PIP_RETRIES": "0"}
    printed = live.deploy(code=1, **nowhere)
    assert "2/10 install: failed" in printed
    assert "the packages could not be installed, for the reason above" in printed


# Faults in reaching the platform's API: the console's variables, and the message.
UNKNOWN = {
    "no token": ({"API_TOKEN": ""}, "there is no API token"),
    "a token with a line's end": ({"API_TOKEN": "one\ntwo"}, "there is no API token, or one with a space"),
    "a token that was taken back": ({"API_TOKEN": "0" * 40}, "does not know the API token in API_TOKEN: make one"),
    "somebody else's account": ({"PYTHONANYWHERE_USERNAME": "somebody"}, "has to be one of the account somebody"),
    "an address for a host": ({"PYTHONANYWHERE_SITE": f"https://{API_HOST}"}, "PYTHONANYWHERE_SITE is a host name"),
    "the other system": (
        {"PYTHONANYWHERE_SITE": EUROPE},
        f"this account is at {EUROPE}, and ALLOWED_HOSTS begins with todolist.pythonanywhere.com. Write NAME.{EUROPE}",
    ),
    "a host that is not there": ({"PYTHONANYWHERE_SITE": "127.0.0.1:9"}, "gave no answer (ConnectionError)"),
}


@pytest.mark.usefixtures("serves_as_before")
def test_a_deploy_that_the_platform_does_not_know_stops_before_anything_is_migrated(live: Live) -> None:
    for given, said in UNKNOWN.values():
        printed = live.deploy(code=1, **given)
        assert "4/10 ask the platform: failed" in printed
        assert said in printed
        assert "Traceback" not in printed
        assert not given.get("API_TOKEN") or given["API_TOKEN"] not in printed


def test_a_reload_that_is_refused_leaves_the_release_before(live: Live) -> None:
    first = live.current
    live.platform.broken["POST", "/reload/"] = (500, {"detail": "Something broke."})
    printed = live.deploy(code=1)
    assert "9/10 reload: failed" in printed
    assert "the platform failed" in printed
    assert f"Rolling back to {first} failed too" in printed
    assert f"The next start of the web server is {first}'s" in printed
    assert live.current == first
    assert live.ask().status == 200
    # The next deploy repairs it.
    live.platform.broken.clear()
    live.deploy("--without-smoke")
    assert live.current != first


def test_a_call_too_many_waits_as_long_as_it_is_told(live: Live) -> None:
    live.platform.minute = 10
    wanted = {"domain": live.platform.domain, "python": "3.13"}
    wanted |= dict.fromkeys(("virtualenv", "source", "media_url", "static_url"), "")
    look = [
        "todo-list/current/.venv/bin/python",
        "todo-list/current/deploy/pythonanywhere_api.py",
        "look",
        json.dumps({**wanted, "processes": []}),
    ]
    live.platform.recent["GET /webapps/"].extend([time.monotonic()] * 40)
    printed = live.account.run(*look)
    assert re.search(r"the platform takes 40 calls a minute; waiting \d+ s, as it says", printed)
    assert f"there is the web app {live.platform.domain}" in printed


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
    # A failing disk does not stop it either.
    left = live.folder / "releases/0000-0123abcd"
    left.mkdir()
    (left / "file").touch()
    left.chmod(0o500)
    assert f"{left.name} is left over, and could not be deleted" in live.deploy("--without-smoke")
    assert live.releases == [left.name, first, live.current]


def test_a_disk_that_refuses_is_told_in_words_and_leaves_the_release_before(live: Live) -> None:
    first = live.current
    # A file where the deploy makes the link for the switch.
    (live.folder / ".current").mkdir()
    printed = live.deploy(code=1)
    assert "7/10 switch to 0002-" in printed
    assert "FAILED: /home/todolist/todo-list/.current: Is a directory" in printed
    assert f"The next start of the web server is {first}'s" in printed
    assert "Traceback" not in printed
    assert live.current == first
    assert live.ask().status == 200


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
    """A proxy between a client and PostgreSQL that changes only the server's version."""

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
        # If uv is there, it installs the packages and needs no requirements.txt.
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

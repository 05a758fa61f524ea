"""The emulated PythonAnywhere behaves as the tests expect, shown without a project."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stand_ins.pythonanywhere.account import API_HOST, TOKEN
from stand_ins.pythonanywhere.live import USER, on_pythonanywhere
from stand_ins.pythonanywhere.platform import Page, Platform
from tests.support.servers import eventually

# A web app that returns the request and the number of its own start.
APP = """
import json
STARTED = {number}
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json")])
    told = {{name: str(value) for name, value in environ.items()}}
    return [json.dumps({{"started": STARTED, "environ": told}}).encode()]
"""


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    """The platform, and an account with a web app."""
    with on_pythonanywhere(tmp_path) as running:
        made = call(running, "POST", "/webapps/", domain_name=running.domain, python_version="python313")
        assert made.status == 200
        yield running


def call(platform: Platform, method: str, endpoint: str, **fields: Any) -> Page:
    """Call the API as an external program does."""
    path = f"/api/v0/user/{USER}{endpoint}"
    return platform.ask(
        API_HOST, path, method=method, fields=fields or None, headers={"Authorization": f"Token {TOKEN}"}
    )


def application(platform: Platform, number: int) -> None:
    """Write the web app's WSGI file."""
    file = platform.account.www / f"{platform.domain.replace('.', '_')}_wsgi.py"
    file.write_text(APP.format(number=number))


def test_a_new_web_app_greets_the_world_and_a_reload_brings_its_own_code(platform: Platform) -> None:
    assert "Hello, World!" in platform.ask(platform.domain, "/").text
    application(platform, 1)
    assert call(platform, "POST", f"/webapps/{platform.domain}/reload/").status == 200
    assert json.loads(platform.ask(platform.domain, "/").text)["started"] == 1
    # Touching the WSGI file reloads too, like the platform's "Reload" button.
    application(platform, 2)
    # uWSGI compares whole seconds.
    later = time.time() + 2
    os.utime(platform.account.www / f"{platform.domain.replace('.', '_')}_wsgi.py", (later, later))
    assert eventually(lambda: '"started": 2' in platform.ask(platform.domain, "/").text)


def test_the_front_tells_the_app_the_visitors_address_and_nothing_of_https(platform: Platform) -> None:
    application(platform, 1)
    call(platform, "POST", f"/webapps/{platform.domain}/reload/")
    told = {"X-Forwarded-Proto": "https", "X-Real-IP": "203.0.113.9"}
    environ = json.loads(platform.ask(platform.domain, "/a?b=c", headers=told).text)["environ"]
    assert (environ["PATH_INFO"], environ["QUERY_STRING"]) == ("/a", "b=c")
    assert "HTTP_X_FORWARDED_PROTO" not in environ
    assert environ["HTTP_X_REAL_IP"].startswith("127.")


def test_http_is_redirected_where_the_web_app_wants_it(platform: Platform) -> None:
    assert platform.ask(platform.domain, "/a", tls=False).status == 200
    assert call(platform, "PATCH", f"/webapps/{platform.domain}/", force_https="true").status == 200
    redirected = platform.ask(platform.domain, "/a", tls=False)
    assert (redirected.status, redirected.headers["Location"]) == (301, f"https://{platform.domain}/a")


def test_static_files_are_served_from_the_account_and_from_nowhere_else(platform: Platform) -> None:
    files = platform.account.home / "static"
    files.mkdir()
    (files / "site.css").write_text("a {}")
    (platform.account.home / "secret.txt").write_text("secret")
    endpoint = f"/webapps/{platform.domain}/static_files/"
    mapped = call(platform, "POST", endpoint, url="/static/", path=f"/home/{USER}/static")
    assert mapped.status == 201
    page = platform.ask(platform.domain, "/static/site.css")
    assert (page.status, page.text, page.headers["Content-Type"]) == (200, "a {}", "text/css")
    assert platform.ask(platform.domain, "/static/../secret.txt").status == 404
    assert platform.ask(platform.domain, "/static/none.css").status == 404
    assert call(platform, "DELETE", f"{endpoint}{json.loads(mapped.text)['id']}/").status == 204
    assert "Hello" in platform.ask(platform.domain, "/static/site.css").text


def test_an_always_on_task_is_started_again_and_ends_with_the_platform(tmp_path: Path) -> None:
    with on_pythonanywhere(tmp_path) as platform:
        command = "echo $$ >>~/started; exec sleep 600"
        number = json.loads(call(platform, "POST", "/always_on/", command=command).text)["id"]
        started = platform.account.home / "started"
        assert eventually(lambda: started.exists() and started.read_text().count("\n") == 1)
        assert call(platform, "POST", f"/always_on/{number}/restart/").status == 200
        assert eventually(lambda: started.read_text().count("\n") == 2)
        task = platform.always_on[number].process
        assert task
    assert task.process.poll() is not None


def test_a_free_account_has_one_web_app_and_no_tasks(platform: Platform) -> None:
    platform.paid = False
    second = call(platform, "POST", "/webapps/", domain_name="www.example.com", python_version="python313")
    assert second.status == 403
    assert call(platform, "POST", "/always_on/", command="true").status == 403
    task = call(platform, "POST", "/schedule/", command="true", interval="daily", hour=3, minute=4)
    assert task.status == 403


@pytest.mark.parametrize(
    ("method", "endpoint", "fields", "status"),
    [
        ("POST", "/webapps/", {"domain_name": "www.example.com"}, 400),
        ("POST", "/webapps/", {"domain_name": "www.example.com", "python_version": "python27"}, 400),
        ("PATCH", "/webapps/no.example.com/", {"force_https": "true"}, 404),
        ("DELETE", "/webapps/", {}, 405),
        ("POST", "/schedule/", {"command": "true", "interval": "weekly", "minute": 1}, 400),
        ("GET", "/files/", {}, 404),
    ],
)
def test_what_is_not_known_is_refused(
    platform: Platform, method: str, endpoint: str, fields: dict[str, Any], status: int
) -> None:
    assert call(platform, method, endpoint, **fields).status == status


def test_the_stand_in_refuses_what_the_platform_refuses(platform: Platform) -> None:
    """Tested with the platform's own program, which shows the answers."""
    pa = ["pa", "webapp", "list"]
    assert platform.domain in platform.account.run(*pa)
    for given, status in (({"API_TOKEN": "0" * 40}, "401"), ({"PYTHONANYWHERE_USERNAME": "somebody"}, "403")):
        assert status in platform.account.run(*pa, code=1, **given)
    assert "404" in platform.account.run("pa", "webapp", "reload", "--domain", "no.example.com", code=1)
    assert "404" in platform.account.run("pa", "path", "tree", f"/home/{USER}", code=1)
    platform.recent["GET /webapps/"].extend([time.monotonic()] * 40)
    assert "429" in platform.account.run(*pa, code=1)


def test_nothing_of_the_stand_in_is_seen_outside(platform: Platform) -> None:
    (platform.account.home / "written").write_text("by the account")
    assert platform.account.run("cat", f"/home/{USER}/written") == "by the account"
    assert not Path(f"/home/{USER}").exists()
    assert platform.domain not in Path("/etc/hosts").read_text()

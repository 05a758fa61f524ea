"""In production every line is one JSON object, and each request writes one."""

import json
import os
import secrets
import signal
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.support.environments import Environments, run
from tests.support.rendering import render
from tests.support.servers import HANGS, Running, eventually
from tests.support.sites import HTTPS, Site
from tests.support.visitors import Visitor

REQUEST_KEYS = {
    "timestamp",
    "level",
    "logger",
    "message",
    "method",
    "path",
    "status_code",
    "duration_ms",
    "request_id",
    "user_id",
}


def lines(server: Running) -> list[dict[str, Any]]:
    """Return the server's log lines so far; fail on a line that is not a JSON object."""
    found = []
    for line in server.output().splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            pytest.fail(f"no JSON: {line}")
    return found


def request_lines(server: Running) -> list[dict[str, Any]]:
    """Return the log lines of requests."""
    return [line for line in lines(server) if line["logger"] == "requests"]


def test_every_line_is_json_whatever_happens(site: Site, tmp_path: Path) -> None:
    # With gunicorn's access log, as on one platform, and with all of Python's warnings.
    variables = {"GUNICORN_CMD_ARGS": "--access-logfile -", "PYTHONWARNINGS": "default", "WEB_CONCURRENCY": "2"}
    with site.started(tmp_path / "log", **variables) as server:
        site.get("/")
        site.get("/", Host="foreign.example.com")
        site.get("/nowhere/")
        requests.post(f"{site.url}/accounts/login/", headers=HTTPS, timeout=HANGS)
        site.get("/accounts/password/reset/key/1-secretkey/")
        workers = [
            int(pid)
            for pid in Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
        ]
        os.kill(workers[0], signal.SIGKILL)
        assert eventually(lambda: sum("Booting worker" in line["message"] for line in lines(server)) == 3)
        os.kill(server.process.pid, signal.SIGHUP)
        assert eventually(lambda: sum("Booting worker" in line["message"] for line in lines(server)) == 5)
        site.get("/")
    messages = [line["message"] for line in lines(server)]
    assert any("Starting gunicorn" in message for message in messages)
    assert any("SIGKILL" in message for message in messages)
    assert any("Shutting down" in message for message in messages)
    assert [line["status_code"] for line in request_lines(server)] == [200, 400, 404, 403, 200, 200]
    assert "secretkey" not in server.output()
    assert "Traceback" not in server.output()
    # One line for each request, and one more with the reason if a form was refused.
    others = {line["logger"] for line in lines(server) if line["logger"].startswith("django")}
    assert others == {"django.security.csrf"}


def test_a_requests_line_says_who_what_and_how_long(site: Site, tmp_path: Path) -> None:
    with site.started(tmp_path / "log") as server:
        asked = time.monotonic()
        assert site.get("/", **{"X-Request-ID": "from-the-proxy.7"}).headers["X-Request-ID"] == "from-the-proxy.7"
        answered = time.monotonic()
        (line,) = request_lines(server)
    assert set(line) == REQUEST_KEYS
    assert (line["level"], line["message"]) == ("INFO", "GET / 200")
    assert (line["method"], line["path"], line["status_code"]) == ("GET", "/", 200)
    assert (line["request_id"], line["user_id"]) == ("from-the-proxy.7", None)
    # Less than the time that the visitor waited, in milliseconds, which holds on a busy machine too.
    assert 0 < line["duration_ms"] < 1000 * (answered - asked)


@pytest.mark.parametrize("hostile", ["", "a b", "a" * 65, 'x"}', "ümlaut", "a;b", "../x", "%0d%0aSet-Cookie:x"])
def test_a_hostile_request_id_is_replaced(started_site: Site, hostile: str) -> None:
    headers: dict[str, str | bytes] = {"X-Forwarded-Proto": "https", "X-Request-ID": hostile.encode()}
    given = requests.get(f"{started_site.url}/", headers=headers, timeout=HANGS).headers["X-Request-ID"]
    assert given != hostile
    assert len(given) == 32


def test_levels_are_the_operators_choice(site: Site, tmp_path: Path) -> None:
    with site.started(tmp_path / "quiet", REQUEST_LOG_LEVEL="WARNING", LOG_LEVEL="WARNING") as server:
        site.get("/")
        site.get("/health/")
    assert server.output() == ""
    with site.started(tmp_path / "loud", REQUEST_LOG_LEVEL="DEBUG", LOG_LEVEL="DEBUG") as server:
        site.get("/health/")
        site.get("/ready/")
    probes = [line for line in request_lines(server) if line["path"] == "/ready/"]
    assert [(line["level"], line["status_code"]) for line in probes] == [("DEBUG", 200)]


def test_an_unhandled_error_is_one_traceback_in_the_log_and_an_id_on_the_page(
    template: Path, environments: Environments, tmp_path: Path
) -> None:
    project = render(template, tmp_path / "project", database="sqlite")
    views = project / "apps/pages/views.py"
    views.write_text(
        views.read_text().replace('    template_name = "pages/home.html"', '    template_name = "none.html"')
    )
    site = Site(project, environments, "sqlite:///db.sqlite3")
    site.prepare()
    with site.started(tmp_path / "log") as server:
        answer = site.get("/")
    assert answer.status_code == 500
    assert answer.headers["X-Request-ID"] in answer.text
    assert "TemplateDoesNotExist" not in answer.text
    tracebacks = [line for line in lines(server) if "exc_info" in line]
    assert [line["request_id"] for line in tracebacks] == [answer.headers["X-Request-ID"]]
    assert "TemplateDoesNotExist" in tracebacks[0]["exc_info"]
    assert [line["status_code"] for line in request_lines(server)] == [500]


def test_three_processes_lose_no_line_of_a_log_file(site: Site, tmp_path: Path) -> None:
    log = tmp_path / "site.log"
    program = textwrap.dedent("""
        import logging, sys, django
        django.setup()
        log = logging.getLogger("writer")
        for number in range(4000):
            log.info("%s-%05d %s", sys.argv[1], number, "x" * 1000)
    """)
    # Twelve million bytes, so that the file is rotated while all three write to it.
    script = tmp_path / "writer.py"
    script.write_text(program)
    env = {**site.environment(LOG_FILE=str(log)), "PYTHONPATH": str(site.project)}
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda name: run(["python", str(script), name], site.project, env=env), "abc"))
    files = [path for path in tmp_path.glob("site.log*") if path.stat().st_size]
    assert len(files) == 2
    # The line that reaches the limit is the last in its file.
    assert max(path.stat().st_size for path in files) < 10_010_000
    written = [json.loads(line)["message"][:7] for path in files for line in path.read_text().splitlines()]
    assert sorted(written) == [f"{name}-{number:05d}" for name in "abc" for number in range(4000)]


def test_the_user_is_named_where_a_view_asked_for_one(site: Site, tmp_path: Path) -> None:
    email, password = f"{secrets.token_hex(4)}@example.com", secrets.token_urlsafe(16)
    site.manage("createsuperuser", "--noinput", "--email", email, DJANGO_SUPERUSER_PASSWORD=password)
    with site.started(tmp_path / "log") as server:
        visitor = Visitor(site.port)
        assert visitor.log_in(email, password).status == 302
        assert visitor.ask("GET", "/admin/").status == 200
    assert isinstance(request_lines(server)[-1]["user_id"], int)

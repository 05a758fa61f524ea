"""The emulated Heroku behaves as the tests expect, shown with the real programs."""

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from stand_ins.heroku import Heroku, heroku
from stand_ins.heroku.apps import App
from tests.support.databases import PostgreSQL
from tests.support.readers import VALUES
from tests.support.servers import eventually

# An app without dependencies that returns the request.
APP = {
    ".python-version": "3.13\n",
    "pyproject.toml": '[project]\nname = "app"\nversion = "1"\nrequires-python = ">=3.12"\n',
    "Procfile": "web: python web.py\nrelease: sh release.sh\n",
    "release.sh": 'echo "Releasing for $STAGE"\n',
    "web.py": """
import json, os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        told = {"headers": dict(self.headers), "environment": dict(os.environ), "files": os.listdir()}
        content = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

open("written", "w").close()
ThreadingHTTPServer(("", int(os.environ["PORT"])), Echo).serve_forever()
""",
}


class Developer:
    """A developer with a project, a shell and an account."""

    def __init__(self, platform: Heroku, project: Path) -> None:
        self.platform = platform
        self.project = project

    def tries(self, line: str, text: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a line of shell with `text` as its input."""
        command = self.platform.command(["bash", "-euo", "pipefail", "-c", line])
        env = self.platform.environment(**variables)
        return subprocess.run(
            command, cwd=self.project, env=env, input=text, capture_output=True, text=True, timeout=120, check=False
        )

    def does(self, line: str, text: str = "", **variables: str) -> str:
        """Run a line of shell that must succeed; return its output."""
        done = self.tries(line, text, **variables)
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}{self.platform.faults}"
        return done.stdout

    def commits(self, files: dict[str, str]) -> None:
        """Write files and commit all files, including ignored ones."""
        for name, content in files.items():
            (self.project / name).parent.mkdir(parents=True, exist_ok=True)
            (self.project / name).write_text(content)
        self.does("git add --all --force && git commit --quiet --message=Change")

    @property
    def app(self) -> App:
        """Return the newest app."""
        return list(self.platform.apps.values())[-1]

    def asks(self, path: str = "/", host: str = "", **headers: str) -> requests.Response:
        """Send the app a request over plain HTTP, which needs no host name that this process cannot resolve."""
        named = {"Host": host or self.app.host, **headers}
        return requests.get(f"http://{self.platform.names.address}{path}", headers=named, timeout=90)


@contextmanager
def created(folder: Path, database: PostgreSQL) -> Iterator[Developer]:
    """Yield a developer whose app is committed and created, but not deployed."""
    project = folder / "project"
    project.mkdir()
    with heroku(folder / "heroku", database) as platform:
        developer = Developer(platform, project)
        developer.does("git init --quiet")
        developer.commits(APP)
        developer.does("uv lock --quiet")
        developer.commits({})
        developer.does("heroku create echo-app")
        yield developer


@pytest.fixture
def developer(tmp_path: Path, database: PostgreSQL) -> Iterator[Developer]:
    """A developer with a new app, for one test."""
    with created(tmp_path, database) as developer:
        yield developer


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"requirements.txt": ""}, "requirements.txt (pip)"),
        ({"runtime.txt": "python-3.13\n"}, "runtime.txt"),
        ({"pyproject.toml": APP["pyproject.toml"].replace('"1"', '"2"')}, "needs to be updated"),
        ({".venv/pyvenv.cfg": "home = /usr/bin\n"}, "Existing '.venv/' directory found"),
        ({".slugignore": "/uv.lock\n"}, "Couldn't find any supported Python package manager files"),
    ],
    ids=["two-package-managers", "runtime", "stale-lock", "virtual-environment", "slugignore"],
)
def test_a_build_that_is_rejected_rejects_the_push(developer: Developer, files: dict[str, str], reason: str) -> None:
    developer.commits(files)
    pushed = developer.tries("git push heroku HEAD:main")
    assert (pushed.returncode, reason in pushed.stderr, "Push rejected" in pushed.stderr) == (1, True, True), pushed
    assert [release.description for release in developer.app.releases] == ["Initial release", "Enable Logplex"]


def test_a_release_command_that_fails_fails_its_release_only(developer: Developer) -> None:
    developer.does("git push heroku HEAD:main")
    developer.commits({"release.sh": "echo Impossible; exit 1\n"})
    pushed = developer.tries("git push heroku HEAD:main")
    assert (pushed.returncode, "remote: Impossible" in pushed.stderr) == (0, True)
    latest = json.loads(developer.does("heroku releases --json"))[0]
    assert (latest["version"], latest["status"]) == (4, "failed")
    assert developer.does("heroku releases:output") == "Impossible\n"
    assert (developer.asks().status_code, developer.app.dynos[0].version) == (200, 3)


def test_a_rollback_brings_back_code_packages_and_config_vars(developer: Developer) -> None:
    """A package that has left the lock is not in the next release: the build syncs over what the last one installed."""
    look = "heroku run --no-tty --exit-code -- python -c 'import idna'"
    developer.does("heroku config:set STAGE=one && uv add --quiet --no-sync idna sqlparse")
    developer.commits({})
    developer.does("git push heroku HEAD:main")
    developer.does(look)
    # Values are quoted for a shell as docs/environment.md says.
    values = " ".join(shlex.quote(f"{name}={value}") for name, value in VALUES.items())
    developer.does(f"heroku config:set STAGE=two SEEN=yes {values}")
    assert eventually(lambda: VALUES.items() <= developer.asks().json()["environment"].items())
    developer.does("uv remove --quiet --no-sync idna")
    developer.commits({})
    pushed = developer.tries("git push heroku HEAD:main").stderr
    assert "- idna==" in pushed
    # What stays is not installed anew, and its program runs on the release's own Python.
    assert "sqlparse" not in pushed
    assert "No module named 'idna'" in developer.tries(look).stdout
    developer.does("heroku run --no-tty --exit-code -- sqlformat --version")
    assert "Releasing for one" in developer.does("heroku rollback v4")
    assert developer.does("heroku config:get STAGE SEEN") == "one\n\n"
    assert eventually(lambda: developer.app.dynos[0].version == 7)
    developer.does(look)
    environment = developer.asks().json()["environment"]
    assert (environment["STAGE"], "SEEN" in environment) == ("one", False)


def test_a_dyno_knows_nothing_of_this_machine_and_keeps_nothing(developer: Developer) -> None:
    developer.commits({".slugignore": "*.sh\n", "sub/more.sh": "", "Procfile": "web: python web.py\n"})
    developer.does("git push heroku HEAD:main", SECRET="mine")
    first = developer.asks().json()
    files = {
        ".heroku",
        ".python-version",
        ".slugignore",
        "Procfile",
        "pyproject.toml",
        "sub",
        "uv.lock",
        "web.py",
        "written",
    }
    assert set(first["files"]) == files
    names = "DYNO DYNO_RAM FORWARDED_ALLOW_IPS GUNICORN_CMD_ARGS HOME LANG LD_LIBRARY_PATH LIBRARY_PATH PATH PORT PWD"
    names += " PYTHONHOME PYTHONPATH PYTHONUNBUFFERED WEB_CONCURRENCY WEB_CONCURRENCY_SET_BY"
    assert set(first["environment"]) - {"LC_CTYPE", "SHLVL", "_"} == set(names.split())
    assert first["environment"]["WEB_CONCURRENCY"] == "2"
    (before,) = developer.app.dynos
    # The buildpack sets the first whatever a config var says, and the second only where none does.
    developer.does("heroku config:set FORWARDED_ALLOW_IPS=127.0.0.1 WEB_CONCURRENCY=3")
    assert eventually(lambda: developer.app.dynos[0].version > before.version)
    second = developer.asks().json()["environment"]
    assert (second["FORWARDED_ALLOW_IPS"], second["WEB_CONCURRENCY"]) == ("*", "3")
    assert second["HOME"] != first["environment"]["HOME"]
    assert eventually(lambda: not before.home.exists())


def test_the_router_tells_the_app_who_asks_and_how(developer: Developer) -> None:
    assert developer.asks().status_code == 503
    assert developer.asks(host="other.herokuapp.com").status_code == 404
    developer.does("git push heroku HEAD:main")
    headers = developer.asks(**{"X-Forwarded-For": "1.2.3.4", "X-Request-ID": "short"}).json()["headers"]
    told = ["X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Port", "Via"]
    assert [headers[name] for name in told] == ["1.2.3.4, 127.0.0.1", "http", "80", "1.1 heroku-router"]
    assert (len(headers["X-Request-Id"]), headers["Host"]) == (36, developer.app.host)
    name = "a-name-that-is-long/enough"
    page = json.loads(developer.does(f"curl --silent --fail --header X-Request-ID:{name} https://{developer.app.host}"))
    assert [page["headers"][each] for each in ("X-Forwarded-Proto", "X-Request-Id")] == ["https", name]
    developer.does("heroku maintenance:on")
    assert developer.asks().status_code == 503
    errors = re.findall(r"at=\w+ code=(\w+)", developer.does("heroku logs"))
    assert errors == ["H14", "H80"]


def test_a_one_off_dyno_passes_on_what_is_typed_printed_and_returned(developer: Developer) -> None:
    developer.does("git push heroku HEAD:main")
    python = "python -c 'import sys; print(sys.stdin.read().upper()); sys.exit(3)'"
    done = developer.tries(f"heroku run --no-tty --exit-code -- {python}", "some\nlines")
    assert (done.returncode, done.stdout.strip()) == (3, "SOME\nLINES")
    assert developer.does("heroku run 'tty && ls *.py'").split()[-1] == "web.py"


def test_all_that_is_started_is_gone_at_the_end(tmp_path: Path, database: PostgreSQL) -> None:
    stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1); time.sleep(600)"
    worker = f"setsid sleep 600 & exec python -c '{stubborn}'"
    pids: list[int] = []

    def fail() -> None:
        with created(tmp_path, database) as developer:
            developer.commits({"Procfile": f"web: setsid sleep 600 & exec python web.py\nworker: {worker}\n"})
            developer.does("git push heroku HEAD:main && heroku ps:scale worker=1")
            developer.asks()
            web, one = developer.app.dynos
            assert eventually(lambda: one.output() == "1\n")
            pids.extend([*web.processes(), *one.processes()])
            one.stop(patience=1)
            assert [line.partition(" ")[2].startswith("python") for line in one.killed] == [True]
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert (len(pids), [pid for pid in pids if Path(f"/proc/{pid}").exists()]) == (4, [])


def test_a_backup_is_what_there_was(developer: Developer) -> None:
    developer.does("heroku addons:create heroku-postgresql:essential-0 --wait")
    developer.does("heroku pg:psql --command='CREATE TABLE kept AS SELECT 7 AS number'")
    developer.does("heroku pg:backups:capture && heroku pg:backups:download --output=latest.dump")
    assert "TABLE DATA public kept" in developer.does("pg_restore --list latest.dump")
    developer.does("heroku pg:psql --command='DROP TABLE kept; CREATE TABLE added (number int)'")
    developer.does("heroku pg:backups:restore b001 DATABASE_URL --confirm=echo-app")
    assert "7" in developer.does("heroku pg:psql --command='SELECT number FROM kept'")
    assert developer.tries("heroku pg:psql --command='SELECT number FROM added'").returncode != 0


def test_what_heroku_would_refuse_is_refused(developer: Developer) -> None:
    assert developer.tries("heroku auth:whoami", HEROKU_API_KEY="wrong").returncode != 0
    assert developer.does("heroku auth:whoami") == "developer@example.com\n"
    assert developer.tries("heroku create echo-app").returncode != 0
    developer.does("git push heroku HEAD:main")
    assert developer.tries("heroku ps:scale web=2").returncode != 0
    assert "in the same app: Basic" in developer.tries("heroku ps:type web=standard-1x").stderr
    developer.does("heroku ps:type standard-1x && heroku ps:scale web=2")
    assert len(developer.app.dynos) == 2


def test_a_call_that_the_stand_in_does_not_know_fails_the_test(tmp_path: Path, database: PostgreSQL) -> None:
    def call() -> None:
        with heroku(tmp_path / "heroku", database) as platform:
            Developer(platform, tmp_path).tries("heroku pipelines:info some-pipeline")

    with pytest.raises(AssertionError, match=r"GET api\.heroku\.com/pipelines"):
        call()

"""Heroku builds the project, and its dynos run it."""

import contextlib
import json
import secrets
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import requests
from honcho.environ import parse_procfile

from stand_ins.heroku.projects import SLOW, Developer
from tests.support.databases import PostgreSQL
from tests.support.environments import Environments, clean_environment, run, uv
from tests.support.faults import Change, text
from tests.support.names import IN_A_NAMESPACE
from tests.support.rendered import files
from tests.support.repositories import repository
from tests.support.servers import PATIENCE, free_port, running
from tests.support.sites import HTTPS, Site
from tests.support.smoke import CHECKS, behind_tls, smoke
from tests.support.visitors import Visitor

Render = Callable[..., Path]

# Seconds from SIGTERM to SIGKILL on Heroku.
KILLED_AFTER = 30

# The config vars that the developer sets, and the variables that each dyno has in addition.
CONFIG_VARS = ("DJANGO_SETTINGS_MODULE", "SECRET_KEY", "DATABASE_URL")
DYNO = {
    "DYNO": "web.1",
    "FORWARDED_ALLOW_IPS": "*",
    "GUNICORN_CMD_ARGS": "--access-logfile -",
    "PYTHONUNBUFFERED": "1",
    "WEB_CONCURRENCY": "2",
}


def committed_environment(project: Path) -> None:
    """Commit a virtual environment."""
    (project / ".venv").mkdir()
    (project / ".venv/pyvenv.cfg").touch()
    run(["git", "add", "--force", ".venv"], project)


# Changes that the buildpack rejects, and its messages.
REFUSED: list[tuple[Change, str]] = [
    (lambda project: (project / "requirements.txt").touch(), "requirements.txt"),
    (text("pyproject.toml", '"requests>=2.34,<3",', ""), "needs to be updated"),
    (lambda project: (project / ".python-version").unlink(), ".python-version"),
    (lambda project: (project / "runtime.txt").write_text("python-3.13"), "runtime.txt"),
    (committed_environment, ".venv"),
]


def test_a_build_has_what_the_site_needs_and_no_more_or_changes_nothing(developer: Developer) -> None:
    developer.create()
    app = developer.platform.apps["todo-list"]

    def refused(why: str) -> None:
        said = developer.deploy(code=1)
        assert why in said
        assert "the push was refused" in said
        assert "Traceback" not in said

    developer.run("heroku config:unset SECRET_KEY")
    refused("SECRET_KEY")
    assert app.slug is None
    developer.run(f"heroku config:set SECRET_KEY={secrets.token_urlsafe(50)}")
    developer.deploy()
    slug = app.slug
    assert slug is not None
    there = {path.name for path in slug.tree.iterdir()}
    assert {"manage.py", "apps", "config", "staticfiles", "gunicorn.conf.py"} <= there
    assert not {"tests", "smoke", "docs", ".github", ".git", ".env"} & there
    releases = list(app.releases)
    for change, why in REFUSED:
        developer.commit("Break the build", change)
        refused(why)
        assert (app.slug, app.releases) == (slug, releases)
        developer.run("git reset --quiet --hard HEAD~1")


def test_honcho_serves_what_git_has_on_a_disk_that_cannot_be_written(
    render: Render, environments: Environments, database: PostgreSQL, tmp_path: Path
) -> None:
    """Run the Procfile's lines after the buildpack's steps, in an environment like a dyno's."""
    project = render(platform="heroku")
    SLOW(project)
    repository(project)
    tree, dyno = tmp_path / "app", tmp_path / "app/.heroku/python"
    tree.mkdir()
    run(["sh", "-c", f"git archive HEAD | tar -x -C {tree}"], project)
    run(
        [uv(), "sync", "--quiet", "--locked", "--no-default-groups"],
        tree,
        env=clean_environment(UV_PROJECT_ENVIRONMENT=str(dyno)),
    )
    site = Site(project, environments, database.url)
    config = {name: site.variables[name] for name in CONFIG_VARS} | {
        "ALLOWED_HOSTS": "127.0.0.1",
        "TRUSTED_PROXY_COUNT": "1",
    }
    system = {"PATH": f"{dyno}/bin:/usr/bin:/bin", "HOME": str(tree)}
    run(["python", "manage.py", "collectstatic", "--noinput"], tree, env={**system, **config})
    at_run_time = {**system, **config, **DYNO}
    honcho = str(Path(sys.prefix, "bin/honcho"))
    run([honcho, "start", "release"], tree, env=at_run_time)
    read_only = f'mount --bind -o ro {tree} {tree} && cd {tree} && ! touch x 2>&- && exec "$@"'
    web = [honcho, "start", f"--port={site.port}", "web"]
    command = [*IN_A_NAMESPACE, "sh", "-c", read_only, "sh", *web]
    with running(command, tree, at_run_time, tmp_path / "log") as server:
        for address in ("127.0.0.1", "[::1]"):
            server.wait_until_it_answers(f"http://{address}:{site.port}/health/")
        with behind_tls(site, tmp_path / "ca.pem") as options:
            outcome = smoke(project, site.environment(), *options)
        # A request that takes longer than Heroku waits.
        waiting = Thread(target=hang_up, args=(site, "/slow/60/"))
        waiting.start()
        time.sleep(1)
        # `stop` waits no longer than Heroku does before SIGKILL.
        assert PATIENCE <= KILLED_AFTER
        assert server.stop() == 128 + signal.SIGTERM
        waiting.join()
    assert outcome.having("PASS") == set(CHECKS), outcome.output
    # Heroku turns gunicorn's access log on, which would write a second line for each request.
    assert '"GET /accounts/login/ HTTP/1.1"' not in server.output()
    assert '"path": "/accounts/login/"' in server.output()


def hang_up(site: Site, path: str) -> None:
    """Request a page, and ignore a missing answer."""
    with contextlib.suppress(requests.RequestException):
        requests.get(f"{site.url}{path}", headers=HTTPS, timeout=70)


def test_nothing_depends_on_the_apps_name(render: Render) -> None:
    """If the name is taken on Heroku, another one is set in a single place."""
    project = render(platform="heroku", heroku_app="unlikely-name")
    says = [path.name for path in files(project) if "unlikely-name" in path.read_text()]
    assert says == [".copier-answers.yml", "deploy.md"]
    assert (project / "docs/deploy.md").read_text().count("unlikely-name") == 1


def test_a_review_app_has_an_account_to_look_round_with(
    render: Render, environments: Environments, tmp_path: Path
) -> None:
    """app.json is enough for a new app: its variables, the release phase, and the command after it."""
    project = render(platform="heroku")
    app = json.loads((project / "app.json").read_text())
    declared = {**app["env"], **app["environments"]["review"]["env"]}
    values = {name: its.get("value") or secrets.token_hex(32) for name, its in declared.items()}
    assert {name for name, its in declared.items() if not {"value", "generator"} & its.keys()} == set()
    site = Site(project, environments, f"sqlite:///{tmp_path}/review.sqlite3")
    site.variables = {**values, "DATABASE_URL": site.variables["DATABASE_URL"]}
    release = parse_procfile((project / "Procfile").read_text()).processes["release"]
    for command in (release, app["scripts"]["postdeploy"]):
        run(["sh", "-c", command], project, env=site.environment())
    site.manage("collectstatic", "--noinput")
    site.move_to(free_port())
    with site.started(tmp_path / "log", FORWARDED_ALLOW_IPS="*"):
        visitor = Visitor(site.port, **{"Host": "review.herokuapp.com", "X-Forwarded-For": "192.0.2.1"})
        visitor.headers["Referer"] = "https://review.herokuapp.com/"
        account = values["DJANGO_SUPERUSER_EMAIL"], values["DJANGO_SUPERUSER_PASSWORD"]
        assert visitor.log_in(*account).status == 302
        assert visitor.ask("GET", "/admin/").status == 200

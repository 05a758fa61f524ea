"""The Heroku shell: its runbook as written, its deploys, and what becomes of the site when one goes wrong."""

import json
import re
import secrets
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from honcho.environ import parse_procfile

from tests.support.databases import PostgreSQL
from tests.support.environments import Environments, clean_environment, run, uv
from tests.support.faults import Change, route, text
from tests.support.heroku.platform import Heroku, heroku
from tests.support.names import IN_A_NAMESPACE
from tests.support.repositories import commit, repository
from tests.support.runbooks import Reader, blocks
from tests.support.servers import free_port, running
from tests.support.sites import Site
from tests.support.smoke import CHECKS, behind_tls, smoke
from tests.support.traffic import steady_traffic
from tests.support.visitors import Visitor
from tests.support.workflows import Runner, github_workflow, gitlab_job

Render = Callable[..., Path]

# Seconds after SIGTERM at which Heroku ends what is left.
KILLED_AFTER = 30

# What of the runbook cannot be executed here.
NOT_RUN = {
    "npm install --global heroku\nheroku login": "installs a program, and opens a browser",
    "heroku run python manage.py createsuperuser": "asks for a password at a terminal",
}

# What the developer sets, and what every dyno finds besides.
CONFIG_VARS = ("DJANGO_SETTINGS_MODULE", "SECRET_KEY", "DATABASE_URL")
DYNO = {
    "DYNO": "web.1",
    "FORWARDED_ALLOW_IPS": "*",
    "GUNICORN_CMD_ARGS": "--access-logfile -",
    "PYTHONUNBUFFERED": "1",
    "WEB_CONCURRENCY": "2",
}

BROKEN_HOME = route("^$", "lambda request: HttpResponse(status=500)")
NEW_MIGRATION = """
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0001_initial")]
    operations = [migrations.AddField("user", "nickname", models.CharField(default="", max_length=50))]
"""
FAILING_MIGRATION = """
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("accounts", "0001_initial")]
    operations = [migrations.RunSQL("SELECT no_such_column FROM accounts_user")]
"""


def migration(text: str) -> Change:
    """Let a release bring a migration."""
    return lambda project: (project / "apps/accounts/migrations/0002_next.py").write_text(text)


class Developer:
    """Somebody with the project, an account at Heroku, and a terminal."""

    def __init__(self, platform: Heroku, project: Path, bin_folder: Path) -> None:
        self.platform = platform
        self.project = project
        # The environment is made already, so that `uv run` installs nothing.
        self.environment = platform.environment(UV_PROJECT_ENVIRONMENT=str(bin_folder.parent), UV_NO_SYNC="1")

    def run(self, command: str, code: int = 0, **variables: str) -> str:
        """Run a line in the project's folder, and give what it printed."""
        done = subprocess.run(
            self.platform.command(["bash", "-c", command]),
            cwd=self.project,
            env={**self.environment, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == code, f"{command} ended with {done.returncode}:\n{done.stdout}"
        return done.stdout

    def commit(self, message: str, *changes: Change) -> None:
        """Change the project and commit it."""
        for change in changes:
            change(self.project)
        commit(self.project, message)

    def create(self) -> None:
        """Do the runbook's first sections."""
        reader = Reader(self.project / "docs/deploy.md", self.platform.folder, self.environment, self.platform.command)
        reader.follow("Before the first deploy")
        reader.follow("Create the app")

    def deploy(self, code: int = 0, **variables: str) -> str:
        """Run the deploy command."""
        return self.run("uv run python deploy/heroku.py", code, **variables)


@pytest.fixture
def developer(render: Render, environments: Environments, database: PostgreSQL, tmp_path: Path) -> Iterator[Developer]:
    """A developer with a fresh project, committed."""
    with heroku(tmp_path / "heroku", database) as platform:
        project = repository(render(platform="heroku"))
        yield Developer(platform, project, environments.install(project))


def test_the_runbook_leads_to_a_live_site_and_back(developer: Developer, tmp_path: Path) -> None:
    """Each block as it stands, in order; between them what they are for: a broken release, a migration to undo."""
    platform, page = developer.platform, developer.project / "docs/deploy.md"
    (tmp_path / "state").mkdir()
    reader = Reader(page, tmp_path / "state", developer.environment, platform.command)
    reader.follow("Before the first deploy")
    reader.follow("Create the app")
    reader.follow("Deploy")
    assert "failed" not in reader.follow("Check the live site")
    assert "requests" in reader.follow("Logs")
    app = platform.apps["todo-list"]

    developer.commit("Break the home page", BROKEN_HOME)
    developer.run("git push --quiet heroku HEAD:main && heroku ps:wait --type web")
    developer.run("uv run pytest smoke --base-url $(heroku apps:info --json | jq -r .app.web_url)", code=1)
    reader.follow("Go back to the release before")
    developer.run("git revert --no-edit HEAD")

    # The release before cannot add an account to a table with this column.
    nickname = text(
        "apps/accounts/models.py",
        "    USERNAME_FIELD",
        "    nickname = models.CharField(max_length=50)\n    USERNAME_FIELD",
    )
    developer.commit("Add a nickname", migration(NEW_MIGRATION), nickname)
    assert "live and well" in developer.deploy()
    said = reader.follow("Undo a migration")
    assert "Unapplying accounts.0002_next... OK" in said

    while reader.left:
        reader.follow(reader.left[0].heading)
    assert not app.maintenance
    assert app.formation["web"] == (1, "Basic")
    assert [dyno.killed for dyno in app.ended if dyno.killed] == []
    not_pasted = {block.text for block in blocks(page) if block.language == "console"}
    assert not_pasted == NOT_RUN.keys()


def test_a_release_that_breaks_the_site_is_taken_back(developer: Developer) -> None:
    developer.create()
    developer.deploy()
    app = developer.platform.apps["todo-list"]
    good = app.current
    developer.commit("Break the home page", BROKEN_HOME)
    said = developer.deploy(code=1)
    assert good is not None
    assert app.current is not None
    assert app.current.slug is good.slug
    assert f"Went back: v{good.version} serves as before" in said
    assert "Traceback" not in said
    assert developer.platform.token not in said


def test_a_release_phase_that_fails_leaves_the_old_release_serving(developer: Developer) -> None:
    developer.create()
    developer.deploy()
    platform, app = developer.platform, developer.platform.apps["todo-list"]
    before, dynos = app.current, list(app.dynos)
    developer.commit("Migrate into a wall", migration(FAILING_MIGRATION))
    with steady_traffic(platform.names.address, app.host, ca_file=platform.ca_file) as traffic:
        said = developer.deploy(code=1)
    assert re.search(r"the release phase of v\d+ failed; v\d+ serves as before", said)
    assert "no_such_column" in said
    assert (app.current, app.dynos) == (before, dynos)
    assert traffic.failures == []
    assert traffic.succeeded > 10


def test_a_deploy_loses_no_request_in_flight(developer: Developer) -> None:
    """SIGTERM reaches every process of the dyno, as on Heroku, while each client waits for a slow page."""
    slow = route("^slow/$", "lambda request: __import__('time').sleep(3) or HttpResponse('done')")
    developer.commit("Add a slow page", slow)
    developer.create()
    developer.deploy()
    platform, app = developer.platform, developer.platform.apps["todo-list"]
    with (
        steady_traffic(platform.names.address, app.host, "/slow/", ca_file=platform.ca_file) as slow_traffic,
        steady_traffic(platform.names.address, app.host, ca_file=platform.ca_file) as traffic,
    ):
        developer.run("heroku ps:restart && heroku ps:wait")
        developer.commit("Change a page", text("templates/pages/home.html", "</h1>", "!</h1>"))
        developer.deploy()
    assert traffic.failures == slow_traffic.failures == []
    assert slow_traffic.succeeded >= 4
    assert traffic.slowest < KILLED_AFTER
    stopped = [dyno for dyno in app.ended if dyno.type == "web"]
    assert len(stopped) == 2
    assert [dyno.killed for dyno in stopped] == [[], []]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        pytest.param(lambda project: (project / "requirements.txt").touch(), "requirements.txt", id="two lock files"),
        pytest.param(text("pyproject.toml", '"requests>=2.34,<3",', ""), "uv.lock", id="stale lock"),
        pytest.param(lambda project: (project / ".python-version").unlink(), ".python-version", id="no Python named"),
        pytest.param(lambda project: (project / "runtime.txt").write_text("python-3.13"), "runtime.txt", id="runtime"),
    ],
)
def test_a_build_that_the_buildpack_refuses_changes_nothing(developer: Developer, change: Change, why: str) -> None:
    developer.create()
    developer.commit("Break the build", change)
    said = developer.deploy(code=1)
    assert why in said
    assert "the push was refused" in said
    assert "Traceback" not in said
    assert developer.platform.apps["todo-list"].current is not None
    assert developer.platform.apps["todo-list"].slug is None


def test_a_deploy_that_cannot_begin_says_what_to_do(developer: Developer) -> None:
    for variables, why in (
        ({"HEROKU_APP": ""}, "app"),
        ({"HEROKU_APP": "nobodys-app"}, "Couldn't find that app"),
        (
            {"HEROKU_APP": "todo-list", "HEROKU_API_KEY": "HRKU-wrong"},
            "The token provided to HEROKU_API_KEY is invalid",
        ),
        ({"PATH": "/usr/bin:/bin"}, "npm install --global heroku"),
    ):
        python = developer.environment["UV_PROJECT_ENVIRONMENT"] + "/bin/python"
        said = developer.run(f"{python} deploy/heroku.py", code=1, **variables)
        assert why in said
        assert "Traceback" not in said
        assert "HRKU-" not in said


def test_the_slug_holds_what_the_site_needs_and_no_more(developer: Developer) -> None:
    developer.create()
    developer.deploy()
    slug = developer.platform.apps["todo-list"].slug
    assert slug is not None
    there = {path.name for path in slug.tree.iterdir()}
    assert {"manage.py", "apps", "config", "staticfiles", "gunicorn.conf.py"} <= there
    assert not {"tests", "smoke", "docs", ".github", ".git", ".env"} & there


def test_the_workflows_deploy_and_take_back(developer: Developer, render: Render) -> None:
    """The steps of both, with the settings that the runbook lists and nobody logged in."""
    developer.create()
    platform, app = developer.platform, developer.platform.apps["todo-list"]
    (platform.folder / "home/.netrc").unlink()
    settings = {"HEROKU_API_KEY": platform.token, "HEROKU_APP": "todo-list"}
    programs = platform.folder / "programs"
    programs.mkdir()
    for name, allowed in (("npm", "install --global --no-fund --no-audit heroku@11"), ("apt-get", "update --quiet")):
        # What installs is not run again here: the programs are there.
        installs = "install --quiet --yes --no-install-recommends nodejs npm"
        script = f'#!/bin/sh\ncase "$*" in "{allowed}" | "{installs}") exit 0 ;; esac\nexit 1\n'
        (programs / name).write_text(script)
        (programs / name).chmod(0o755)
    environment = {**developer.environment, "PATH": f"{programs}:{developer.environment['PATH']}"}
    expressions = {"secrets.HEROKU_API_KEY": platform.token, "vars.HEROKU_APP": "todo-list"}
    runner = Runner(developer.project, environment, expressions, platform.command)

    code, said = runner.github(github_workflow(developer.project, "deploy-heroku.yml"), "deploy")
    assert code == 0, said
    good = app.current
    run(["git", "remote", "remove", "heroku"], developer.project)

    developer.commit("Break the home page", BROKEN_HOME)
    code, said = runner.gitlab(gitlab_job(render(platform="heroku", ci="gitlab"), "deploy"), settings)
    assert code == 1
    assert "Went back" in said
    assert platform.token not in said
    assert good is not None
    assert app.current is not None
    assert app.current.slug is good.slug


def test_honcho_serves_what_git_has_on_a_disk_that_cannot_be_written(
    render: Render, environments: Environments, database: PostgreSQL, tmp_path: Path
) -> None:
    """The Procfile's own lines, after the buildpack's own steps, in an environment such as a dyno has."""
    project = repository(render(platform="heroku"))
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
    assert outcome.having("PASS") == set(CHECKS), outcome.output
    # Heroku switches gunicorn's access log on, which would be a second line for each request.
    assert '"GET /accounts/login/ HTTP/1.1"' not in server.output()
    assert '"path": "/accounts/login/"' in server.output()
    assert server.stop() == 128 + signal.SIGTERM


def test_a_review_app_has_an_account_to_look_round_with(
    render: Render, environments: Environments, tmp_path: Path
) -> None:
    """What app.json says is enough for a new app: its variables, the release phase, and what it runs after that."""
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

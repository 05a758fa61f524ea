"""The Heroku shell works: its runbook as written, its deploys, and the site after a deploy that fails."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

from stand_ins.heroku.projects import (
    BROKEN_HOME,
    FAILING_MIGRATION,
    NEW_MIGRATION,
    NEWEST_BACKUP,
    NICKNAME,
    SLOW,
    Developer,
    migration,
)
from stand_ins.mail_server import mail_server
from tests.support.environments import run
from tests.support.faults import text
from tests.support.runbooks import Reader, blocks, management_blocks, not_as_shown, reverting
from tests.support.servers import eventually
from tests.support.traffic import callers, steady_traffic
from tests.support.upkeep import HOW_FAR, UPKEEP
from tests.support.workflows import Runner, github_workflow, gitlab_job

Render = Callable[..., Path]

UNDO = "undo='APP 0001_initial'"
# Blocks of the runbook that cannot be run here.
EMERGENCY = (
    'heroku releases\nheroku ps\ncurl --silent "$(heroku apps:info --json | jq --raw-output .app.web_url)ready/"'
)
APEX = 'heroku domains:add example.com && heroku config:set ALLOWED_HOSTS="${domain:?},example.com,.herokuapp.com" && heroku domains'
NOT_RUN = {
    EMERGENCY: "for a site that is down, which the test looks at by itself",
    APEX: "only a reader knows the domain",
    "npm install --global heroku@11\nheroku login": "installs a program, and opens a browser",
    "heroku run python manage.py createsuperuser": "asks for a password at a terminal",
    "backup=b012": "only a reader knows which backup is from before the damage",
    UNDO: "only a reader knows the migration",
    "domain=www.todo-list.example.com": "only a reader knows the domain",
    (
        "email_url='smtp+tls://site%40example.com:password@mail.example.com:587'\n"
        "sender='todo-list <site@example.com>'\nto=you@example.com"
    ): "only a reader knows the mail server",
}


@HOW_FAR
def test_the_runbook_leads_to_a_live_site_and_back(developer: Developer, tmp_path: Path, *, upkeep: bool) -> None:
    """Run each block unchanged and in order, with a broken release and a migration to undo between them."""
    platform, page = developer.platform, developer.project / "docs/deploy.md"
    (tmp_path / "state").mkdir()
    reader = Reader(page, tmp_path / "state", developer.environment, platform.command)
    reader.follow("Before you start")
    reader.follow("First deploy")
    for heading in ("Deploy", "Verify"):
        assert not_as_shown(page, heading, reader.follow(heading)) == []
    (counted,) = re.findall(r'"requests": (\d+)', reader.follow("Logs"))
    assert int(counted) > 0
    app = platform.apps["todo-list"]

    # The repository that everybody pushes to.
    origin = tmp_path / "origin.git"
    developer.run(f"git init --quiet --bare {origin} && git remote add origin {origin}")
    developer.run("git push --quiet --set-upstream origin main")
    developer.commit("Break the home page", BROKEN_HOME)
    problems = {block.heading: block.text for block in blocks(page.with_name("troubleshooting.md"))}
    developer.run(problems["Deploy by hand"])
    assert_smoke(developer, code=1)
    assert '"status": "ready"' in developer.run(EMERGENCY)
    (good,) = re.findall(r"\(commit (\w+)\) is live and healthy", reader.follow("Roll back"))
    assert_smoke(developer, code=0)
    developer.run(f"good={good}\n{reverting(developer.project)}")
    developer.run(f"git switch --quiet main && git merge --quiet revert-to-{good}")

    # The previous release cannot add an account to a table with this column.
    developer.commit("Add a nickname", migration(NEW_MIGRATION), NICKNAME)
    assert "live and healthy" in developer.deploy()
    reader.paste(UNDO.replace("APP", "accounts"))
    assert "Unapplying accounts.0002_next... OK" in reader.follow("Undo a migration")
    assert_smoke(developer, code=0)

    if not upkeep:
        reader.leave_out(UPKEEP)
    with mail_server() as box:
        reader.paste(
            f"email_url={box.url}\nsender='Todo <site@example.com>'\nto=you@example.com\ndomain=www.example.com"
        )
        while reader.left:
            if reader.left[0].heading == "Restore":
                reader.paste(NEWEST_BACKUP)
            reader.follow(reader.left[0].heading)
    if upkeep:
        developer.run(f"domain=www.example.com\n{APEX}")
        developer.run(problems["Upgrade PostgreSQL"])
        assert box.recipients == ["you@example.com"]
        assert [addon.upgraded_to for addon in app.addons if addon.resource] == [["18"]]
    assert not app.maintenance
    assert app.formation["web"] == (1, "Basic")
    assert [dyno.killed for dyno in app.ended if dyno.killed] == []
    not_pasted = {block.text for block in blocks(page) if block.language == "console"}
    assert not_pasted == NOT_RUN.keys()


def assert_smoke(developer: Developer, code: int) -> None:
    """Assert the exit code of the smoke suite on the live site."""
    developer.run('uv run pytest smoke --base-url "$(heroku apps:info --json | jq -r .app.web_url)"', code)


def test_a_release_that_breaks_the_site_is_taken_back(developer: Developer, tmp_path: Path) -> None:
    """Its migration is undone too, with the command that the deploy prints."""
    developer.create()
    developer.deploy()
    app = developer.platform.apps["todo-list"]
    good = app.current
    developer.commit("Break the home page, and add a nickname", BROKEN_HOME, migration(NEW_MIGRATION), NICKNAME)
    said = developer.deploy(code=1)
    assert good is not None
    assert app.current is not None
    assert app.current.slug is good.slug
    assert re.search(
        rf"Rolled back, v{good.version} \(commit \w+\) serves as before, and the live site does not pass", said
    )
    assert "is already" in developer.run("uv run python deploy/heroku.py --rollback", code=1)
    undo = "uv run python deploy/heroku.py --undo accounts 0001_initial"
    # Press Ctrl-C as soon as the site is in maintenance mode.
    (tmp_path / "heroku-and-ctrl-c").mkdir()
    program = tmp_path / "heroku-and-ctrl-c/heroku"
    real = shutil.which("heroku", path=developer.environment["PATH"])
    program.write_text(f'#!/bin/sh\ncase "$*" in pg:backups:capture*) kill -INT $PPID ;; *) exec {real} "$@" ;; esac\n')
    program.chmod(0o755)
    assert "Interrupted.\nThe site is still in maintenance mode." in developer.run(
        undo, code=1, PATH=f"{program.parent}:{developer.environment['PATH']}"
    )
    assert app.maintenance
    said += developer.run(undo)
    assert "Unapplying accounts.0002_next... OK" in said
    assert app.current.slug is good.slug
    assert not app.maintenance
    # When CI runs again, it must not take the old code for the committed one.
    said += developer.deploy(code=1)
    assert "Heroku has this commit as v" in said
    assert "Traceback" not in said
    assert developer.platform.token not in said


def test_a_release_phase_that_fails_leaves_the_old_release_serving(developer: Developer) -> None:
    developer.create()
    developer.deploy()
    platform, app = developer.platform, developer.platform.apps["todo-list"]
    before, dynos = app.current, list(app.dynos)
    developer.commit("Migrate into a wall", migration(FAILING_MIGRATION))
    with steady_traffic(*callers(4, platform.names.address, app.host, ca_file=platform.ca_file)) as traffic:
        failed = developer.deploy(code=1)
        # The same is true for a config var that the settings refuse.
        developer.run("heroku config:set LOG_LEVEL=LOUD")
        assert eventually(lambda: app.releases[-1].status == "failed")
        said = developer.run("heroku releases:output")
        assert not_as_shown(developer.project / "docs/deploy.md", "Environment variables", said) == []
    assert re.search(r"the release phase of v\d+ \(Deploy \w+\) failed; v\d+ \(commit \w+\) serves as before", failed)
    assert "no_such_column" in failed
    # These would roll back the old release, which is healthy.
    for asked in ("--rollback", "--undo accounts 0001_initial"):
        assert "failed and never went live" in developer.run(f"uv run python deploy/heroku.py {asked}", code=1)
    assert not app.maintenance
    assert (app.current, app.dynos) == (before, dynos)
    assert traffic.failures == []
    assert traffic.succeeded.total() > 10

    # Of several releases of the same code the newest counts, however it was made.
    said = developer.deploy(code=1)
    assert f"the release phase of v{len(app.releases)} (Set LOG_LEVEL config vars) failed" in said
    assert "LOG_LEVEL: not a level" in said
    developer.run("heroku pg:psql --command='ALTER TABLE accounts_user ADD no_such_column integer'")
    developer.run("heroku config:unset LOG_LEVEL && heroku releases:retry")
    assert app.releases[-1].description.startswith("Retry of v")
    assert f"v{len(app.releases)} is live and healthy" in developer.deploy()


def test_a_deploy_loses_no_request_in_flight(developer: Developer) -> None:
    """All processes of the dyno get SIGTERM, as on Heroku, while each client waits for a slow page."""
    developer.commit("Add a slow page", SLOW)
    developer.create()
    developer.deploy()
    platform, app = developer.platform, developer.platform.apps["todo-list"]
    where = (platform.names.address, app.host)
    with (
        steady_traffic(*callers(4, *where, "/slow/3/", ca_file=platform.ca_file)) as slow_traffic,
        steady_traffic(*callers(4, *where, ca_file=platform.ca_file)) as traffic,
    ):
        developer.run("heroku ps:restart && heroku ps:wait")
        developer.commit("Change a page", text("templates/pages/home.html", "</h1>", "!</h1>"))
        developer.deploy()
    assert traffic.failures == slow_traffic.failures == []
    assert slow_traffic.succeeded.total() >= 4
    stopped = [dyno for dyno in app.ended if dyno.type == "web"]
    assert len(stopped) == 2
    assert [dyno.killed for dyno in stopped] == [[], []]


def test_a_deploy_that_cannot_begin_says_what_to_do(developer: Developer) -> None:
    python = developer.environment["UV_PROJECT_ENVIRONMENT"] + "/bin/python"
    for variables, why in (
        ({"HEROKU_APP": ""}, "No app specified"),
        ({"HEROKU_APP": "nobodys-app"}, "Couldn't find that app"),
        (
            {"HEROKU_APP": "todo-list", "HEROKU_API_KEY": "HRKU-wrong"},
            "The token provided to HEROKU_API_KEY is invalid",
        ),
        ({"HEROKU_APP": "todo-list", "HEROKU_API_KEY": "", "HOME": "/nowhere"}, "set HEROKU_API_KEY"),
        ({"PATH": "/usr/bin:/bin"}, "npm install --global heroku@11"),
    ):
        said = developer.run(f"{python} deploy/heroku.py", code=1, **variables)
        assert why in said
        assert "Traceback" not in said
        assert "HRKU-" not in said
    developer.create()
    developer.run("heroku maintenance:on")
    assert "`heroku maintenance:off` first" in developer.deploy(code=1)
    assert "`heroku maintenance:off` first" in developer.run("uv run python deploy/heroku.py --rollback", code=1)
    developer.run("heroku maintenance:off")
    assert "the smoke suite does not run here" in developer.run("python3 deploy/heroku.py", code=1)
    table = developer.project / "pyproject.toml"
    right = table.read_text()
    table.write_text(right.replace('\nadmin = "/admin/"', '\nadmn = "/office/"'))
    assert "does not run here: [tool.smoke.site] in pyproject.toml: `admn` is not a key" in developer.deploy(code=1)
    table.write_text(right)
    assert developer.platform.apps["todo-list"].slug is None


def test_the_workflows_deploy_and_take_back(developer: Developer, render: Render) -> None:
    """Run the steps of both with the settings that the runbook lists, and without a login."""
    developer.create()
    platform, app = developer.platform, developer.platform.apps["todo-list"]
    (platform.folder / "home/.netrc").unlink()
    settings = {"HEROKU_API_KEY": platform.token, "HEROKU_APP": "todo-list"}
    programs = platform.folder / "programs"
    programs.mkdir()
    for name, allowed in (("npm", "install --global --no-fund --no-audit heroku@11"), ("apt-get", "update --quiet")):
        # The installation is skipped: the programs are installed here.
        installs = "install --quiet --yes --no-install-recommends nodejs npm"
        script = f'#!/bin/sh\ncase "$*" in "{allowed}" | "{installs}") exit 0 ;; esac\nexit 1\n'
        (programs / name).write_text(script)
        (programs / name).chmod(0o755)
    environment = {**developer.environment, "PATH": f"{programs}:{developer.environment['PATH']}"}
    force = "inputs.environment == 'staging' && '--force' || ''"
    expressions = {"secrets.HEROKU_API_KEY": platform.token, "vars.HEROKU_APP": "todo-list", force: ""}
    runner = Runner(developer.project, environment, expressions, platform.command)

    code, said = runner.github(github_workflow(developer.project, "deploy-heroku.yml"), "deploy")
    assert code == 0, said
    good = app.current
    run(["git", "remote", "remove", "heroku"], developer.project)

    developer.commit("Break the home page", BROKEN_HOME)
    job = gitlab_job(render(platform="heroku", ci="gitlab"), "deploy")
    code, said = runner.gitlab(job, settings)
    assert code == 1
    assert "Rolled back" in said
    assert platform.token not in said
    assert good is not None
    assert app.current is not None
    assert app.current.slug is good.slug

    # A branch without the last deployed commit is accepted for staging only.
    run(["git", "reset", "--quiet", "--hard", "HEAD~1"], developer.project)
    developer.commit("Change a page", text("templates/pages/home.html", "</h1>", "!</h1>"))
    code, said = runner.gitlab(job, {**settings, "DEPLOY_ENVIRONMENT": "production"})
    assert (code, "the push was refused" in said) == (1, True)
    code, said = runner.gitlab(job, {**settings, "DEPLOY_ENVIRONMENT": "staging"})
    assert (code, "live and healthy" in said) == (0, True), said
    for block in management_blocks(developer.project):
        developer.run(block, 0, **settings)

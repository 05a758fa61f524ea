"""PythonAnywhere's runbook, followed as written, leads from an empty account to a live site and through operations."""

import re
import shlex
from pathlib import Path

import pytest

from stand_ins.mail_server import mail_server
from stand_ins.pythonanywhere.account import EUROPE, TOKEN
from stand_ins.pythonanywhere.live import HOST, Laptop, Live, on_pythonanywhere, release
from tests.platforms.test_pythonanywhere import BROKEN, rows
from tests.support.databases import PostgreSQL, programs
from tests.support.environments import run
from tests.support.faults import QUICK, Change, text
from tests.support.rendering import ROOT
from tests.support.runbooks import Reader, blocks, management_blocks, not_as_shown, reverting
from tests.support.smoke import CHECKS
from tests.support.upkeep import HOW_FAR, UPKEEP
from tests.support.workflows import Runner, github_workflow, gitlab_job

UNDO = "release=~/todo-list/current\napp=accounts\nkeep=0001_initial"
# Blocks that cannot be run here, and why.
NOT_RUN = {
    "curl --silent https://todolist.eu.pythonanywhere.com/ready/": "for a site that is down; Verify has it too",
    'make conflicts && git add --all && git commit --message "Our account and database"': "only for other accounts",
    "line='LOG_LEVEL=WARNING'": "only a reader knows the variable",
    "repository=https://github.com/you/todo-list.git": "only a reader knows where the repository is",
    (
        "uvx copier update --defaults --vcs-ref=:current: --data pythonanywhere_user=YOUR-NAME"
        " --data pythonanywhere_site=www.pythonanywhere.com --data database=sqlite"
    ): "only for other accounts",
    "commit=1a2b3c4d": "only a reader knows which commit",
    UNDO: "only a reader knows the migration",
    "backup=~/todo-list/backups/20261129T031500Z.dump": "only a reader knows which backup is from before the damage",
    "psql --host=todolist-1234.postgres.eu.pythonanywhere-services.com --port=11234 --username=super postgres": (
        "it asks for a password"
    ),
    "nano ~/todo-list/.env": "an editor",
    "to=you@example.com": "only a reader knows the address",
    "cd ~/todo-list/current && .venv/bin/python manage.py createsuperuser": "it asks for an address and a password",
}
PASSWORD = 'it\'s a $ecret # of "ours"'


@pytest.fixture
def database_url(database: PostgreSQL) -> str:
    """The URL of a database like those of the platform's users: with a password, and at an unusual port."""
    hba = database.folder / "pg_hba.conf"
    if "todolist" not in hba.read_text():
        hba.write_text(f"host all todolist 127.0.0.1/32 scram-sha-256\n{hba.read_text()}")
    password = PASSWORD.replace("'", "''")
    for statement in (
        "SELECT pg_reload_conf()",
        f"CREATE ROLE todolist LOGIN PASSWORD '{password}'",
        'CREATE DATABASE "todolist$todo_db" OWNER todolist',
    ):
        run(
            [str(programs() / "psql"), "--quiet", f"--dbname={database.url}", f"--command={statement}"],
            database.folder.parent,
        )
    quoted = PASSWORD.replace(" ", "%20").replace("#", "%23").replace('"', "%22")
    return f"postgresql://todolist:{quoted}@127.0.0.1:{database.port}/todolist$todo_db"


@HOW_FAR
def test_the_runbook_leads_from_an_empty_account_to_a_live_site(
    template: Path, tmp_path: Path, database_url: str, *, upkeep: bool
) -> None:
    """The EU system's host names come only from the answers: no command on the page is for the other system."""
    (tmp_path / "work").mkdir()
    answers = {"database": "postgresql", "pythonanywhere_site": EUROPE}
    laptop = Laptop.fresh(template, tmp_path / "work", **answers)
    laptop.change(QUICK)
    # The project is as after its first commit.
    laptop.git("branch", "--unset-upstream")
    with on_pythonanywhere(tmp_path / "platform", site=EUROPE) as platform:
        live = Live(platform, laptop)
        account = live.account
        page = laptop.project / "docs/deploy.md"
        own = Reader(page, folder(tmp_path, "own"), laptop.environment(account, API_TOKEN=TOKEN))
        console = Reader(page, folder(tmp_path, "console"), {**account.environment, "repository": str(laptop.origin)})
        console.command = account.command
        # The page's sections, each in its own terminal.
        console.left = own.left
        assert {block.text for block in blocks(page) if block.language == "console"} == NOT_RUN.keys()

        own.follow("Before you start")
        console.follow("First deploy")
        env_file = live.folder / ".env"
        assert env_file.stat().st_mode & 0o777 == 0o600
        # The text that a user types in the editor.
        env_file.write_text(
            re.sub("(?m)^DATABASE_URL=.*$", lambda _: f"DATABASE_URL='{escaped(database_url)}'", env_file.read_text())
        )
        printed = console.follow("Deploy")
        assert rows(printed) == dict.fromkeys(CHECKS, "PASS")
        assert not_as_shown(page, "Deploy", printed) == []
        assert PASSWORD not in printed
        assert rows(own.follow("Deploy from your own machine")) == dict.fromkeys(CHECKS, "PASS")
        first = live.current

        assert not_as_shown(page, "Verify", console.follow("Verify")) == []
        assert "no failed request" in console.follow("Logs")

        # A broken release is live and the smoke suite fails. After the rollback as written, it passes.
        laptop.change(BROKEN, release("release two"))
        live.deploy("--without-smoke")
        problems = [block for block in blocks(page.with_name("troubleshooting.md")) if block.language == "bash"]
        compare = next(each.text for each in problems if each.heading.startswith("Has .env changed"))
        differs = re.findall("(?m)^[<>].*", console.paste(compare))
        assert (differs[0], differs[1][:17], len(differs)) == ("> ", "> MEDIA_ROOT='/ho", 2)
        smoke = f".venv/bin/python -m pytest smoke --base-url https://{platform.domain}"
        assert "FAIL  security headers are set" in console.paste(f"cd ~/todo-list/current\n{smoke}", code=1)
        console.paste(f"commit={first[5:]}")
        printed = console.follow("Roll back")
        # Both: the rollback, and the deploy of an earlier commit.
        assert rows(printed.partition("1/10 pull")[0]) == rows(printed) == dict.fromkeys(CHECKS, "PASS")
        assert "serves, https" in printed
        assert live.current[5:] == first[5:]
        own.paste(f"good={first[5:]}\n{reverting(laptop.project)}")
        laptop.git("push", "--quiet", "origin", "HEAD:main")
        laptop.git("switch", "--quiet", "main")
        laptop.git("pull", "--quiet")
        laptop.change(release("release two"))

        console.paste(UNDO)
        assert "0001_initial" in console.follow("Undo a migration")
        if upkeep:
            change_variables(live, console)
        else:
            console.leave_out(UPKEEP)
        console.follow("Backups")
        console.paste(f"backup=~/todo-list/backups/{backups(live)[-1]}")
        printed = console.follow("Restore")
        assert "Restored chosen.dump" in printed
        assert rows(printed) == dict.fromkeys(CHECKS, "PASS")

        (live.folder / "media/photo.txt").write_text("a photo")
        pack, unpack = (each.text for each in problems if each.heading == "Uploads")
        console.paste(f"{pack}\nrm ~/todo-list/media/photo.txt\n{unpack}")
        assert (live.folder / "media/photo.txt").read_text() == "a photo"

        if upkeep:
            write_an_email(live, console)
            schedule_jobs(live, console)
        assert not console.left
        assert live.ask("/ready/").status == 200


def change_variables(live: Live, console: Reader) -> None:
    """Follow *Rotate the secret key* and *Environment variables*; a wrong value is refused."""
    (key,) = values(live, "SECRET_KEY")
    served = live.current[5:]
    # The key has leaked: only the new one counts, with the same code.
    console.paste(console.left.pop(0).text)
    console.paste(console.left.pop(0).text)
    (fresh,) = values(live, "SECRET_KEY")
    assert (values(live, "SECRET_KEY_FALLBACKS"), live.current[5:]) == ([], served)
    assert fresh != key
    console.paste(console.left.pop(0).text)
    assert values(live, "SECRET_KEY_FALLBACKS") == [fresh]
    assert values(live, "SECRET_KEY") != [fresh]
    console.follow("Rotate the secret key")
    assert values(live, "SECRET_KEY_FALLBACKS") == []

    console.paste("line='LOG_LEVEL=WARNING'")
    console.follow("Environment variables")
    assert "release two" in live.ask().text
    assert values(live, "LOG_LEVEL") == ["WARNING"]
    env_file = live.folder / ".env"
    given = env_file.read_text()
    env_file.write_text(f"{given}ALLOWED_HOSTS=https://example.com\n")
    page = live.laptop.project / "docs/deploy.md"
    assert not_as_shown(page, "Environment variables", live.deploy(code=1)) == []
    env_file.write_text(given)


def write_an_email(live: Live, console: Reader) -> None:
    """Follow *Email* with a mail server of this machine."""
    env_file = live.folder / ".env"
    with mail_server() as box:
        (lines,) = (
            block.text for block in blocks(live.laptop.project / "docs/deploy.md") if block.language == "dotenv"
        )
        told = re.sub("(?m)^EMAIL_URL=.*", f"EMAIL_URL={box.url}", lines)
        env_file.write_text(f"{env_file.read_text()}{told}\n")
        console.paste("to=you@example.com")
        console.follow("Email")
    assert box.recipients[-1] == "you@example.com"


def schedule_jobs(live: Live, console: Reader) -> None:
    """Follow *Scheduled jobs*, and run each as the platform does: in the home folder, without a console's variables."""
    account = live.account
    tasks = console.follow("Scheduled jobs")
    assert tasks.count("daily") >= 2
    commands = {task["command"].split()[-1]: task for task in live.platform.tasks.values()}
    assert set(commands) == {"backup", "cleanup"}
    before = backups(live)
    without = ["env", "-i", f"HOME=/home/{account.user}", f"PATH={account.environment['PATH']}"]
    for task in commands.values():
        assert (task["interval"], task["enabled"]) == ("daily", True)
        account.run(*without, "sh", "-c", task["command"])
    assert len(backups(live)) > len(before)


def folder(parent: Path, name: str) -> Path:
    """Make a new folder, and return it."""
    (parent / name).mkdir()
    return parent / name


def escaped(value: str) -> str:
    """Return a value escaped for single quotes in `.env`."""
    return value.replace("\\", "\\\\").replace("'", "\\'")


def values(live: Live, name: str) -> list[str]:
    """Return the values that the release that serves has for a variable."""
    return re.findall(f"(?m)^{name}=(.*)$", live.account.run("cat", "todo-list/current/.env"))


def backups(live: Live) -> list[str]:
    """Return the backup files."""
    return sorted(path.name for path in (live.folder / "backups").iterdir())


def test_github_deploys_the_commit_that_was_tested(live: Live) -> None:
    tested = live.laptop.change(release("release two"))
    live.laptop.change(release("a later push"))
    environment = live.laptop.environment(live.account, key="")
    expressions = {
        "secrets.PYTHONANYWHERE_API_TOKEN": TOKEN,
        "secrets.PYTHONANYWHERE_SSH_KEY": "the key",
        "vars.PYTHONANYWHERE_KNOWN_HOSTS": "the host's key",
        "vars.PYTHONANYWHERE_SSH": HOST,
        "github.sha": tested,
        "inputs.environment || 'production'": "production",
    }
    workflow = github_workflow(live.laptop.project, "deploy-pythonanywhere.yml")
    assert workflow["jobs"]["deploy"]["needs"] == "test"
    runner = Runner(live.laptop.project, environment, expressions)
    code, printed = runner.github(workflow, "deploy")
    assert code == 0, printed
    assert rows(printed) == dict.fromkeys(CHECKS, "PASS")
    assert live.current.endswith(tested[:8])
    assert "release two" in live.ask().text
    assert "a later push" not in live.ask().text
    assert TOKEN not in printed
    key = live.laptop.home / ".ssh/id_ed25519"
    assert (key.read_text(), key.stat().st_mode & 0o077) == ("the key\n", 0)
    live.account.run("bash", "-euc", "\n".join(management_blocks(live.laptop.project)))

    # Production accepts only commits that contain the deployed one.
    expressions["github.sha"] = beside(live, release("another branch"))
    code, printed = runner.github(workflow, "deploy")
    assert code == 1
    assert "What was pushed does not follow from what is here" in printed


def beside(live: Live, *changes: Change) -> str:
    """Push a branch without the commit that the account's clone has; return its commit."""
    live.laptop.change(release("what the branch lacks"))
    live.account.run("git", "-C", "todo-list/repository", "pull", "--quiet")
    live.laptop.git("reset", "--quiet", "--hard", "HEAD~1")
    for each in changes:
        each(live.laptop.project)
    live.laptop.git("add", "--all")
    live.laptop.git("commit", "--quiet", "--message", "Change")
    live.laptop.git("push", "--quiet", "origin", "HEAD:refs/heads/branch")
    return live.laptop.git("rev-parse", "HEAD")


def test_gitlab_deploys_any_branch_to_staging_and_says_when_the_check_fails(live: Live) -> None:
    tested = beside(live, BROKEN, as_of_gitlab)
    environment = live.laptop.environment(live.account, key="")
    # The job installs them in its image, which is Debian's.
    live.laptop.program("apt-get", "#!/bin/sh\n")
    key = live.laptop.home / "key-file"
    key.write_text("the key\n")
    job = gitlab_job(live.laptop.project, "deploy")
    given = {
        "PYTHONANYWHERE_SSH": HOST,
        "PYTHONANYWHERE_SSH_KEY": str(key),
        "PYTHONANYWHERE_KNOWN_HOSTS": "the host's key",
        "PYTHONANYWHERE_API_TOKEN": TOKEN,
        "CI_COMMIT_SHA": tested,
        "DEPLOY_ENVIRONMENT": "staging",
    }
    first = live.current
    code, printed = Runner(live.laptop.project, environment, {}).gitlab(job, given)
    assert code == 1
    assert "FAIL  security headers are set" in printed
    assert f"Rolled back: {first} serves as before" in printed
    assert live.current == first


def as_of_gitlab(project: Path) -> None:
    """Replace the project's CI by the pipeline that the answer `gitlab` renders."""
    template = ROOT / "template/{{pythonanywhere}}/{{gitlab}}"
    (project / ".gitlab").mkdir()
    name = ".gitlab/deploy-pythonanywhere.yml"
    (project / name).write_text((template / name).read_text())
    (project / ".gitlab-ci.yml").write_text(f"include: /{name}\n")


def test_requirements_that_are_not_the_locks_stop_the_ci(live: Live) -> None:
    workflow = github_workflow(live.laptop.project, "test.yml")
    steps = workflow["jobs"]["test"]["steps"]
    workflow["jobs"]["test"]["steps"] = [step for step in steps if step.get("run") == "make check-requirements"]
    runner = Runner(live.laptop.project, live.laptop.environment(live.account), {})
    code, printed = runner.github(workflow, "test")
    assert code == 0, printed
    # As after a bot's change of the lock file only.
    live.laptop.change(text("requirements.txt", "django==6", "django==5"))
    code, printed = runner.github(workflow, "test")
    assert code == 2
    assert "requirements.txt does not match uv.lock. Run `make requirements` and commit the file." in printed
    code, printed = runner.script("make requirements", {})
    assert code == 0, printed
    assert live.laptop.git("status", "--short", "requirements.txt") == "M requirements.txt"
    code, printed = runner.github(workflow, "test")
    assert code == 0, printed


def test_without_ssh_a_deploy_from_elsewhere_says_where_else(live: Live) -> None:
    environment = live.laptop.environment(live.account, key="")
    command = ["python3", "deploy/pythonanywhere.py", "--ssh", HOST]
    runner = Runner(live.laptop.project, environment, {})
    code, printed = runner.script(shlex.join(command), {"API_TOKEN": TOKEN})
    assert (code, "Permission denied" in printed, "Free accounts have no ssh" in printed) == (1, True, True)
    code, printed = runner.script(
        shlex.join(["/usr/bin/env", f"PATH={live.laptop.home}", "/usr/bin/python3", *command[1:]]), {}
    )
    assert (code, "the ssh program is not installed" in printed) == (1, True)

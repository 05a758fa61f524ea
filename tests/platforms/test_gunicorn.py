"""The gunicorn shell works on a machine with systemd and nginx: its runbook as written, deploys, and rollbacks."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from stand_ins.machines import Machines
from stand_ins.mail_server import mail_server
from tests.support.environments import run
from tests.support.faults import QUICK, Change, route, text
from tests.support.names import IN_A_NAMESPACE
from tests.support.owners import DEPLOY, DOMAIN, NAMES, REPOSITORY, SLUG, MachineRunner, Owner
from tests.support.repositories import repository
from tests.support.runbooks import blocks, management_blocks
from tests.support.smoke import CHECKS
from tests.support.traffic import callers, steady_traffic
from tests.support.upkeep import HOW_FAR, UPKEEP
from tests.support.workflows import github_workflow, gitlab_job

Render = Callable[..., Path]

# Blocks of the runbook that cannot be run here.
NOT_RUN = {
    "ufw": "the test's machine has no firewall of its own",
    "sudo --login": "the test has a session for each user",
    "ssh-keygen": "the test's repository is public",
    f"repository=https://github.com/you/{SLUG}.git": "the reader's own address",
    f"sudo {SLUG}-run python manage.py createsuperuser": "asks for a password at a terminal",
    "keep=0001_initial": "the app is the reader's own; the test sets these variables",
    "backup=": "the name has the time of the backup; the test sets this variable",
    "email_url=": "the mail server is the reader's own; the test sets these variables to its own",
    "pg_upgradecluster": "the test's machine has one version of PostgreSQL",
}

BROKEN_HOME = route("^$", "lambda request: HttpResponse(status=500)")
NOT_TODAY = ("def on_starting(server):", "    raise RuntimeError('not today')")
NEW_PAGE = route("^new/$", "lambda request: HttpResponse('new')")
NEW_MIGRATION = """
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0001_initial")]
    operations = [migrations.AddField("user", "nickname", models.CharField(default="", max_length=50))]
"""
ANOTHER_TABLE = """
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("accounts", "0001_initial")]
    operations = [migrations.RunSQL("CREATE TABLE note (id integer)", "DROP TABLE note")]
"""
FAILING_MIGRATION = """
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("accounts", "0001_initial")]
    operations = [migrations.RunSQL("SELECT no_such_column FROM accounts_user")]
"""
NICKNAME = text(
    "apps/accounts/models.py",
    "    USERNAME_FIELD",
    "    nickname = models.CharField(max_length=50)\n    USERNAME_FIELD",
)
APP_AND_MIGRATION = "app=accounts keep=0001_initial"
ALIAS = text("deploy/nginx.conf", f"server_name {DOMAIN};", f"server_name {DOMAIN} www.{DOMAIN};")
AN_ACCOUNT = """
from apps.accounts.models import User
User.objects.create_user("visitor@example.com")
"""


def migration(text: str) -> Change:
    """Add a migration to the next release."""
    return lambda project: (project / "apps/accounts/migrations/0002_next.py").write_text(text)


def gunicorn_settings(*lines: str) -> Change:
    """Append lines to gunicorn.conf.py."""

    def change(project: Path) -> None:
        with (project / "gunicorn.conf.py").open("a") as file:
            file.writelines(f"{line}\n" for line in lines)

    return change


def status_of(owner: Owner, path: str) -> str:
    """Return the status of the site's answer to a request from the machine itself."""
    ask = "curl --silent --output /dev/null --write-out '%{http_code}'"
    return owner.machine.run(f"{ask} https://{DOMAIN}{path}")


def accounts(owner: Owner) -> str:
    """Return the number of accounts."""
    count = "from apps.accounts.models import User; print(User.objects.count())"
    return owner.machine.run(f"{SLUG}-run python manage.py shell --verbosity=0 --command='{count}'").strip()


@pytest.mark.parametrize("deploys", [2, 10])
def test_deploys_in_a_row_lose_no_request(owner: Owner, tmp_path: Path, deploys: int) -> None:
    authority = owner.machine.authority(tmp_path)
    lost: list[str] = []
    succeeded = 0
    for _ in range(deploys):
        # New clients for each deploy, since each sends requests for a limited time only.
        probes = callers(14, owner.machine.address, DOMAIN, "/health/", ca_file=authority)
        readers = callers(2, owner.machine.address, DOMAIN, "/", ca_file=authority)
        with steady_traffic(*probes, *readers) as traffic:
            owner.ask("deploy")
        lost += traffic.failures
        succeeded += traffic.succeeded.total()
    assert lost == []
    assert succeeded > deploys * 16
    # The fixture has made one release. Five are kept, and one line is about the site.
    assert len(owner.ask("status").splitlines()) == min(1 + deploys, 5) + 1


def test_a_deploy_that_breaks_at_any_step_leaves_the_old_release_serving(owner: Owner, tmp_path: Path) -> None:
    not_ready = text("operations/probes.py", "CHECKS = [", 'CHECKS = [Check("never", lambda: exec("1/0")), ')

    def not_loading(project: Path) -> None:
        with (project / "config/wsgi.py").open("a") as file:
            file.write("raise RuntimeError('not loading')\n")

    def broken_with_a_table(project: Path) -> None:
        migration(ANOTHER_TABLE)(project)
        BROKEN_HOME(project)

    breaks: list[tuple[str, Change, str]] = [
        ("1/5 build", text("static/site.css", "body {", "body { background: url(missing.png);"), "missing.png"),
        ("2/5 check its settings", not_loading, "not loading"),
        ("3/5 migrate", migration(FAILING_MIGRATION), "no_such_column"),
        # It fails in the server's own process, and not in the check before.
        ("4/5 switch", gunicorn_settings(*NOT_TODAY), "not today"),
        ("4/5 switch", not_ready, "/ready/ answers 503"),
        ("5/5 check the live site", broken_with_a_table, "FAIL  the home page is shown"),
    ]
    before = owner.ask("status").splitlines()[:-1]
    authority = owner.machine.authority(tmp_path)
    for name, change, why in breaks:
        with steady_traffic(*callers(4, owner.machine.address, DOMAIN, "/health/", ca_file=authority)) as traffic:
            owner.commit(f"Break {name}", change)
            said = owner.deploy(code=1)
        assert re.search(rf"^{name}.*: failed after", said, re.MULTILINE), said
        assert why in said
        assert "serves as before" in said
        assert traffic.failures == []
        assert traffic.succeeded.total() > 10
        # A release that was not switched to is removed. Another one stays until a later one is healthy, or fails too.
        listed = owner.ask("status").splitlines()[:-1]
        assert [line for line in listed if "  failed  " not in line] == before, name
        assert len(listed) - len(before) == name.startswith(("4/5", "5/5")), name
        owner.take_back()
    (failed,) = re.findall("If (.+) has migrations, they are still applied", said)
    (undo,) = [block.text for block in blocks(owner.project / "docs/troubleshooting.md") if "--release=" in block.text]
    undo = re.sub("--release=[^ ]+", f"--release={failed}", undo)
    assert "Unapplying accounts.0002_next... OK" in owner.machine.run(f"{APP_AND_MIGRATION}\n{undo}", "deploy")
    # A lock that does not fit is refused before anything is built, and is still what is committed.
    owner.commit("Break the lock", text("pyproject.toml", '"requests>=2.34,<3",', ""))
    assert "uv.lock" in owner.deploy(code=1)
    assert owner.machine.run(f"git -C /srv/{SLUG}/repository status --short", "deploy") == ""


def test_going_back_builds_and_migrates_nothing(owner: Owner) -> None:
    """It says what serves if the suite checks a page that only the newer release has."""
    owner.commit("Add a page", NEW_PAGE, text("pyproject.toml", "\npages = []", '\npages = ["/new/"]'))
    owner.deploy()
    said = owner.ask("rollback", code=1)
    assert re.findall(r"^(\d/\d \w+).*: (?:done in|failed after)", said, re.MULTILINE) == ["1/2 switch", "2/2 check"]
    assert re.findall("^FAIL  (.+?)(?:  .*)?$", said, re.MULTILINE) == ["further pages are shown"]
    assert "is switched on all the same, so do not roll back again" in said
    assert status_of(owner, "/new/") == "404"


def test_two_deploys_at_once_are_one_and_one_that_is_broken_off_changes_nothing(owner: Owner) -> None:
    serving = re.compile("^.* serves .*$", re.MULTILINE)
    before = serving.findall(owner.ask("status"))
    broken_off = "kill -TERM $(pgrep --full '^[^ ]*python[0-9.]* deploy/machine.py')"
    owner.machine.run(
        f"({DEPLOY}) >~/first 2>&1 & sleep 4; ({DEPLOY}) >~/second 2>&1 || true; {broken_off}; wait", "deploy"
    )
    first, second = (owner.machine.run(f"cat ~/{name}", "deploy") for name in ("first", "second"))
    assert "another deploy or rollback is under way; nothing was done" in second
    assert "interrupted" in first
    assert "Traceback" not in first + second
    assert serving.findall(owner.ask("status")) == before


def test_the_workflows_deploy_and_take_back(owner: Owner, render: Render) -> None:
    """Run the steps of both on a runner that has only the settings from the runbook."""
    machine = owner.machine
    owner.reader.left = [block for block in owner.reader.left if block.heading == "Deploy from CI"]
    known_hosts = owner.follow("Deploy from CI").strip()
    key = machine.run("cat ~/.ssh/ci", "deploy")
    # GitLab provides a key as a file. The installation is skipped: the programs are installed here.
    machine.run(
        "useradd --create-home --shell /bin/bash runner && install -m 644 /home/deploy/.ssh/ci /run/ci\n"
        "printf '#!/bin/sh\\n' >/usr/local/bin/apt-get && chmod 755 /usr/local/bin/apt-get"
    )
    machine.run(f"git clone --quiet {REPOSITORY} ~/project", "runner")
    values = {"DEPLOY_SSH": f"deploy@{DOMAIN}", "DEPLOY_URL": f"https://{DOMAIN}", "DEPLOY_KNOWN_HOSTS": known_hosts}
    of_github = {**{f"vars.{name}": value for name, value in values.items()}, "secrets.DEPLOY_SSH_KEY": key.strip()}

    owner.commit("Add a page", NEW_PAGE)
    commit = run(["git", "rev-parse", "HEAD"], owner.project).strip()
    runner = MachineRunner(owner, {**of_github, "github.sha": commit})
    code, said = runner.github(github_workflow(owner.project, "deploy-gunicorn.yml"), "deploy")
    assert code == 0, said
    assert status_of(owner, "/new/") == "200"

    owner.commit("Break the home page", BROKEN_HOME)
    commit = run(["git", "rev-parse", "HEAD"], owner.project).strip()
    job = gitlab_job(render(platform="gunicorn", ci="gitlab"), "deploy")
    code, said = MachineRunner(owner, {}).gitlab(job, {**values, "DEPLOY_SSH_KEY": "/run/ci", "CI_COMMIT_SHA": commit})
    assert code == 1
    assert "serves as before" in said
    assert status_of(owner, "/new/") == "200"
    assert key.strip() not in said

    # Commands that the key does not allow.
    for asked in (
        "",
        "id",
        "status",
        "deploy main",
        "deploy --help",
        f"deploy {commit} x",
        "deploy $(id)",
        "rollback x",
    ):
        refused = machine.run(f"ssh -n deploy@{DOMAIN} '{asked}'", "runner", code=2)
        assert "Nothing was done" in refused, asked
    assert "not a commit of the main" in machine.run(f"ssh -n deploy@{DOMAIN} deploy {'0' * 40}", "runner", code=1)
    assert status_of(owner, "/new/") == "200"
    machine.run(f"ssh -n deploy@{DOMAIN} rollback", "runner")
    assert status_of(owner, "/new/") == "404"
    for user in ("deploy", "root"):
        for block in management_blocks(owner.project):
            machine.run(f"cd\n{block}", user)


@HOW_FAR
def test_the_runbook_leads_to_a_live_site_and_back(owner: Owner, *, upkeep: bool) -> None:
    """Run each block unchanged and in order, with the events between them that they are for.

    The blocks up to the first deploy were run on the bare machine that the fixture kept.
    """
    said = owner.follow("Before you start")
    assert "curl:" not in said
    assert '{"status": "ok"}' in said
    assert re.search("^200 text/css.*immutable", said, re.MULTILINE)
    owner.go_on_after_the_first_deploy()
    said = owner.follow("Verify")
    assert set(re.findall("^PASS  (.+?)(?:  |$)", said, re.MULTILINE)) == set(CHECKS)
    assert f"https://{DOMAIN} is live and healthy" in said
    assert re.search('"requests": [1-9]', owner.follow("Logs"))

    owner.commit("Add a page, and another name for the site", NEW_PAGE, ALIAS)
    owner.deploy()
    assert status_of(owner, "/new/") == "200"
    owner.follow("Roll back")
    assert status_of(owner, "/new/") == "404"

    # The previous release cannot add an account to a table with this column.
    owner.commit("Add a nickname", migration(NEW_MIGRATION), NICKNAME)
    owner.deploy()
    owner.variables |= {"app": "accounts", "keep": "0001_initial"}
    assert "Unapplying accounts.0002_next... OK" in owner.follow("Undo a migration")

    if upkeep:
        owner.follow("Rotate the secret key")
        owner.follow("Environment variables")
    else:
        owner.reader.leave_out(UPKEEP)
    owner.machine.run(f"{SLUG}-run python manage.py shell --verbosity=0", given=AN_ACCOUNT)
    owner.follow("Backups")
    owner.choose_backup()
    copy_elsewhere(owner)
    later = AN_ACCOUNT.replace("visitor", "later")
    owner.machine.run(f"{SLUG}-run python manage.py shell --verbosity=0", given=later)
    owner.follow("Restore")
    assert accounts(owner) == "1"
    if upkeep:
        owner.follow("Custom domain and HTTPS")
        write_an_email(owner)
        assert "0 uploads would be deleted" in owner.follow("Scheduled jobs")
        maintain(owner)
        owner.follow("Deploy from CI")
        # The other name is set on the machine and in the project.
        assert owner.ask("status").endswith("is live and healthy\n")
    assert owner.reader.left == []
    not_pasted = [block.text for block in blocks(owner.project / "docs/deploy.md") if block.language == "console"]
    assert len(not_pasted) == len(NOT_RUN)
    assert all(words in text for text, words in zip(not_pasted, NOT_RUN, strict=True))


def copy_elsewhere(owner: Owner) -> None:
    """Copy backups and uploads as from another machine, restore an upload, and save a backup without deleting another."""
    page = blocks(owner.project / "docs/server.md")
    copy, restore = [block.text for block in page if block.heading == "Copies elsewhere"]
    picture, backups = f"/var/lib/{SLUG}/media/picture", f"/var/lib/{SLUG}/backups"
    here = re.sub("ssh HOST '(.*?)'", r"\1", copy)
    owner.machine.run(f"touch {picture} && cd $(mktemp --directory) && {here} && rm {picture} && {restore}")
    assert owner.machine.run(f"stat --format=%U {picture}").strip() == SLUG
    (save,) = re.findall(f"`({SLUG}-run env .*? backup)`", (owner.project / "docs/deploy.md").read_text())
    older = " ".join(f"{backups}/2000010{day}T000000Z.dump" for day in range(1, 9))
    owner.machine.run(f"touch {older} && {save} && ls {older} && rm {older}")


def write_an_email(owner: Owner) -> None:
    """Follow *Email* with a mail server that the machine reaches."""
    (network,) = owner.machine.engine.inspect(owner.machine.id)[0]["NetworkSettings"]["Networks"].values()
    with mail_server(network["Gateway"]) as postbox:
        told = {"email_url": postbox.url, "sender": "site@example.com", "recipient": "you@example.com"}
        owner.variables |= told
        owner.follow("Email")
    assert postbox.recipients == ["you@example.com"]
    assert postbox.mails[0]["From"] == "site@example.com"


def maintain(owner: Owner) -> None:
    """Follow *Maintenance mode*: visitors are told to come back, and then all is stopped and started."""
    on, off, stop_and_start = [block for block in owner.reader.left if block.heading == "Maintenance mode"]
    owner.paste(on)
    ask = f"curl --silent --include https://{DOMAIN}/"
    answer = owner.machine.run(ask)
    assert answer.startswith("HTTP/2 503")
    assert "retry-after: 300" in answer
    assert "Down for maintenance" in answer
    owner.paste(off)
    assert status_of(owner, "/") == "200"
    owner.paste(stop_and_start)
    assert status_of(owner, "/") == "200"
    del owner.reader.left[:3]


def test_the_runbook_leads_to_a_live_site_with_sqlite(render: Render, machines: Machines) -> None:
    """Run the blocks that differ: setting up the machine, and backups."""
    project = render(platform="gunicorn", database="sqlite", ci="gitlab")
    QUICK(project)
    repository(project)
    with machines.started(machines.bare(), *NAMES) as machine:
        owner = Owner(machine, project)
        owner.settle()
        owner.follow_to_the_first_deploy()
        machine.run(f"{SLUG}-run python manage.py shell --verbosity=0", given=AN_ACCOUNT)
        machine.run(f"systemctl start {SLUG}-backup")
        owner.choose_backup()
        machine.run(f"rm /var/lib/{SLUG}/db.sqlite3*")
        owner.reader.left = [block for block in owner.reader.left if block.heading == "Restore"]
        owner.follow("Restore")
        assert accounts(owner) == "1"
        assert owner.ask("status").endswith("is live and healthy\n")


def test_a_site_that_was_set_up_under_another_slug_is_not_deployed_beside_it(render: Render, tmp_path: Path) -> None:
    project = render(platform="gunicorn", project_slug="chores")
    # A machine whose /srv has the site under its previous name.
    commands = (
        'mount -t tmpfs tmpfs /srv && mkdir /srv/todo-list && cp -r "$1" /srv/todo-list/repository && shift && "$@"'
    )
    script = ["python3", "/srv/todo-list/repository/deploy/machine.py"]
    said = run([*IN_A_NAMESPACE, "sh", "-c", f"{commands} || true", "sh", str(project), *script], tmp_path)
    assert "FAILED: the site is todo-list on this machine, and its project is called chores now" in said

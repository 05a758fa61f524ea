"""docs/deploy.md for Docker is followed from the top, and a deploy that fails is rolled back by itself."""

import os
import re
import secrets
import shlex
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from stand_ins.mail_server import mail_server
from stand_ins.object_storage import object_storage
from tests.support.containers import Deployment, Engine, Projects
from tests.support.environments import run
from tests.support.faults import QUICK, route
from tests.support.rendering import question_choices
from tests.support.runbooks import PASTED, Reader, blocks, reverting
from tests.support.servers import eventually
from tests.support.smoke import CHECKS
from tests.support.traffic import steady_traffic, visitors
from tests.support.upkeep import HOW_FAR, UPKEEP

Render = Callable[..., Path]

# How the block begins that PostgreSQL's next version is chosen by.
NEW_VOLUME = "sed --in-place 's/postgres:18/"
# Blocks that cannot be run here, and why.
NOT_RUN = {
    "git clone": "the repository is the reader's own",
    "DOMAIN=": "a certificate needs a name that the world finds; the page is followed on localhost",
    "createsuperuser": "it asks for an address and a password; the tests of compose make an account without asking",
    "keep=0001_initial": "the app is the reader's own; the test sets these variables",
    "backup=": "the name has the time of the backup; the test sets this variable",
    "domain=": "the domain is the reader's own; the test sets this variable",
    "email_url=": "the mail server is the reader's own; the test sets these variables to its own",
    NEW_VOLUME: "there is no next version yet; the test goes from the previous one to this",
}

UNDONE = """
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("accounts", "0001_initial")]
    operations = [migrations.RunSQL("CREATE TABLE note (id integer)", "DROP TABLE note")]
"""

POOLER = """
FROM debian:trixie-slim
RUN apt-get update --quiet=2 \\
 && DEBIAN_FRONTEND=noninteractive apt-get install --quiet=2 --yes --no-install-recommends pgbouncer >/dev/null
USER postgres
CMD ["/usr/sbin/pgbouncer", "/etc/pgbouncer/pgbouncer.ini"]
"""

NEW_PAGE = route("^new/$", "lambda request: HttpResponse('new')")
ANOTHER_VERSION = "Upgrade PostgreSQL"
APP_AND_MIGRATION = {"app": "accounts", "keep": "0001_initial"}
# The page's sections about data, after the site is live.
KEEPING = ("Undo a migration", "Backups", "Restore", "Maintenance mode")

COUNT = "from apps.accounts.models import User; print('accounts:', User.objects.count())"


class Reading:
    """A person who follows the page with a repository and a machine."""

    def __init__(self, deployment: Deployment, state: Path) -> None:
        self.deployment = deployment
        self.project = deployment.project
        variables = {**deployment.engine.environment, **deployment.variables, **APP_AND_MIGRATION}
        self.reader = Reader(self.project / "docs/deploy.md", state, variables)

    def commit(self, message: str) -> None:
        """Commit all changes."""
        run(["git", "add", "--all"], self.project)
        run(["git", "commit", "--quiet", "--message", message], self.project)

    def release(self, name: str, old: str, new: str) -> None:
        """Change a file, and commit it."""
        text = (self.project / name).read_text()
        assert old in text
        (self.project / name).write_text(text.replace(old, new))
        self.commit(f"Write {new!r}")

    def manage(self, *command: str, **variables: str) -> str:
        """Run one of Django's commands in the container that serves."""
        told = [f"--env={name}={value}" for name, value in variables.items()]
        return self.deployment.compose("exec", *told, "web", "python", "manage.py", *command)

    def serves(self, text: str) -> bool:
        """Return True if the home page contains a text."""
        answer = self.deployment.get("/")
        return answer.status_code == 200 and text in answer.text


# Docker 29 prints the images of a repository in other columns, unless it is told which. And in the middle of a deploy, images
# without a name are deleted, as another site on the machine does at the end of its own.
DOCKER_29 = """#!/bin/sh
case "$*" in *" migrate") DOCKER image prune --force --filter label=com.docker.compose.project=NAME >/dev/null ;; esac
if [ "$1 $2" = "image ls" ] && [ "${3#-}" = "$3" ]; then
  echo "IMAGE ID DISK-USAGE CONTENT-SIZE EXTRA"
  exec DOCKER image ls --format "{{.Repository}}:{{.Tag}} {{.ID}} 10MB 5MB U" "$3"
fi
exec DOCKER "$@"
"""


def as_docker_29(reading: Reading, folder: Path) -> None:
    """Let the reader's Docker print images as Docker 29 does, on a machine with another site."""
    path = reading.reader.environment["PATH"]
    folder.mkdir()
    program = DOCKER_29.replace("DOCKER", str(shutil.which("docker", path=path)))
    (folder / "docker").write_text(program.replace("NAME", reading.deployment.name))
    (folder / "docker").chmod(0o755)
    reading.reader.environment["PATH"] = f"{folder}{os.pathsep}{path}"


def tags(deployment: Deployment) -> set[str]:
    """Return the tags of the site's images."""
    return set(deployment.engine.docker("image", "ls", "--format={{.Tag}}", deployment.name).split())


def unnamed(deployment: Deployment) -> str:
    """Return the images of the site that have no name any more."""
    label = f"--filter=label=com.docker.compose.project={deployment.name}"
    return deployment.engine.docker("image", "ls", "--quiet", "--filter=dangling=true", label)


def passed(said: str) -> bool:
    """Return True if all rows of the smoke suite's table at the end of a text are PASS."""
    return re.findall(r"^PASS  (.+?)(?:  .*)?$", said, re.MULTILINE)[-len(CHECKS) :] == CHECKS and "FAIL " not in said


@pytest.fixture
def reading(request: pytest.FixtureRequest, engine: Engine, render: Render, tmp_path: Path) -> Iterator[Reading]:
    """A new repository with a project on the test's database."""
    project = render(database=request.param)
    QUICK(project)
    engine.docker("build", "--quiet", "--target", "lock", "--output", ".", ".", folder=project)
    run(["git", "init", "--quiet", "--initial-branch=main"], project)
    run(["git", "add", "--all"], project)
    run(["git", "commit", "--quiet", "--message", "Start"], project)
    # The Git host that the page pulls from.
    run(["git", "clone", "--quiet", "--bare", str(project), str(tmp_path / "origin.git")], tmp_path)
    run(["git", "remote", "add", "origin", str(tmp_path / "origin.git")], project)
    run(["git", "push", "--quiet", "--set-upstream", "origin", "main"], project)
    (tmp_path / "state").mkdir()
    with Deployment(engine, project) as deployment:
        yield Reading(deployment, tmp_path / "state")


@pytest.mark.parametrize("database", question_choices("database"))
def test_little_of_the_page_cannot_be_run(render: Render, database: str) -> None:
    page = render(database=database) / "docs/deploy.md"
    others = [block.text for block in blocks(page) if block.language == "console"]
    known = [start for start in NOT_RUN if database == "postgresql" or start != NEW_VOLUME]
    for text, start in zip(others, known, strict=True):
        assert start in text


@HOW_FAR
@pytest.mark.parametrize("reading", ["postgresql"], indirect=True)
def test_the_runbook_is_followed_from_its_top(reading: Reading, tmp_path: Path, *, upkeep: bool) -> None:
    reader, deployment = reading.reader, reading.deployment
    assert f"The site's name on it is {deployment.name}." in reader.follow("Before you start")
    reader.follow("First deploy", "Create the secrets")
    taken = run(["git", "status", "--short", "--untracked-files=all"], reading.project)
    assert taken == "", "git would take a secret"
    said = reader.follow("First deploy", "Start the site")
    assert passed(said), said
    assert reading.serves("Todo List")

    # A deploy under traffic.
    reading.release("config/settings/site.py", "Todo List", "Shopping List")
    with steady_traffic(*visitors(4, deployment.session, deployment.url)) as traffic:
        said = reader.follow("Deploy")
    assert passed(said), said
    assert reading.serves("Shopping List")
    assert not traffic.failures
    assert traffic.succeeded.total() > 20
    assert passed(reader.follow("Verify"))
    assert re.search(r'"requests": \d+', reader.follow("Logs"))

    drill(reading)

    # Roll back, roll forward, and undo a migration. The release has another name for the site, too.
    (other,) = [each for each in blocks(reading.project / "docs/server.md") if "redir" in each.text]
    with (reading.project / "deploy/Caddyfile").open("a") as file:
        file.write(other.text.replace("todo-list.example.com", "localhost"))
    old = deployment.container("web")["Image"]
    (reading.project / "apps/accounts/migrations/0002_note.py").write_text(UNDONE)
    reading.commit("Add a table")
    for number in range(6):
        deployment.engine.docker("tag", old, f"{deployment.name}:old-{number}")
    as_docker_29(reading, tmp_path / "docker-29")
    assert "another deploy is at work here" in reader.paste("flock . deploy/docker.sh", code=1)
    assert passed(reader.paste("deploy/docker.sh"))
    with deployment.session() as visitor:
        told = {"Host": "www.localhost"}
        answer = visitor.get(f"{deployment.http_url}/a", headers=told, allow_redirects=False, timeout=60)
    assert (answer.status_code, answer.headers["Location"]) == (308, "https://localhost/a")
    assert len(tags(deployment) - {"live", "before", "smoke"}) == 5
    assert unnamed(deployment) == ""
    back, forth = [block for block in reader.left if block.heading == "Roll back"]
    said = reader.paste(back.text)
    assert passed(said)
    web = deployment.container("web")
    assert web["Image"] == old
    assert f"{deployment.name}:{web['Config']['Labels']['org.opencontainers.image.revision']} is live" in said
    reader.paste(forth.text)
    assert deployment.container("web")["Image"] != old
    deployment.engine.docker("tag", old, f"{deployment.name}:before")
    del reader.left[:2]
    assert "[X] 0002_note" in reader.follow("Undo a migration")
    assert deployment.container("web")["Image"] == old
    assert "0002_note" not in reading.manage("showmigrations", "accounts")

    if upkeep:
        change_settings(reading)
    else:
        reader.leave_out(UPKEEP)
    # This has its own test.
    reader.leave_out([ANOTHER_VERSION])
    come_back(reading)
    assert not reader.left


def change_settings(reading: Reading) -> None:
    """Follow *Rotate the secret key* and *Environment variables*; a wrong value is refused."""
    reader = reading.reader
    key, fallbacks = (reading.project / "secrets" / name for name in ("secret_key", "secret_key_fallbacks"))
    leaked = key.read_text()
    reader.follow("Rotate the secret key", "A secret has leaked")
    before = key.read_text()
    assert before != leaked
    assert fallbacks.read_text().strip() == ""
    reader.follow("Rotate the secret key")
    assert fallbacks.read_text() == before
    assert key.read_text() != before
    reader.follow("Environment variables")
    assert "LOG_LEVEL=INFO" in (reading.project / ".env").read_text()
    (reading.project / ".env").write_text("CONN_MAX_AGE=never\n")
    assert "CONN_MAX_AGE: not a whole number" in reader.paste("docker compose run --rm migrate", code=3)
    (reading.project / ".env").write_text("")
    assert reading.serves("Shopping List")


def write_an_email(reading: Reading) -> None:
    """Follow *Email* with a mail server of this machine."""
    with mail_server(reading.deployment.way_out()) as postbox:
        told = {"email_url": postbox.url, "sender": "site@example.com", "recipient": "you@example.com"}
        reading.reader.environment |= told
        reading.reader.follow("Email")
    assert postbox.recipients == ["you@example.com"]
    assert postbox.mails[0]["From"] == "site@example.com"


def test_the_page_differs_with_the_database_by_its_secrets_and_backups_alone(render: Render) -> None:
    """So all blocks are run with PostgreSQL only, and these sections with both."""
    with_server, with_file = [blocks(render(database=name) / "docs/deploy.md") for name in ("postgresql", "sqlite")]
    known = {block.text for block in with_server}
    others = ["Create the secrets", "Restore"]
    assert [block.section or block.heading for block in with_file if block.text not in known] == others
    there = {block.text for block in with_file}
    assert {block.section or block.heading for block in with_server if block.text not in there} == {
        *others,
        ANOTHER_VERSION,
    }


@pytest.mark.parametrize("reading", ["sqlite"], indirect=True)
def test_what_a_database_in_a_file_asks_for_is_followed_too(reading: Reading) -> None:
    """Run all blocks that change or back up data; the other blocks are the same as for PostgreSQL."""
    reader = reading.reader
    reader.follow("Before you start")
    reader.follow("First deploy")
    old = reading.deployment.container("web")["Image"]
    (reading.project / "apps/accounts/migrations/0002_note.py").write_text(UNDONE)
    # The suite of this release checks a page that the previous one does not have.
    NEW_PAGE(reading.project)
    reading.release("pyproject.toml", "\npages = []", '\npages = ["/new/"]')
    assert passed(reader.paste("deploy/docker.sh"))
    reader.left = [block for block in reader.left if block.heading in KEEPING]
    assert "[X] 0002_note" in reader.follow("Undo a migration", most=2)
    said = reader.paste(reader.left.pop(0).text, code=1)
    assert re.findall("^FAIL  (.+?)(?:  .*)?$", said, re.MULTILINE) == ["further pages are shown"], said
    assert re.search(f"FAILED: {reading.deployment.name}:[0-9a-f]+ is live, and does not pass", said)
    assert reading.deployment.container("web")["Image"] == old
    assert {"live", "before"} <= tags(reading.deployment)
    # An image that does not start is not left live.
    deployment = reading.deployment
    deployment.engine.docker("tag", deployment.engine.inspect("caddy:2")[0]["Id"], f"{deployment.name}:broken")
    said = reader.paste("deploy/docker.sh back broken", code=1)
    assert "FAILED: the image that was live before serves again" in said
    assert deployment.container("web")["Image"] == old
    # The suite is that of the newest build, which the next deploy makes.
    reading.release("pyproject.toml", '\npages = ["/new/"]', "\npages = []")
    deployment.compose("build", "--quiet", "smoke")
    come_back(reading)


def come_back(reading: Reading) -> None:
    """Check that the data is destroyed, and then restored."""
    reader = reading.reader
    account = {"DJANGO_SUPERUSER_EMAIL": "admin@example.com", "DJANGO_SUPERUSER_PASSWORD": secrets.token_urlsafe()}
    reading.manage("createsuperuser", "--noinput", **account)
    reader.follow("Backups")
    (copy,) = reading.project.glob("*T*Z.*")
    reader.environment["backup"] = copy.name
    copy_elsewhere(reading)
    # Caddy makes a new authority.
    Path(reading.deployment.authority()).unlink()
    reading.deployment.compose("down", "--volumes")
    assert passed(reader.follow("Restore"))
    assert not copy.exists()
    assert "accounts: 1" in reading.manage("shell", "--command", COUNT)
    if any(block.heading == "Email" for block in reader.left):
        move_to_another_domain(reading)
        write_an_email(reading)
        assert "0 uploads would be deleted" in reader.follow("Scheduled jobs")
    if reader.left:
        maintain(reading)


def maintain(reading: Reading) -> None:
    """Follow *Maintenance mode*: visitors are told to come back, and then everything is stopped and started."""
    reader = reading.reader
    reader.paste(reader.left.pop(0).text)
    answer = reading.deployment.get("/")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "300")
    assert "Down for maintenance" in answer.text
    reader.paste(reader.left.pop(0).text)
    assert reading.deployment.get("/").status_code == 200
    reader.follow("Maintenance mode")
    assert "accounts: 1" in reading.manage("shell", "--command", COUNT)


def move_to_another_domain(reading: Reading) -> None:
    """Follow *Custom domain and HTTPS* with a domain that Caddy signs itself, and move back."""
    (move,) = [block for block in reading.reader.left if block.heading == "Custom domain and HTTPS"]
    # On this machine alone the domain has no other DNS.
    override = reading.project / "compose.override.yaml"
    override.write_text('services: {smoke: {extra_hosts: ["site.localhost:127.0.0.1"]}}\n')
    for domain in ("site.localhost", "localhost"):
        assert passed(reading.reader.paste(f"domain={domain}\n{move.text}"))
        assert f"DOMAIN={domain}\n" in (reading.project / ".env").read_text()
    override.unlink()
    reading.reader.left.remove(move)


def copy_elsewhere(reading: Reading) -> None:
    """Copy backups and uploads as from another machine, and restore an upload."""
    page = blocks(reading.project / "docs/server.md")
    copy, restore = [block.text for block in page if block.heading == "Copies elsewhere"]
    inside = "docker compose exec --no-TTY web"
    here = re.sub(r"ssh HOST 'cd \S+ && (.*?)'", r"\1", copy)
    reading.reader.paste(f"{inside} touch /uploads/picture\nmkdir elsewhere && cd elsewhere\n(\n{here}\n)")
    reading.reader.paste(f"{inside} rm /uploads/picture\n{restore}\n{inside} ls /uploads/picture\ncd ..")
    copied = {path.name.split(".")[0] for path in (reading.project / "elsewhere").iterdir()}
    assert {Path(reading.reader.environment["backup"]).name.split(".")[0], "uploads"} <= copied
    shutil.rmtree(reading.project / "elsewhere")


def drill(reading: Reading) -> None:
    """Deploy releases that do not work; the site keeps serving the previous one."""
    reader, deployment = reading.reader, reading.deployment
    kept, smoke = tags(deployment), deployment.engine.inspect(f"{deployment.name}:smoke")[0]["Id"]
    page = blocks(reading.project / "docs/troubleshooting.md")
    good = run(["git", "rev-parse", "--short=12", "HEAD"], reading.project).strip()
    # The suite's image changes too, and there is a migration. The release is a merge, as GitHub makes them.
    run(["git", "switch", "--quiet", "--create", "feature"], reading.project)
    (reading.project / "apps/accounts/migrations/0002_note.py").write_text(UNDONE)
    reading.release("smoke/known.py", "\nimport secrets", "\n\nimport secrets")
    reading.release("apps/pages/urls.py", "urlpatterns = [", "urlpatterns = []\n_ = [")
    run(["git", "switch", "--quiet", "main"], reading.project)
    run(["git", "merge", "--quiet", "--no-ff", "--no-edit", "feature"], reading.project)
    said = reader.paste("deploy/docker.sh", code=1)
    assert f"FAILED: rolled back: the previous image serves (commit {good})" in said, said
    assert reading.serves("Shopping List")
    assert passed(deployment.compose("run", "--rm", "smoke"))
    # Its migration is undone by its own image, which is kept, without another rollback.
    (undo,) = [
        block for block in page if block.heading == "After a deploy that rolled back" and block.language == PASTED
    ]
    undone = reader.paste(undo.text.replace("todo-list:failed", f"{deployment.name}:failed"))
    assert "Unapplying accounts.0002_note... OK" in undone
    assert reading.serves("Shopping List")
    reader.paste(f"good={good}\n{reverting(reading.project)}")
    run(["git", "switch", "--quiet", "main"], reading.project)
    run(["git", "merge", "--quiet", "--ff-only", f"revert-to-{good}"], reading.project)
    assert run(["git", "diff", "--stat", good, "HEAD"], reading.project) == ""

    # A release whose migrations fail changes nothing.
    (reading.project / "apps/accounts/migrations/0002_note.py").write_text(UNDONE.replace("integer)", "nonsense"))
    reading.commit("Break a migration")
    started = deployment.container("web")["State"]["StartedAt"]
    assert "FAILED: nothing has changed for the live site" in reader.paste("deploy/docker.sh", code=1)
    assert deployment.container("web")["State"]["StartedAt"] == started
    # The last one's image is left, to undo its migrations, but no other, nor those that they replaced.
    assert tags(deployment) == kept | {"failed"}
    assert deployment.engine.inspect(f"{deployment.name}:smoke")[0]["Id"] == smoke
    assert unnamed(deployment) == ""


def test_another_major_version_of_postgresql_takes_the_data_along(projects: Projects, tmp_path: Path) -> None:
    with projects.copied(tmp_path) as deployment:
        compose = deployment.project / "compose.yaml"
        # The folder where images since version 18 keep their data; version 17 needs a variable for it.
        at = "/var/lib/postgresql/17/docker"
        old = compose.read_text().replace("&postgres postgres:18", "&postgres postgres:17")
        compose.write_text(old.replace("      POSTGRES_DB:", f"      PGDATA: {at}\n      POSTGRES_DB:"))
        deployment.up()
        (tmp_path / "state").mkdir()
        reading = Reading(deployment, tmp_path / "state")
        account = {"DJANGO_SUPERUSER_EMAIL": "admin@example.com", "DJANGO_SUPERUSER_PASSWORD": secrets.token_urlsafe()}
        reading.manage("createsuperuser", "--noinput", **account)
        assert "PostgreSQL 17" in deployment.sql("SELECT version()")
        before, after = [block for block in reading.reader.left if block.heading == ANOTHER_VERSION]
        page = deployment.project / "docs/deploy.md"
        (change,) = [block.text for block in blocks(page) if NEW_VOLUME in block.text]
        reading.reader.paste(before.text)
        compose.write_text(compose.read_text().replace(at, at.replace("17", "18")))
        # The image refuses to start beside the files of another version, so there is a new volume.
        compose.write_text(compose.read_text().replace("postgres:17", "postgres:18"))
        assert "is unhealthy" in reading.reader.paste(after.text)
        assert "there appears to be PostgreSQL data in" in deployment.compose("logs", "database")
        compose.write_text(compose.read_text().replace("postgres:18", "postgres:17"))
        reading.reader.paste(change.replace("18", "17").replace("19", "18"))
        assert passed(reading.reader.paste(after.text))
        assert "PostgreSQL 18" in deployment.sql("SELECT version()")
        assert "accounts: 1" in reading.manage("shell", "--command", COUNT)
        # The old version's volume is deleted by the page's last line.
        (volume,) = re.findall(r"`docker volume rm \S+(_data)`", page.read_text())
        reading.reader.paste(f"docker volume rm {deployment.name}{volume}")
        assert deployment.get("/ready/").status_code == 200


def test_a_pooler_is_added_as_the_page_says_and_the_password_changes_behind_it(
    projects: Projects, tmp_path: Path
) -> None:
    with projects.copied(tmp_path) as deployment:
        deployment.up()
        (tmp_path / "state").mkdir()
        reading = Reading(deployment, tmp_path / "state")
        # Debian's program, where the page names a public image.
        image = f"{deployment.name}:pooler"
        (tmp_path / "pooler").mkdir()
        (tmp_path / "pooler/Dockerfile").write_text(POOLER)
        deployment.engine.docker("build", "--quiet", "--tag", image, tmp_path / "pooler")
        pages = [blocks(reading.project / f"docs/{name}.md") for name in ("operations", "troubleshooting")]
        pooler, changed = [
            [block.text for block in page if where in (block.heading, block.section) and block.language == PASTED]
            for page, where in zip(pages, ("Behind a pooler", "The database's password"), strict=True)
        ]
        said = ""
        for text in pooler:
            said = reading.reader.paste(text.replace("edoburu/pgbouncer", image))
        assert passed(said)

        def visitors_of_the_database() -> set[str]:
            """Return the services with connections to the database."""
            asked = "SELECT DISTINCT host(client_addr) FROM pg_stat_activity WHERE client_addr IS NOT NULL"
            addresses = set(deployment.sql(asked).split())
            services = ("web", "schedule", "pooler")
            networks = {name: deployment.container(name)["NetworkSettings"]["Networks"].values() for name in services}
            return {name for name in services if {each["IPAddress"] for each in networks[name]} & addresses}

        assert visitors_of_the_database() == {"pooler"}
        leaked = (reading.project / "secrets/database_password").read_text()
        reading.reader.paste("".join(changed))
        assert deployment.get("/ready/").status_code == 200
        assert visitors_of_the_database() == {"pooler"}
        files = [reading.project / ".env", *(reading.project / "secrets").iterdir()]
        assert not [file.name for file in files if leaked in file.read_text()]
        # The commands have the new one too.
        reading.reader.paste("docker compose run --rm migrate && docker compose run --rm backup")


@pytest.mark.parametrize("database", question_choices("database"))
def test_backups_are_whole_or_not_there(projects: Projects, tmp_path: Path, database: str) -> None:
    with projects.copied(tmp_path, database) as deployment:
        deployment.up()

        def shell(script: str, code: int = 0) -> str:
            told = deployment.variables
            return deployment.engine.run("sh", "-c", script, folder=deployment.project, code=code, variables=told)

        def service(name: str, *arguments: str, code: int = 0, standard_input: str = "/dev/null") -> str:
            command = shlex.join(["docker", "compose", "run", "--rm", "--no-TTY", name, *arguments])
            return shell(f"{command} <{standard_input}", code)

        def listed() -> list[str]:
            return re.findall(r"^/backups/(.*)$", service("backup", "--list"), re.MULTILINE)

        def inside(script: str) -> str:
            return service("--entrypoint=sh", "backup", "-c", script)

        assert "there is no backup" in service("restore", code=1)
        # Backups of older releases count too.
        older, ending = ("site-{}.dump", "dump") if database == "postgresql" else ("db-{}.sqlite3", "sqlite3.gz")
        names = [f"2000010{day}T000000Z" for day in range(1, 9)]
        names = [*(older.format(name) for name in names[:4]), *(f"{name}.{ending}" for name in names[4:])]
        inside("cd /backups && touch " + " ".join(names))
        newest = service("backup").splitlines()[-1].removeprefix("/backups/")
        assert re.fullmatch(r"\d{8}T\d{6}Z\." + ending, newest)
        assert listed() == [newest, *names[:1:-1]]
        assert "there is no file" in service("restore", f"missing.{ending}", "--force", code=1)
        assert "is not empty" in service("restore", code=1)
        # An incomplete backup is not restored, wherever it is.
        half = f"20000108T000000Z.{ending}"
        inside(f"head -c $(($(stat -c %s /backups/{newest}) / 2)) /backups/{newest} >/backups/{half}")
        assert f"{newest} is complete" in service("backup", "--check")
        assert f"{newest} is complete" in service("backup", "--check", f"/backups/{newest}")
        assert f"{half} is damaged" in service("backup", "--check", half, code=1)
        assert f"{half} is damaged" in service("restore", "--force", half, code=1)
        shell(f"docker compose run --rm --no-TTY --entrypoint=cat backup /backups/{half} >half")
        assert "is damaged" in service("restore", "--force", "-", code=1, standard_input="half")
        (deployment.project / "half").unlink()
        assert "unfinished" not in inside("ls -A /backups")
        # A backup that an older release wrote is restored by its name.
        plain = older.format("20000103T000000Z")
        unpack = "cat" if database == "postgresql" else "gunzip --stdout"
        inside(f"{unpack} /backups/{newest} >/backups/{plain}")
        assert f"Restored {plain}" in service("restore", "--force", plain)
        assert service("backup", "--no-such-option", code=2)
        assert service("restore", "--no-such-option", code=2)
        # What a backup that was killed has left goes a day later.
        inside("touch /backups/.unfinished-new && touch -d '2 days ago' /backups/.unfinished-old")
        # The number in .env is kept.
        (deployment.project / ".env").write_text("BACKUP_KEEP=2\n")
        second = service("backup").splitlines()[-1].removeprefix("/backups/")
        assert listed() == [second, newest]
        assert inside("ls -A /backups | grep unfinished").splitlines()[-1] == ".unfinished-new"
        assert ".unfinished-old" not in inside("ls -A /backups")
        # One that is written before something is restored deletes none.
        service("--env=BACKUP_KEEP=99", "backup")
        assert listed()[1:] == [second, newest]
        second = service("backup").splitlines()[-1].removeprefix("/backups/")
        # The service of each night does the same at its time, which is in the next minute here.
        command = yaml.safe_load((deployment.project / "compose.yaml").read_text())["services"]["nightly"]["command"]
        soon = (datetime.now(UTC) + timedelta(minutes=1)).strftime("%H:%M")
        shell(shlex.join(["docker", "compose", "run", "--detach", "--no-TTY", "nightly", soon, *command[1:]]))
        # That may be longer than one wait.
        assert any(eventually(lambda: listed()[1:] == [second]) for _ in range(3))
        assert deployment.get("/ready/").status_code == 200


@pytest.mark.parametrize("database", question_choices("database"))
def test_a_backup_goes_into_the_bucket_and_comes_back(projects: Projects, tmp_path: Path, database: str) -> None:
    with projects.copied(tmp_path, database, extras=("s3",)) as deployment:
        page = (deployment.project / "docs/server.md").read_text()
        sends = re.findall("`(docker compose run --rm (?:send|backup))`", page.partition("`BACKUP_BUCKET`")[2])
        deployment.up()
        with object_storage(tmp_path, deployment.way_out()) as storage:
            told = dict(storage.variables)
            (deployment.project / "secrets/s3_secret_access_key").write_text(told.pop("S3_SECRET_ACCESS_KEY"))
            (deployment.project / ".env").write_text("".join(f"{name}={value}\n" for name, value in told.items()))
            deployment.up()
            for line in dict.fromkeys(["docker compose run --rm backup", sends[0]]):
                deployment.engine.run(*line.split(), folder=deployment.project, variables=deployment.variables)
            (name,) = storage.names("backups")
            assert f"/backups/{name}" in deployment.compose("run", "--rm", "--no-TTY", "backup", "--list")
            storage.client.download_file("backups", name, str(deployment.project / name))
            if database == "sqlite":
                # It is in the bucket too.
                remove = ("run", "--rm", "--no-TTY", "--entrypoint=rm", "backup", f"/backups/{name}")
                deployment.compose(*remove)
                assert f"Restored {name}" in deployment.compose("run", "--rm", "--no-TTY", "restore", "--force")
        restore = f"docker compose run --rm --no-TTY restore --force - <{name}"
        deployment.engine.run("sh", "-c", restore, folder=deployment.project, variables=deployment.variables)


@pytest.mark.parametrize("reading", ["sqlite"], indirect=True)
def test_what_is_broken_off_or_cannot_work_goes_back(reading: Reading) -> None:
    reading.reader.follow("Before you start")
    reading.reader.follow("First deploy")
    live = reading.deployment.container("web")["Image"]
    reading.release("config/settings/site.py", "Todo List", "Shopping List")
    # An interrupt, by Ctrl-C or by CI, while the new container starts.
    deploying = subprocess.Popen(
        ["deploy/docker.sh"],
        cwd=reading.project,
        env=reading.reader.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    while live in reading.deployment.engine.docker(
        "image", "ls", "--quiet", "--no-trunc", f"{reading.deployment.name}:live"
    ):
        assert deploying.poll() is None
        time.sleep(0.1)
    deploying.terminate()
    _, said = deploying.communicate(timeout=120)
    assert deploying.returncode == 1
    assert "FAILED: broken off" in said
    assert "rolled back: the previous image serves" in said
    assert reading.deployment.container("web")["Image"] == live
    assert reading.serves("Todo List")

    assert "IMAGE is like" in reading.reader.paste("deploy/docker.sh 'two words'", code=1)
    # Another project name has other volumes, which would be empty.
    said = reading.reader.paste("COMPOSE_PROJECT_NAME=renamed deploy/docker.sh", code=1)
    assert f"FAILED: the site runs here as {reading.deployment.name} and is called renamed now" in said
    reading.release("deploy/Caddyfile", "reverse_proxy", "reverse_proxie")
    assert "deploy/Caddyfile cannot be used" in reading.reader.paste("deploy/docker.sh", code=1)
    assert reading.serves("Todo List")

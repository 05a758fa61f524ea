"""Faults stop a deploy to PythonAnywhere before it changes the live site, and the message says what to do."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from stand_ins.pythonanywhere.live import Live, variables
from tests.support.faults import text

Break = Callable[[Live], object]


def pushed(*changes: Callable[[Path], object]) -> Break:
    """Change the project and push."""
    return lambda live: live.laptop.change(*changes)


def environment(**changed: str | None) -> Break:
    """Change values in `.env`; None deletes one."""

    def write(live: Live) -> None:
        values = {**variables(), **changed}
        lines = [f"{name}={value}\n" for name, value in values.items() if value is not None]
        (live.folder / ".env").write_text("".join(lines))

    return write


def damaged_database(live: Live) -> None:
    """Let `.env` name a file that begins like a database and is none."""
    (live.folder / "damaged.sqlite3").write_bytes(b"SQLite format 3\0" + b"?" * 4096)
    url = "sqlite:////home/todolist/todo-list/damaged.sqlite3?init_command=PRAGMA%20journal_mode%3DDELETE"
    environment(DATABASE_URL=url)(live)


def added(name: str, content: str) -> Callable[[Path], object]:
    """Add a file to the project."""

    def write(project: Path) -> None:
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(content)

    return write


MIGRATION = """from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("accounts", "{before}")]
    operations = [migrations.RunSQL("{sql}", "{undo}")]
"""

# Each fault, the step that fails, and texts of the message about the fault and what to do.
FAULTS: dict[str, tuple[Break, str, list[str]]] = {
    "a dirty tree": (
        lambda live: (live.folder / "repository/manage.py").write_text(""),
        "1/10 pull",
        ["M manage.py", "Commit and push them", "nothing has changed"],
    ),
    "a history that was rewritten": (
        lambda live: (
            live.laptop.git("commit", "--quiet", "--amend", "-m", "Other"),
            live.laptop.git("push", "-f", "-q"),
        ),
        "1/10 pull",
        ["does not follow from what is here"],
    ),
    "no .env": (lambda live: (live.folder / ".env").unlink(), "", [".env is not there. Make it from"]),
    "a .env in git": (pushed(added(".gitignore", ""), added(".env", "A=1")), "", ["git rm --cached .env"]),
    "a folder that takes nothing": (
        lambda live: (live.folder / "releases").chmod(0o500),
        "",
        ["FAILED: /home/todolist/todo-list/releases/0002-", ": Permission denied", "nothing has changed"],
    ),
    "requirements that are not the lock's": (
        pushed(text("requirements.txt", "django==6", "django==5")),
        "2/10 install",
        ["requirements.txt says django==5", "uv export"],
    ),
    "requirements without a package of the lock": (
        pushed(lambda project: without(project / "requirements.txt", "brotli")),
        "2/10 install",
        ["uv.lock has brotli, and requirements.txt does not", "uv export"],
    ),
    "a package whose hash differs": (
        pushed(lambda project: swap_hashes(project / "requirements.txt")),
        "2/10 install",
        ["DO NOT MATCH THE HASHES", "the packages could not be installed"],
    ),
    "no values": (
        environment(SECRET_KEY=None, ALLOWED_HOSTS="https://example.com", DATABASE_URL=""),
        "3/10 check the settings and the database",
        [
            "correct them in /home/todolist/todo-list/.env",
            "3 problem(s)",
            "SECRET_KEY: not set",
            "ALLOWED_HOSTS: it is not a host name",
            "DATABASE_URL: not set",
        ],
    ),
    "no settings module": (
        environment(DJANGO_SETTINGS_MODULE=None),
        "3/10 check",
        ["DJANGO_SETTINGS_MODULE: must be"],
    ),
    "WAL on a network disk": (
        environment(DATABASE_URL="sqlite:////home/todolist/todo-list/db.sqlite3"),
        "3/10 check",
        ["WAL is not safe", "PRAGMA%20journal_mode%3DDELETE"],
    ),
    "files inside of a release": (
        environment(DATABASE_URL="sqlite:///db.sqlite3", LOG_FILE="/home/todolist/todo-list/releases/site.log"),
        "3/10 check",
        ["DATABASE_URL: the file would be lost", "LOG_FILE: it would be lost"],
    ),
    "lines that are no variables": (
        lambda live: (live.folder / ".env").write_text("A=1\nSIGNUP_OPEN: false\n"),
        "3/10 check",
        [".env, line 2: not NAME=value", "correct them in /home/todolist/todo-list/.env"],
    ),
    "another encoding": (
        lambda live: (live.folder / ".env").write_text("A=1\n", encoding="utf-16"),
        "3/10 check",
        [".env, line 1: UTF-16. Save the file as UTF-8", "correct them in /home/todolist/todo-list/.env"],
    ),
    "a first host that is no web app's": (
        environment(ALLOWED_HOSTS=".example.com"),
        "3/10 check",
        ["like todolist.python"],
    ),
    "code that does not start": (
        pushed(text("apps/pages/urls.py", "urlpatterns", "1 / 0\nurlpatterns")),
        "3/10 check",
        ["ZeroDivisionError", "the code does not start or pass its checks, for the reason above: fix it, and push"],
    ),
    "a database that does not answer": (
        damaged_database,
        "3/10 check",
        ["DATABASE_URL: the database does not answer: file is not a database"],
    ),
    "an option that is none": (
        environment(
            DATABASE_URL="sqlite:////home/todolist/db?sslmode=require&init_command=PRAGMA%20journal_mode%3DDELETE"
        ),
        "3/10 check",
        ["DATABASE_URL: its option sslmode is not known"],
    ),
    "a Python that is not there": (
        pushed(text(".python-version", "3.13", "3.99")),
        "",
        ["the commit needs python3.99, which is not here", "nothing has changed"],
    ),
    "a file that a style sheet names and that is not there": (
        pushed(added("static/broken.css", "body { background: url(no-such.png) }")),
        "5/10 collect the static files",
        ["no-such.png", "`manage.py collectstatic` failed"],
    ),
}


# For these, Python's or Django's own traceback shows the place.
DJANGOS_OWN = ("code that does not start", "a file that a style sheet names and that is not there")


def swap_hashes(requirements: Path) -> None:
    """Change the hashes of all packages, so that they match no file and are installed again."""
    requirements.write_text(re.sub("sha256:....", "sha256:0000", requirements.read_text()))


def without(requirements: Path, name: str) -> None:
    """Remove a package that another one needs."""
    requirements.write_text(re.sub(rf"(?m)^{name}==.*\n(?:    .*\n)*", "", requirements.read_text()))


@pytest.mark.usefixtures("serves_as_before")
@pytest.mark.parametrize("fault", FAULTS)
def test_a_deploy_that_is_stopped_by(live: Live, fault: str) -> None:
    breaks, step, said = FAULTS[fault]
    breaks(live)
    printed = live.deploy(code=1)
    failed = re.findall(r"^(.*): failed after", printed, re.MULTILINE)
    assert [name.startswith(step) for name in failed] == ([True] if step else [])
    for each in said:
        assert each in printed, printed
    assert "serves as before" in printed
    assert "Traceback" not in printed or fault in DJANGOS_OWN


def test_what_a_migration_left_halfway_can_be_undone_by_the_code_that_has_it(live: Live) -> None:
    first = live.current
    made = MIGRATION.format(before="0001_initial", sql="CREATE TABLE made (id int)", undo="DROP TABLE made")
    broken = MIGRATION.format(before="0002_made", sql="SELECT * FROM no_such_table", undo="")
    migrations = "apps/accounts/migrations"
    pushed(added(f"{migrations}/0002_made.py", made), added(f"{migrations}/0003_broken.py", broken))(live)
    printed = live.deploy(code=1)
    assert "6/10 migrate: failed" in printed
    assert "no such table" in printed
    assert f"{first} serves as before; some migrations may be applied" in printed
    assert live.current == first
    # The command that the page gives.
    folder = f"/home/todolist/todo-list/releases/{live.releases[-1]}"
    assert f"which {folder} can undo" in printed
    undo = live.account.run(
        "sh", "-c", f"cd {folder} && .venv/bin/python manage.py migrate --no-color accounts 0001_initial"
    )
    assert "Unapplying accounts.0002_made... OK" in undo

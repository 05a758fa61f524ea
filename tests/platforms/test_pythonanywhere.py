"""A deploy to PythonAnywhere makes a release beside the current one, and a rollback changes a link."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from pathlib import Path

import pytest

from stand_ins.mail_server import mail_server, text_of
from stand_ins.pythonanywhere.live import Live, grown, release, variables
from tests.support.faults import route, text
from tests.support.readers import QUOTED, VALUES
from tests.support.servers import eventually
from tests.support.smoke import CHECKS

# A change with which the site starts but fails one check of the smoke suite.
BROKEN = text("config/settings/base.py", 'X_FRAME_OPTIONS = "DENY"', 'X_FRAME_OPTIONS = "SAMEORIGIN"')
# A value that a shell would change.
# All special characters of the page on the environment, quoted as it says.
KEY = "|".join(VALUES.values())
quoted = QUOTED["`'…'` with `\\'` and `\\\\`"]
DATABASE = "/home/todolist/todo-list/user$todo_db"
DIGEST = "__import__('hashlib').sha256((s.SECRET_KEY + str(s.DATABASES['default']['NAME'])).encode()).hexdigest()"


def rows(printed: str) -> dict[str, str]:
    """Return the rows of the smoke suite's table: each check with its result."""
    return {name: word for word, name in re.findall(r"^(PASS|FAIL|SKIP)  (.+?)(?:  .*)?$", printed, re.MULTILINE)}


@dataclass
class Deployed:
    """A second deploy, to an account with many faults.

    Attributes:
        live: the site.
        first: the previous release.
        printed: the deploy's output.
        mails: the emails that the site has sent.
    """

    live: Live
    first: str
    printed: str
    mails: list[Message]


@pytest.fixture(scope="module")
def deployed(seed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """A deploy that many tests examine."""
    with grown(seed, tmp_path_factory.mktemp("deployed")) as live, mail_server() as box:
        webapp = live.platform.webapps[live.platform.domain]
        webapp.force_https, webapp.virtualenv_path = False, "/home/todolist/.virtualenvs/old"
        webapp.python_version = "3.12"
        webapp.static_files.append({"id": 98, "url": "/media/", "path": "/home/todolist/todo-list/media"})
        webapp.static_files.append({"id": 99, "url": "/static/", "path": "/home/todolist/todo-list/static"})
        (live.folder / "media/note.txt").write_text("an upload")
        given = {
            **variables(),
            "SECRET_KEY": quoted(KEY),
            "EMAIL_URL": box.url,
            "DEFAULT_FROM_EMAIL": "site@example.com",
        }
        given["DATABASE_URL"] = f"sqlite:///{DATABASE}?init_command=PRAGMA%20journal_mode%3DDELETE"
        (live.folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in given.items()))
        values = f"lambda request: HttpResponse((lambda s: {DIGEST})(__import__('django.conf').conf.settings))"
        live.laptop.change(route("^values$", values), release("release two"))
        first = live.current
        # A console's own variables do not reach the web server.
        yield Deployed(live, first, live.deploy(SECRET_KEY="a console's own"), box.mails)


def test_each_step_has_its_number_outcome_and_time(deployed: Deployed) -> None:
    ended = re.findall(r"^(\d+)/10 .*: done in \d+\.\d s$", deployed.printed, re.MULTILINE)
    assert ended == [str(number) for number in range(1, 11)]
    live = deployed.live
    assert deployed.printed.rstrip().endswith(f"{live.current} is live and healthy: https://{live.platform.domain}")
    assert live.releases == [deployed.first, live.current]
    assert "release two" in live.ask().text


def test_the_smoke_suite_passes_behind_the_platforms_front(deployed: Deployed) -> None:
    """The platform's proxy terminates TLS without a header for it, while browsers post forms with an HTTPS origin."""
    # With a mail server, sign-up waits for an email.
    said = rows(deployed.printed)
    assert list(said) == CHECKS
    assert {name for name, word in said.items() if word != "PASS"} == {
        "one can sign up log out log in and delete the account"
    }
    page = deployed.live.ask()
    assert (page.status, page.headers["Strict-Transport-Security"]) == (200, "max-age=3600")


def test_a_cdn_must_ask_by_https(deployed: Deployed) -> None:
    """One that asks by http gets a redirect to what its visitor has asked for, again and again."""
    platform, told = deployed.live.platform, {"X-Forwarded-Proto": "https"}
    redirected = platform.ask(platform.domain, "/page", tls=False, headers=told)
    assert (redirected.status, redirected.headers["Location"]) == (301, f"https://{platform.domain}/page")
    assert platform.ask(platform.domain, "/", headers=told).status == 200


def test_links_in_mails_lead_to_https(deployed: Deployed) -> None:
    link = f"https://{deployed.live.platform.domain}/accounts/confirm-email/"
    assert link in text_of(deployed.mails[-1])


def test_what_dotenv_says_comes_through_unchanged(deployed: Deployed) -> None:
    """Values reach the web server, a console, a task and the script unchanged: no shell reads the file."""
    expected = hashlib.sha256(f"{KEY}{DATABASE}".encode()).hexdigest()
    assert deployed.live.ask("/values").text == expected
    code = f"from django.conf import settings as s; print({DIGEST})"
    assert deployed.live.manage("shell", "--verbosity=0", "--command", code).strip() == expected
    # The script has migrated this database.
    assert (deployed.live.folder / Path(DATABASE).name).stat().st_size > 0


def test_packages_of_the_same_lock_are_installed_once(deployed: Deployed) -> None:
    assert "the packages are those of an earlier release" in deployed.printed
    assert len(list((deployed.live.folder / "environments").iterdir())) == 1


def test_a_web_app_that_is_not_as_it_should_be_is_corrected(deployed: Deployed) -> None:
    for url in ("/static/", "/media/"):
        assert f"removed the mapping of {url}" in deployed.printed
    webapp = deployed.live.platform.webapps[deployed.live.platform.domain]
    assert (webapp.force_https, webapp.virtualenv_path) == (True, "/home/todolist/todo-list/current/.venv")
    assert webapp.static_files == []
    assert webapp.python_version == "3.13"


def test_uploads_and_logs_stay_from_release_to_release(deployed: Deployed) -> None:
    upload = deployed.live.ask("/media/note.txt")
    assert upload.text == "an upload"
    # The site sends its own headers, so that an upload cannot run as a page.
    assert upload.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert "MEDIA_ROOT='/home/todolist/todo-list/media'" in deployed.live.account.run("cat", "todo-list/current/.env")
    # One from the first deploy's check and one from the second's.
    assert (deployed.live.folder / "logs/site.log").read_text().count('"GET /no-page-has-this-address/ 404"') >= 4


def test_a_touch_of_the_wsgi_file_brings_the_release_that_the_link_names(live: Live) -> None:
    other = live.add_release("0002-0123abcd", live.current)
    release("release two")(other)
    live.link(other.name)
    # Changing the link alone has no effect: a process keeps its release.
    assert "release two" not in live.ask().text
    live.account.run("touch", "/var/www/todolist_pythonanywhere_com_wsgi.py")
    assert eventually(lambda: "release two" in live.ask().text)


def test_the_releases_that_served_last_are_kept_and_one_that_was_given_up_is_not(live: Live) -> None:
    oldest = live.current
    live.add_release("0002-0123abcd", oldest)
    live.add_release("0003-0123abcd", "0002-0123abcd")
    live.add_release("0004-0123abcd", "0003-0123abcd")
    # The state after a rollback from the fourth release to the third.
    live.link("0003-0123abcd")
    live.deploy("--without-smoke")
    assert live.releases == ["0002-0123abcd", "0003-0123abcd", live.current]
    assert live.current.startswith("0005-")


def test_rollback_returns_to_the_release_before_with_its_variables(live: Live) -> None:
    first = live.current
    live.laptop.change(release("release two"))
    env_file = live.folder / ".env"
    env_file.write_text(env_file.read_text() + "SIGNUP_OPEN=false\n")
    live.deploy("--without-smoke")
    assert ("release two" in live.ask().text, "Sign up" in live.ask().text) == (True, False)
    # A value of the earlier release that is refused today, such as an old password.
    theirs = live.folder / "releases" / first / ".env"
    old = theirs.read_text()
    theirs.write_text(f"{old}LOG_LEVEL=LOUD\n")
    printed = live.deploy("--rollback", code=1)
    assert f"{first} has the variables of its time" in printed
    assert f"--commit {first[5:]} --force" in printed
    assert "serves as before; nothing has changed for it." in printed
    assert live.current != first
    theirs.write_text(old)
    printed = live.deploy("--rollback")
    assert live.current == first
    assert f"Rolled back: {first} serves" in printed
    assert rows(printed) == dict.fromkeys(CHECKS, "PASS")
    assert ("release two" in live.ask().text, "Sign up" in live.ask().text) == (False, True)
    assert "there is no earlier release to roll back to" in live.deploy("--rollback", code=1)


def test_a_release_that_is_not_well_gives_way_to_the_one_before(live: Live) -> None:
    first = live.current
    # This release is from before the project moved to another Python.
    webapp = live.platform.webapps[live.platform.domain]
    webapp.python_version = "3.12"
    (live.folder / "releases" / first / ".python-version").write_text("3.12\n")
    live.laptop.change(BROKEN, release("release two"))
    printed = live.deploy(code=1)
    failed, well = printed.split("roll back to", 1)
    assert {name for name, word in rows(failed).items() if word == "FAIL"} == {"security headers are set"}
    assert rows(well) == dict.fromkeys(CHECKS, "PASS")
    assert "FAILED: the live site does not pass the smoke suite" in printed
    assert f"Rolled back: {first} serves as before" in printed
    assert "set python_version to python313" in failed
    assert webapp.python_version == "3.12"
    assert live.current == first
    assert "release two" not in live.ask().text

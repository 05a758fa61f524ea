"""The smoke suite passes on what is rendered, and each of its checks fails where the site fails at it."""

import contextlib
import copy
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import time
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml
from honcho.environ import parse_procfile

from tests.support import rendering
from tests.support.environments import Environments, project_environment
from tests.support.mail import mail_server
from tests.support.rendering import combination_id, pairwise_combinations
from tests.support.servers import PATIENCE, free_port
from tests.support.sites import Site
from tests.support.smoke import Outcome, behind_tls, smoke

Render = Callable[..., Path]

REDIRECT = "http leads to https"
HEALTH = "the process is healthy"
READY = "what the site needs is ready"
HOME = "the home page is shown"
CACHING = "static files are hashed and kept for a year"
COMPRESSION = "static files are compressed"
HSTS = "browsers are told to stay with https"
CSP = "the content security policy is strict"
HEADERS = "security headers are set"
REQUEST_ID = "request ids are kept or replaced"
ACCOUNT = "one can sign up log out log in and delete the account"
COOKIES = "cookies are secure"
CSRF = "a form without its token is refused"
ADMIN = "the admin leads to the login"
NOT_FOUND = "an unknown address gets the 404 page"
NO_DEBUG = "no page is one for developers"
CHECKS = [
    REDIRECT, HEALTH, READY, HOME, CACHING, COMPRESSION, HSTS, CSP, HEADERS,
    REQUEST_ID, ACCOUNT, COOKIES, CSRF, ADMIN, NOT_FOUND, NO_DEBUG,
]  # fmt: skip


# ------------------------------------------------------------ on this machine


@pytest.mark.parametrize("answers", list(pairwise_combinations()), ids=combination_id)
def test_a_fresh_project_passes_served_by_its_own_start_command(
    render: Render, environments: Environments, answers: dict[str, str]
) -> None:
    project = render(**answers)
    outcome = smoke(project, project_environment(environments.install(project)))
    # "Force HTTPS" redirects there, before the server is asked.
    skipped = {REDIRECT} if answers["platform"] == "pythonanywhere" else set()
    assert list(outcome.rows) == CHECKS, outcome.output
    assert outcome.having("SKIP") == skipped
    assert outcome.having("PASS") == set(CHECKS) - skipped, outcome.output
    assert outcome.code == 0
    assert processes_in(project) == []


def processes_in(folder: Path) -> list[str]:
    """The command lines of the processes that work in a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (process / "cwd").readlink() == folder:
                found.append((process / "cmdline").read_text().replace("\0", " "))
    return found


def test_a_server_that_dies_at_its_start_is_told_at_once_in_its_own_words(
    render: Render, environments: Environments
) -> None:
    project = render(platform="docker")
    entrypoint = project / "docker-entrypoint.sh"
    entrypoint.write_text(entrypoint.read_text().replace("gunicorn --bind", "gunicorn --bound"))
    outcome = smoke(project, project_environment(environments.install(project)))
    assert outcome.code == 1
    assert "`./docker-entrypoint.sh web` ended with code 2" in outcome.output
    assert "unrecognized arguments: --bound" in outcome.output
    assert outcome.rows == {}


def test_settings_that_refuse_to_start_are_told_at_once(render: Render, environments: Environments) -> None:
    project = render()
    outcome = smoke(project, project_environment(environments.install(project), SIGNUP_OPEN="perhaps"))
    assert outcome.code == 1
    assert "SIGNUP_OPEN: neither true nor false" in outcome.output
    assert outcome.rows == {}


def test_what_dotenv_says_stays_out_of_it(render: Render, environments: Environments) -> None:
    project = render(platform="gunicorn")
    (project / ".env").write_text(
        "DATABASE_URL=postgresql://nobody@127.0.0.1:1/none\nEMAIL_URL=smtp://127.0.0.1:1\n"
        "DEFAULT_FROM_EMAIL=site@example.com\nSIGNUP_OPEN=false\nWEB_CONCURRENCY=1\nSECRET_KEY_FILE=/none\n"
    )
    outcome = smoke(project, project_environment(environments.install(project)))
    assert outcome.having("PASS") == set(CHECKS), outcome.output


def test_what_the_server_said_stands_with_a_check_that_fails(render: Render, environments: Environments) -> None:
    project = render(platform="heroku")
    route("^$", FAILS)(project)
    outcome = smoke(project, project_environment(environments.install(project)))
    assert outcome.having("FAIL") == {HOME}, outcome.output
    assert "ZeroDivisionError" in outcome.output
    assert processes_in(project) == []


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_nothing_is_left_when_it_is_interrupted(
    render: Render, environments: Environments, tmp_path: Path, sent: signal.Signals
) -> None:
    project, temporary = render(platform="gunicorn"), tmp_path / "tmp"
    temporary.mkdir()
    process = subprocess.Popen(
        ["pytest", "smoke"],
        cwd=project,
        env=project_environment(environments.install(project), TMPDIR=str(temporary)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 3 * PATIENCE
        while not any("gunicorn" in command for command in processes_in(project)):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        os.killpg(process.pid, sent)
        output, _ = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == pytest.ExitCode.INTERRUPTED, output
    assert processes_in(project) == []
    assert list(temporary.iterdir()) == []


# --------------------------------------------------- against a site that runs


@pytest.fixture(scope="module")
def prepared(template: Path, tmp_path_factory: pytest.TempPathFactory, environments: Environments) -> Site:
    """A site with its database and static files, to be copied and broken."""
    project = rendering.render(template, tmp_path_factory.mktemp("smoke") / "project", platform="gunicorn")
    site = Site(project, environments, "sqlite:///smoke.sqlite3")
    site.variables |= {"ALLOWED_HOSTS": "127.0.0.1", "TRUSTED_PROXY_COUNT": "1", "WEB_CONCURRENCY": "1"}
    # The suite needs no Django, and each run without pytest's plugin for it is a second shorter.
    site.variables["PYTEST_ADDOPTS"] = "-p no:django -o pythonpath=."
    text("pyproject.toml", 'DJANGO_SETTINGS_MODULE = "config.settings.test"\n', "")(project)
    # The real ones are slow on purpose.
    settings("PASSWORD_HASHERS = ['django.contrib.auth.hashers.MD5PasswordHasher']")(project)
    site.prepare()
    return site


@pytest.fixture
def copied(prepared: Site, tmp_path: Path) -> Site:
    """A copy of the site, to do with as a test likes."""
    site = copy.copy(prepared)
    site.project = Path(shutil.copytree(prepared.project, tmp_path / "project"))
    site.move_to(free_port())
    return site


def checked(site: Site, folder: Path, **variables: str) -> Outcome:
    """What the suite says of the site, served under `variables`, as of one that is live."""
    with site.started(folder / "log", **variables), behind_tls(site, folder / "ca.pem") as options:
        return smoke(site.project, site.environment(), *options)


def accounts(site: Site) -> list[str]:
    """The addresses of all accounts in the site's database."""
    with contextlib.closing(sqlite3.connect(site.project / "smoke.sqlite3")) as connection:
        return [email for (email,) in connection.execute("SELECT email FROM accounts_user")]


def test_a_live_site_passes_and_keeps_no_account(copied: Site, tmp_path: Path) -> None:
    outcome = checked(copied, tmp_path, LOG_LEVEL="DEBUG", REQUEST_LOG_LEVEL="DEBUG")
    assert outcome.code == 0, outcome.output
    assert outcome.having("PASS") == set(CHECKS)
    assert outcome.remarks[HSTS] == "max-age=3600"
    assert accounts(copied) == []
    log = (tmp_path / "log").read_text()
    assert '"path": "/accounts/signup/", "status_code": 302' in log
    asked = [line for line in map(json.loads, log.splitlines()) if line["logger"] == "requests"]
    # One is the test's own, which waits for the server. The suite's docstring says how many.
    assert len(asked) - 1 <= 40


def test_a_sign_up_that_waits_for_mail_is_told_as_such(copied: Site, tmp_path: Path) -> None:
    with mail_server() as mail:
        outcome = checked(copied, tmp_path, EMAIL_URL=mail.url, DEFAULT_FROM_EMAIL="site@example.com")
    assert outcome.code == 0, outcome.output
    assert outcome.having("SKIP") == {ACCOUNT}
    (address,) = mail.recipients
    assert re.fullmatch(r"smoke-\w+@example\.com", address)
    assert f"waits for the mail to {address}" in outcome.remarks[ACCOUNT]
    # What could not be followed left nothing behind.
    assert accounts(copied) == []


def test_a_sign_up_that_is_closed_is_told_as_such(copied: Site, tmp_path: Path) -> None:
    outcome = checked(copied, tmp_path, SIGNUP_OPEN="false")
    assert outcome.code == 0, outcome.output
    assert outcome.having("SKIP") == {ACCOUNT}
    assert outcome.having("PASS") == set(CHECKS) - {ACCOUNT}
    assert "sign-up is closed" in outcome.remarks[ACCOUNT]
    assert "no session cookie was seen" in outcome.remarks[COOKIES]
    assert accounts(copied) == []


def test_a_site_that_is_down_fails_every_check(copied: Site) -> None:
    address = f"127.0.0.1:{free_port()}"
    outcome = smoke(
        copied.project,
        copied.environment(),
        f"--base-url=https://{address}",
        f"--http-url=http://{address}",
    )
    assert outcome.having("FAIL") == set(CHECKS)
    assert all("got no answer" in remark for remark in outcome.remarks.values()), outcome.output


def test_a_certificate_that_nobody_trusts_fails(copied: Site, tmp_path: Path) -> None:
    with copied.started(tmp_path / "log"), behind_tls(copied, tmp_path / "ca.pem") as options:
        outcome = smoke(copied.project, copied.environment(), *options[:2])
        # The redirect is plain http.
        assert outcome.having("PASS") == {REDIRECT}, outcome.output
        assert "certificate verify failed" in outcome.remarks[HOME]
        env = copied.environment(REQUESTS_CA_BUNDLE=str(tmp_path / "ca.pem"))
        assert smoke(copied.project, env, *options[:2]).having("PASS") == set(CHECKS)


# ---------------------------------------------------- each check is able to fail

Change = Callable[[Path], object]


def settings(*lines: str) -> Change:
    """Let the production settings end with these lines."""

    def change(project: Path) -> None:
        with (project / "config/settings/production.py").open("a") as file:
            file.writelines(f"{line}\n" for line in ("from django.utils.csp import CSP", *lines))

    return change


def text(name: str, old: str, new: str) -> Change:
    """Write `new` for `old` in a file."""

    def change(project: Path) -> None:
        before = (project / name).read_text()
        assert old in before, f"{name} has changed, and this test breaks nothing any more"
        (project / name).write_text(before.replace(old, new))

    return change


def without(pattern: str) -> Change:
    """Delete a file."""

    def change(project: Path) -> None:
        (path,) = project.glob(pattern)
        path.unlink()

    return change


def route(pattern: str, view: str) -> Change:
    """Let a view answer ahead of all others; it is an expression over what Django and allauth have."""
    return text(
        "config/urls.py",
        "urlpatterns = [",
        "from allauth.account.views import LoginView, LogoutView\n"
        "from django.http import HttpResponse\n"
        "from django.urls import re_path\n"
        "from django.views.decorators.csrf import csrf_exempt\n"
        f"urlpatterns = [re_path({pattern!r}, {view}),",
    )


def unapplied(project: Path) -> None:
    """Let the database be one migration behind the code."""
    with contextlib.closing(sqlite3.connect(project / "smoke.sqlite3")) as connection:
        connection.execute("DELETE FROM django_migrations WHERE app = 'sessions'")
        connection.commit()


@dataclass
class Break:
    """Something that a site fails at.

    Attributes:
        check: the one check that says so.
        changes: what is done to the project.
        variables: what is set in the environment.
        says: what the check's row names, all of it.
        leaves_account: whether the suite can then not delete the account that it made.
    """

    check: str
    changes: tuple[Change, ...] = ()
    variables: dict[str, str] = field(default_factory=dict)
    says: tuple[str, ...] = ()
    leaves_account: bool = False


def breaks(
    check: str, *changes: Change, says: Sequence[str] = (), leaves_account: bool = False, **variables: str
) -> Break:
    """A `Break`, written shortly."""
    return Break(check, changes, variables, tuple(says), leaves_account)


MIDDLEWARE = "apps/operations/middleware.py"
FAILS = "lambda request: 1 / 0"
FORM_FAILS = "lambda request: 1 / 0 if request.method == 'POST' else LoginView.as_view()(request)"
NO_PAGE = "lambda request: HttpResponse('no such page')"

BREAKS = {
    "no redirect": breaks(REDIRECT, SECURE_SSL_REDIRECT="false", says=["answered 200"]),
    "redirect elsewhere": breaks(REDIRECT, settings("SECURE_SSL_HOST = 'example.org'"), says=["https://example.org"]),
    "unhealthy": breaks(HEALTH, text(MIDDLEWARE, '{"status": "ok"}', '{"status": "bad"}')),
    "not ready": breaks(READY, unapplied, says=["503", '"migrations": false']),
    "home page fails": breaks(HOME, route("^$", FAILS), says=["GET / is answered 500"]),
    "short caching": breaks(CACHING, settings("WHITENOISE_IMMUTABLE_FILE_TEST = '^$'"), says=["max-age=60"]),
    "no hash": breaks(
        CACHING,
        settings("STORAGES['staticfiles']['BACKEND'] = 'whitenoise.storage.CompressedStaticFilesStorage'"),
        says=["site.css has no hash"],
    ),
    "no gzip": breaks(COMPRESSION, without("staticfiles/site.????????????.css.gz"), says=["asked for gzip"]),
    "no brotli": breaks(COMPRESSION, without("staticfiles/site.????????????.css.br"), says=["asked for br"]),
    "no HSTS": breaks(HSTS, SECURE_HSTS_SECONDS="0"),
    "no CSP": breaks(CSP, settings("MIDDLEWARE.remove('django.middleware.csp.ContentSecurityPolicyMiddleware')")),
    "CSP open from the start": breaks(CSP, settings("SECURE_CSP['default-src'] = [CSP.SELF]")),
    "CSP with inline styles": breaks(CSP, settings("SECURE_CSP['style-src'] = [CSP.UNSAFE_INLINE]")),
    "CSP that forms escape": breaks(CSP, settings("SECURE_CSP.pop('form-action')"), says=["form-action"]),
    # One row names all that is wrong with them.
    "headers": breaks(
        HEADERS,
        settings(
            "SECURE_CONTENT_TYPE_NOSNIFF = False",
            "SECURE_CROSS_ORIGIN_OPENER_POLICY = None",
            "SECURE_REFERRER_POLICY = 'unsafe-url'",
            "X_FRAME_OPTIONS = 'SAMEORIGIN'",
            "MIDDLEWARE.remove('apps.operations.middleware.SecurityHeadersMiddleware')",
        ),
        says=[
            "X-Content-Type-Options is missing",
            "X-Frame-Options is SAMEORIGIN",
            "Referrer-Policy is unsafe-url",
            "Cross-Origin-Opener-Policy is missing",
            "Cross-Origin-Resource-Policy is missing",
            "Permissions-Policy is missing",
        ],
    ),
    "request ids kept that are none": breaks(
        REQUEST_ID, text("apps/operations/request_ids.py", "[A-Za-z0-9._-]{1,64}", ".+"), says=["onclick"]
    ),
    "request ids kept that are long": breaks(
        REQUEST_ID, text("apps/operations/request_ids.py", "{1,64}", "+"), says=["a" * 65]
    ),
    "request ids not kept": breaks(REQUEST_ID, text("apps/operations/request_ids.py", "{1,64}", "{0}")),
    "sign-up fails": breaks(ACCOUNT, route("^accounts/signup/$", FAILS), says=["answered 500"]),
    "sign-up refuses": breaks(
        ACCOUNT, settings("AUTH_PASSWORD_VALIDATORS[1]['OPTIONS'] = {'min_length': 99}"), says=["too short"]
    ),
    "sign-up has no form": breaks(ACCOUNT, text("apps/accounts/adapter.py", "bool(settings.SIGNUP_OPEN)", "False")),
    "sign-up fails at its mail": breaks(
        ACCOUNT,
        EMAIL_URL="smtp://127.0.0.1:1",
        DEFAULT_FROM_EMAIL="site@example.com",
        says=["POST /accounts/signup/ is answered 500"],
        leaves_account=True,
    ),
    "login fails": breaks(ACCOUNT, route("^accounts/login/$", FORM_FAILS), leaves_account=True),
    "logout fails": breaks(ACCOUNT, route("^accounts/logout/$", FAILS), says=["/accounts/logout/ is answered 500"]),
    "logout does nothing": breaks(ACCOUNT, route("^accounts/logout/$", "LogoutView.as_view(logout=lambda: None)")),
    "deleting fails": breaks(ACCOUNT, route("^accounts/delete/$", FAILS), leaves_account=True),
    "deleting does nothing": breaks(
        ACCOUNT, text("apps/accounts/views.py", "        user.delete()\n", ""), leaves_account=True
    ),
    "cookies over http": breaks(
        COOKIES,
        SESSION_COOKIE_SECURE="false",
        CSRF_COOKIE_SECURE="false",
        says=["csrftoken is not Secure", "sessionid is not Secure", "sessionid has no __Host-"],
    ),
    "cookies for scripts and other sites": breaks(
        COOKIES,
        settings("SESSION_COOKIE_HTTPONLY = False", "CSRF_COOKIE_SAMESITE = None"),
        says=["__Host-sessionid is not HttpOnly", "__Host-csrftoken is not Secure and SameSite"],
    ),
    "forms need no token": breaks(
        CSRF, route("^accounts/login/$", "csrf_exempt(LoginView.as_view())"), says=["answered 200, not 403"]
    ),
    "admin has a login of its own": breaks(
        ADMIN, text("config/urls.py", "\nadmin.site.login = ", "\nunused = "), says=["/admin/login/"]
    ),
    "no admin": breaks(ADMIN, text("config/urls.py", '"admin/"', '"elsewhere/"'), says=["answered 404"]),
    "no 404 page": breaks(NOT_FOUND, without("templates/404.html"), says=["not the site's own"]),
    "no 404": breaks(NOT_FOUND, route("^no-", NO_PAGE), says=["answered 200, not 404"]),
    "a traceback": breaks(
        NO_DEBUG,
        text("templates/403_csrf.html", "</h1>", "</h1>Traceback (most recent call last):"),
        says=["Traceback"],
    ),
}


@pytest.mark.parametrize("broken", BREAKS.values(), ids=BREAKS)
def test_a_check_fails_where_the_site_does_and_the_others_pass(copied: Site, tmp_path: Path, broken: Break) -> None:
    for change in broken.changes:
        change(copied.project)
    outcome = checked(copied, tmp_path, **broken.variables)
    assert outcome.code == 1
    assert outcome.having("FAIL") == {broken.check}, outcome.output
    assert outcome.having("PASS") == set(CHECKS) - {broken.check}
    remark = outcome.remarks[broken.check]
    assert remark
    assert [word for word in broken.says if word not in remark] == [], remark
    # An account that cannot be deleted is named; any other is deleted, also when a step fails.
    left = accounts(copied)
    assert bool(left) == broken.leaves_account
    assert all(f"{email} may be left" in remark for email in left)


def test_debug_shows_in_all_that_it_changes(copied: Site, tmp_path: Path) -> None:
    """Under DEBUG WhiteNoise serves `static/` as it is, and Django shows its own page for 404."""
    settings("DEBUG = True")(copied.project)
    outcome = checked(copied, tmp_path)
    assert outcome.having("FAIL") == {NO_DEBUG, NOT_FOUND, CACHING, COMPRESSION}, outcome.output


# ------------------------------------------------------------ the start command


def start_command(project: Path) -> str:
    """What `[tool.smoke]` names."""
    command: str = tomllib.loads((project / "pyproject.toml").read_text())["tool"]["smoke"]["start"]
    return command


def test_the_start_command_is_the_procfiles(render: Render) -> None:
    project = render(platform="heroku")
    assert start_command(project) == parse_procfile((project / "Procfile").read_text()).processes["web"]


def test_the_start_command_is_the_images(render: Render) -> None:
    project = render(platform="docker")
    dockerfile = (project / "Dockerfile").read_text()
    (entrypoint,) = json.loads(re.findall("^ENTRYPOINT (.*)$", dockerfile, re.MULTILINE)[0])
    (workdir,) = set(re.findall("^WORKDIR (.*)$", dockerfile, re.MULTILINE))
    role = yaml.safe_load((project / "compose.yaml").read_text())["services"]["web"]["command"]
    assert json.loads(re.findall("^CMD (.*)$", dockerfile, re.MULTILINE)[0]) == [role]
    assert start_command(project) == f"{entrypoint.replace(workdir, '.')} {role}"


def test_the_start_command_is_the_units(render: Render) -> None:
    project = render(platform="gunicorn")
    (unit,) = re.findall("^ExecStart=(.*)$", (project / "deploy/systemd/web.service").read_text(), re.MULTILINE)
    assert start_command(project) == unit.removeprefix("/srv/todo-list/current/.venv/bin/")


def test_the_start_command_serves_the_file_that_is_installed(render: Render) -> None:
    project = render(platform="pythonanywhere")
    (file,) = re.findall(r"--wsgi-file (\S+)", start_command(project))
    assert (project / file).is_file()
    # The file looks for the project where the command has put it.
    assert 'Path.home() / "todo-list"' in (project / file).read_text()
    assert 'ln -s "$PWD" "$TMPDIR/todo-list"' in start_command(project)

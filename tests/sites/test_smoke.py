"""The smoke suite passes on rendered projects, and ends with the right result and nothing left behind."""

import contextlib
import json
import os
import re
import signal
import subprocess
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from honcho.environ import parse_procfile

from stand_ins.mail_server import mail_server
from tests.support.environments import Environments, project_environment
from tests.support.faults import QUICK, route
from tests.support.servers import PATIENCE, free_port
from tests.support.sites import Site
from tests.support.smoke import (
    ACCOUNT,
    CHECKS,
    COOKIES,
    HOME,
    HSTS,
    REDIRECT,
    accounts,
    behind_tls,
    checked,
    smoke,
)

Render = Callable[..., Path]


@pytest.fixture
def render(render: Render) -> Render:
    """Render a project that collects its static files quickly."""

    def render_quick(**answers: Any) -> Path:
        project = render(**answers)
        QUICK(project)
        return project

    return render_quick


def processes_in(folder: Path) -> list[str]:
    """Return the command lines of the processes whose current folder is `folder`."""
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
    (project / ".env").write_bytes(b"LOG_LEVEL=\xe4\n")
    outcome = smoke(project, project_environment(environments.install(project)))
    assert ".env, line 1: not UTF-8. Save the file as UTF-8" in outcome.output
    assert "Unicode" not in outcome.output


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
    route("^$", "lambda request: 1 / 0")(project)
    summary = project / "summary"
    summary.write_text("What an earlier step wrote\n")
    env = project_environment(environments.install(project), GITHUB_STEP_SUMMARY=str(summary))
    outcome = smoke(project, env)
    assert outcome.having("FAIL") == {HOME}, outcome.output
    assert "ZeroDivisionError" in outcome.output
    # The job's summary on GitHub has the same table, to paste into the pull request.
    table = summary.read_text().removeprefix("What an earlier step wrote\n")
    assert table.startswith("Smoke suite: the site as served on this machine\n\n```text\n")
    assert "\n".join(re.findall("^(?:PASS|FAIL|SKIP) .*$", table, re.MULTILINE)) in outcome.output
    assert f"FAIL  {HOME}" in table
    assert table.count("PASS  ") == len(CHECKS) - 1
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


def test_a_live_site_passes_and_keeps_no_account(site_copy: Site, tmp_path: Path) -> None:
    outcome = checked(site_copy, tmp_path, LOG_LEVEL="DEBUG", REQUEST_LOG_LEVEL="DEBUG")
    assert outcome.code == 0, outcome.output
    assert outcome.having("PASS") == set(CHECKS)
    assert outcome.remarks[HSTS] == "max-age=3600"
    assert accounts(site_copy) == []
    log = (tmp_path / "log").read_text()
    assert '"path": "/accounts/signup/", "status_code": 302' in log
    asked = [line for line in map(json.loads, log.splitlines()) if line["logger"] == "requests"]
    # One request is the test's own, which waits for the server. The suite's docstring has the number, without static files.
    assert len(asked) - 1 <= 45


def test_a_sign_up_that_waits_for_mail_is_told_as_such(site_copy: Site, tmp_path: Path) -> None:
    with mail_server() as mail:
        outcome = checked(site_copy, tmp_path, EMAIL_URL=mail.url, DEFAULT_FROM_EMAIL="site@example.com")
    assert outcome.code == 0, outcome.output
    assert outcome.having("SKIP") == {ACCOUNT}
    (address,) = mail.recipients
    assert re.fullmatch(r"smoke-\w+@example\.com", address)
    assert f"waits for the mail to {address}" in outcome.remarks[ACCOUNT]
    # The account whose sign-up could not be finished is deleted.
    assert accounts(site_copy) == []


def test_a_sign_up_that_is_closed_is_told_as_such(site_copy: Site, tmp_path: Path) -> None:
    outcome = checked(site_copy, tmp_path, SIGNUP_OPEN="false")
    assert outcome.code == 0, outcome.output
    assert outcome.having("SKIP") == {ACCOUNT}
    assert outcome.having("PASS") == set(CHECKS) - {ACCOUNT}
    assert "sign-up is closed" in outcome.remarks[ACCOUNT]
    assert "no session cookie was seen" in outcome.remarks[COOKIES]
    assert accounts(site_copy) == []


def test_a_site_that_is_down_fails_every_check(site_copy: Site) -> None:
    address = f"127.0.0.1:{free_port()}"
    outcome = smoke(
        site_copy.project,
        site_copy.environment(),
        f"--base-url=https://{address}",
        f"--http-url=http://{address}",
    )
    assert outcome.having("FAIL") == set(CHECKS)
    assert all("got no response" in remark for remark in outcome.remarks.values()), outcome.output


def test_a_certificate_that_nobody_trusts_fails(site_copy: Site, tmp_path: Path) -> None:
    with site_copy.started(tmp_path / "log"), behind_tls(site_copy, tmp_path / "ca.pem") as options:
        outcome = smoke(site_copy.project, site_copy.environment(), *options[:2])
        # The redirect from plain HTTP.
        assert outcome.having("PASS") == {REDIRECT}, outcome.output
        assert "certificate verify failed" in outcome.remarks[HOME]
        env = site_copy.environment(REQUESTS_CA_BUNDLE=str(tmp_path / "ca.pem"))
        assert smoke(site_copy.project, env, *options[:2]).having("PASS") == set(CHECKS)


def start_command(project: Path) -> str:
    """Return the start command in `[tool.smoke]`."""
    command: str = tomllib.loads((project / "pyproject.toml").read_text())["tool"]["smoke"]["start"]
    return command


def test_the_start_command_is_the_procfiles(render: Render) -> None:
    project = render(platform="heroku")
    assert start_command(project) == parse_procfile((project / "Procfile").read_text()).processes["web"]


def test_the_start_command_is_the_images(render: Render) -> None:
    project = render(platform="docker")
    # The last stage is the image that serves the site.
    dockerfile = (project / "Dockerfile").read_text().rpartition("\nFROM ")[2]
    (entrypoint,) = json.loads(re.findall("^ENTRYPOINT (.*)$", dockerfile, re.MULTILINE)[0])
    (workdir,) = set(re.findall("^WORKDIR (.*)$", dockerfile, re.MULTILINE))
    role = yaml.safe_load((project / "compose.yaml").read_text())["services"]["web"]["command"]
    assert json.loads(re.findall("^CMD (.*)$", dockerfile, re.MULTILINE)[0]) == [role]
    assert start_command(project) == f"{entrypoint.replace(workdir, '.')} {role}"


def test_the_start_command_is_the_units(render: Render) -> None:
    project = render(platform="gunicorn")
    (unit,) = re.findall("^ExecStart=(.*)$", (project / "deploy/systemd/web.service").read_text(), re.MULTILINE)
    assert start_command(project) == unit.removeprefix("/usr/bin/env .venv/bin/")


def test_the_start_command_serves_the_file_that_is_installed(render: Render) -> None:
    project = render(platform="pythonanywhere")
    (file,) = re.findall(r"--wsgi-file (\S+)", start_command(project))
    assert (project / file).is_file()
    # The WSGI file expects the project in the folder where the command has put it.
    assert 'Path.home() / "todo-list" / "current"' in (project / file).read_text()
    assert 'ln -s "$PWD" "$TMPDIR/todo-list/current"' in start_command(project)

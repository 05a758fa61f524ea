"""A project with Sentry reports errors with the details to fix them and nothing personal, and no page waits for Sentry."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stand_ins.services import StandIn, says, stand_in
from tests.support.environments import Environments, clean_environment, uv
from tests.support.faults import route
from tests.support.rendering import render
from tests.support.servers import eventually, free_port
from tests.support.sites import Site
from tests.support.visitors import Visitor
from tests.support.workflows import Runner, github_workflow, gitlab_job

Render = Callable[..., Path]

SECRET = "hunter2"
# A visitor's personal data, which no report may contain.
PERSONAL = (SECRET, "member@example.com", "203.0.113.9", "cookie-value")
# The number of pages that are requested while Sentry does not answer.
PAGES = 20


@pytest.fixture(scope="module")
def reporting_site(template: Path, tmp_path_factory: pytest.TempPathFactory, environments: Environments) -> Site:
    """A site with a page that fails with a form's fields and an email address in its variables."""
    project = render(template, tmp_path_factory.mktemp("sentry") / "project", platform="gunicorn", extras=["sentry"])
    failing = "csrf_exempt(lambda request: open('/nowhere/' + request.POST['email']))"
    route("^fails/", failing)(project)
    (project / "COMMIT").write_text("0123456789abcdef What was done\n")
    site = Site(project, environments, "sqlite:///db.sqlite3")
    site.prepare()
    return site


def fail(site: Site) -> int:
    """Request the page that fails; return the status."""
    headers = {"X-Forwarded-For": "203.0.113.9", "User-Agent": "Test", "X-Request-ID": "an-id"}
    visitor = Visitor(site.port, **headers)
    visitor.cookies["name"] = "cookie-value"
    answer = visitor.ask("POST", f"/fails/?token={SECRET}", {"email": "member@example.com", "password": SECRET})
    assert "an-id" in answer.text
    return answer.status


def items(service: StandIn) -> list[tuple[str, Any]]:
    """Return the items of all envelopes, each with its type: https://develop.sentry.dev/sdk/data-model/envelopes/."""
    found = []
    for request in service.requests:
        lines = request.body.decode().splitlines()
        found += [
            (json.loads(head)["type"], json.loads(body)) for head, body in zip(lines[1::2], lines[2::2], strict=True)
        ]
    return found


def test_an_error_is_reported_once_and_names_nobody(reporting_site: Site, tmp_path: Path) -> None:
    with stand_in() as sentry:
        dsn = sentry.url.replace("http://", "http://public:private@") + "/42"
        variables = {"SENTRY_DSN": dsn, "SENTRY_ENVIRONMENT": "staging"}
        with reporting_site.started(tmp_path / "log", **variables):
            assert fail(reporting_site) == 500
            assert eventually(lambda: bool(sentry.requests))
            # A page that works and a page that does not exist are not reported.
            assert reporting_site.get("/").status_code == 200
            assert reporting_site.get("/nowhere/").status_code == 404
        assert {request.path for request in sentry.requests} == {"/api/42/envelope/"}
        ((kind, event),) = items(sentry)
        assert kind == "event"
        assert (event["environment"], event["release"]) == ("staging", "0123456789abcdef")
        assert event["tags"]["request_id"] == "an-id"
        assert event["exception"]["values"][-1]["type"] == "FileNotFoundError"
        assert event["request"]["url"] == "https://localhost/fails/"
        sent = b"".join(request.body for request in sentry.requests).decode()
        for personal in (*PERSONAL, "private", reporting_site.variables["SECRET_KEY"]):
            assert personal not in sent, personal
        assert SECRET not in (tmp_path / "log").read_text().replace(f"?token={SECRET}", "")


def test_what_is_measured_names_nobody_either(reporting_site: Site, tmp_path: Path) -> None:
    with stand_in() as sentry:
        dsn = sentry.url.replace("http://", "http://public@") + "/42"
        with reporting_site.started(tmp_path / "log", SENTRY_DSN=dsn, SENTRY_TRACES_SAMPLE_RATE="1"):
            fail(reporting_site)
            assert eventually(lambda: "transaction" in dict(items(sentry)))
        sent = b"".join(request.body for request in sentry.requests).decode()
        for personal in PERSONAL:
            assert personal not in sent, personal


@pytest.mark.parametrize("how", ["down", "hanging", "refusing"])
def test_no_page_waits_for_sentry(reporting_site: Site, tmp_path: Path, how: str) -> None:
    with stand_in() as sentry:
        if how == "hanging":
            sentry.answer = sentry.hang
        elif how == "refusing":
            sentry.answer = lambda handler: handler.send_error(503)
        url = f"http://127.0.0.1:{free_port()}" if how == "down" else sentry.url
        dsn = url.replace("http://", "http://public@") + "/42"
        with reporting_site.started(tmp_path / "log", SENTRY_DSN=dsn, WEB_CONCURRENCY="1") as server:
            for _ in range(PAGES):
                assert fail(reporting_site) == 500
            if how == "hanging":
                # If pages waited for their reports, more would have been sent. One thread sends them all, and the first blocks it.
                assert len(sentry.requests) <= 1
            assert reporting_site.get("/").status_code == 200
            if how != "down":
                assert eventually(lambda: bool(sentry.requests))
            # A process that is told to end does not wait for long either: `stop` would fail.
            server.stop()


def test_without_a_project_nothing_is_sent(reporting_site: Site, tmp_path: Path) -> None:
    with stand_in() as sentry, reporting_site.started(tmp_path / "log"):
        assert fail(reporting_site) == 500
        assert not sentry.requests


# It answers as GitHub does when asked for a run's jobs: https://docs.github.com/rest/actions/workflow-jobs
GH = """#!/bin/sh
test "$1 $2 $3" = "api repos/someone/site/actions/runs/42/jobs --jq" || exit 1
jobs='{"jobs": [{"steps": [{"name": "Set up ssh", "conclusion": "success"}, {"name": "NAME", "conclusion": "OUTCOME"}]}]}'
name="Deploy, check the live site, and roll back if the check fails"
echo "$jobs" | sed "s/NAME/$name/; s/OUTCOME/$DEPLOYED/" | jq --raw-output "$4"
"""


@pytest.mark.parametrize("ci", ["github", "gitlab"])
def test_a_deploy_is_told_to_sentry_by_its_own_program(render: Render, tmp_path: Path, ci: str) -> None:
    project = render(extras=["sentry"], ci=ci)
    commit = "0123456789abcdef0123456789abcdef01234567"
    with stand_in() as sentry:
        release: dict[str, Any] = {
            "version": commit,
            "url": None,
            "dateCreated": "2026-11-21T00:00:00Z",
            "projects": [],
        }
        deploy = {"id": "1", "environment": "production", "name": None, "url": None}
        sentry.answer = lambda handler: says(
            201, json.dumps(deploy if handler.path.endswith("/deploys/") else release).encode()
        )(handler)
        settings = {"SENTRY_AUTH_TOKEN": "hunter2", "SENTRY_ORG": "us", "SENTRY_PROJECT": "site"}
        path = f"{Path(uv()).parent}{os.pathsep}{os.environ['PATH']}"
        machine = clean_environment(SENTRY_URL=sentry.url, PATH=path, COMMIT=commit, CI_COMMIT_SHA=commit)
        machine["GITHUB_REPOSITORY"] = "someone/site"
        expressions = {"secrets.SENTRY_AUTH_TOKEN": "hunter2", "vars.SENTRY_ORG": "us", "vars.SENTRY_PROJECT": "site"}
        expressions |= {"github.event.workflow_run.head_sha": commit, "github.token": "token"}
        expressions["github.event.workflow_run.id"] = "42"
        (tmp_path / "gh").write_text(GH)
        (tmp_path / "gh").chmod(0o755)
        runner = Runner(
            project, {**machine, "PATH": f"{tmp_path}{os.pathsep}{path}", "DEPLOYED": "skipped"}, expressions
        )

        def report() -> tuple[int, str]:
            """Run the job that reports the deploy."""
            if ci == "github":
                return runner.github(github_workflow(project, "sentry.yml"), "release")
            return runner.gitlab(gitlab_job(project, "sentry"), settings)

        # A deploy that is not set up is skipped, and not reported.
        code, printed = report()
        assert (code, sentry.requests) == (0, []), printed
        runner.environment["DEPLOYED"] = "success"
        if ci == "gitlab":
            deploy_job = gitlab_job(project, "deploy")
            code, printed = runner.script("\n".join(deploy_job["after_script"]), {})
            assert [path.name for path in project.iterdir() if path.name in deploy_job["artifacts"]["paths"]], printed
        code, printed = report()
        assert code == 0, printed
        assert "hunter2" not in printed
        told = [request for request in sentry.requests if request.body]
        assert all(request.headers["Authorization"] == "Bearer hunter2" for request in told)
        assert json.loads(told[0].body)["version"] == commit
        assert json.loads(told[-1].body)["environment"] == "production"
        assert told[-1].path.endswith(f"/releases/{commit}/deploys/")
        # Without a token nothing is reported to Sentry, and the pipeline does not fail.
        sentry.requests.clear()
        expressions["secrets.SENTRY_AUTH_TOKEN"] = ""
        code, printed = runner.script('deploy/sentry.sh "$COMMIT"', {})
        assert (code, "is not set" in printed, sentry.requests) == (0, True, [])

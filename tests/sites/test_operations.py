"""The commands in docs/operations.md and docs/scaling.md give the described results for real log lines and a real site."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.faults import route
from tests.support.rendering import question_choices
from tests.support.runbooks import blocks, on_this_machine
from tests.support.sites import Site

Render = Callable[..., Path]

FIELDS = {"timestamp", "level", "logger", "message", "request_id"}
OF_A_REQUEST = {"method", "path", "status_code", "duration_ms", "user_id"}


def block(project: Path, heading: str, word: str) -> str:
    """Return the bash block under a heading of the pages that contains a word, with commands that run on this machine."""
    (found,) = [
        on_this_machine(each, project)
        for page in ("operations.md", "scaling.md")
        for each in blocks(project / "docs" / page)
        if (each.heading, each.language) == (heading, "bash") and word in each.text
    ]
    return found


def pasted(text: str, folder: Path, env: dict[str, str] | None = None) -> tuple[int, list[str]]:
    """Run a block; return its exit code and the lines of its output."""
    done = subprocess.run(
        ["bash", "-euc", text], cwd=folder, env=env, capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stdout.splitlines()


@pytest.fixture(scope="module")
def logged(site: Site, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, object]]]:
    """A folder with the log of a site that has served pages, and the log's lines."""
    if shutil.which("jq") is None:
        pytest.skip("no jq")
    folder = tmp_path_factory.mktemp("logged")
    with site.started(folder / "log.jsonl"):
        for _ in range(20):
            assert site.get("/").status_code == 200
        assert site.get("/nowhere/").status_code == 404
    return folder, [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_log_lines_answer_when_to_scale(site: Site, logged: tuple[Path, list[dict[str, object]]]) -> None:
    folder, lines = logged
    requests = [line for line in lines if "duration_ms" in line]
    assert len(requests) == 21
    # Change the lines as if one request had failed and one had been slow, all in one minute.
    for line in requests:
        line |= {"timestamp": "2026-11-21T10:00:00.000+00:00", "duration_ms": 100.0}
    requests[0] |= {"status_code": 500}
    requests[1] |= {"duration_ms": 2000.0, "path": "/slow/"}
    requests[2] |= {"duration_ms": 900.0}
    (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    code, said = pasted(block(site.project, "When to scale", "duration_ms"), folder)
    assert code == 0
    p95, errors, threads, *rest = said
    # The 95th percentile of 21 values is the 20th.
    assert float(p95) == 900
    assert float(errors) == pytest.approx(100 / 21)
    assert float(threads) == pytest.approx((19 * 100 + 2000 + 900) / 60_000 / 8 * 100)
    assert [each["path"] for each in json.loads("".join(rest))] == ["/", "/slow/", "/nowhere/"]


def test_a_quiet_log_is_no_error(site: Site, tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text('{"level": "INFO", "message": "Starting gunicorn"}\n')
    code, said = pasted(block(site.project, "When to scale", "duration_ms"), tmp_path)
    assert (code, said[:3]) == (0, ["null", "0", "null"])


def test_the_page_names_the_fields_that_lines_have(site: Site, logged: tuple[Path, list[dict[str, object]]]) -> None:
    text = (site.project / "docs/operations.md").read_text()
    section = text.split("## Logs in one place\n")[1]
    assert FIELDS | OF_A_REQUEST | {"exc_info"} <= set(re.findall("`([a-z_]+)`", section))
    for line in logged[1]:
        assert set(line) >= FIELDS | (OF_A_REQUEST if line["logger"] == "requests" else set())


def test_the_share_of_connections_in_use_is_told(site: Site) -> None:
    code, said = pasted(block(site.project, "When to scale", "pg_stat_activity"), site.project, site.environment())
    assert code == 0
    assert 0 < int(said[0]) < 100


def test_three_bad_answers_in_a_row_are_an_alarm(site_copy: Site, tmp_path: Path) -> None:
    alarm = block(site_copy.project, "Monitoring", "curl")
    # Other URLs: the real /ready/ is answered before all routes. Slow means more than five seconds.
    slow = "__import__('time').sleep(6 if how == 'slow' else 0)"
    view = f"lambda request, how: {slow} or HttpResponse(status=503 if how == 'bad' else 200)"
    route("^(?P<how>good|bad|slow)/ready/$", view)(site_copy.project)
    env = {"pause": "0", "PATH": "/usr/bin:/bin"}
    # Plain HTTP, as behind a proxy that terminates TLS.
    with site_copy.started(tmp_path / "log", SECURE_SSL_REDIRECT="false"):
        for how, code in {"good": 0, "bad": 1, "slow": 1}.items():
            url = f"http://127.0.0.1:{site_copy.port}/{how}"
            assert pasted(alarm, tmp_path, {**env, "url": url})[0] == code, how
    assert pasted(alarm, tmp_path, {**env, "url": url})[0] == 1, "nobody answers, and nobody is told"


@pytest.mark.parametrize("platform", question_choices("platform"))
def test_each_platform_has_its_page(render: Render, platform: str) -> None:
    for database in question_choices("database"):
        if (platform, database) == ("heroku", "sqlite"):
            continue
        project = render(platform=platform, database=database)
        text = "".join((project / "docs" / page).read_text() for page in ("operations.md", "scaling.md"))
        assert ("## Change a large table" in text) == (database == "postgresql")
        assert re.search(r"^\| CPU \| over 80 %", text, re.MULTILINE)
        for bound in ("within 5 seconds", "three failures in a row", "over 500 ms", "over 1 %"):
            assert bound in text


def test_unused_uploads_are_listed_and_deleted_as_the_page_says(site_copy: Site, tmp_path: Path) -> None:
    list_them, delete_them = (block(site_copy.project, "Unused uploads", word) for word in ("--dry-run", "--uploads"))
    uploads = tmp_path / "uploads"
    uploads.mkdir()
    env = site_copy.environment(MEDIA_ROOT=str(uploads))
    assert pasted(list_them, site_copy.project, env)[0] == 0
    assert pasted(delete_them, site_copy.project, env)[0] == 0
    # No model of a fresh project has uploads.
    assert (site_copy.project / "unused.txt").read_text() == ""

"""Check the log: each line is one JSON object, each request has one line, and all its lines have the same id."""

import json
import logging
import logging.config
import runpy
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.test import Client
from gunicorn.config import Config

from operations import logs
from operations.logs import current_id
from operations.requests import ACCEPTED

LogLines = Callable[[], list[dict[str, Any]]]

KEYS = "timestamp level logger message method path status_code duration_ms request_id user_id"
SECRETS = ["/accounts/password/reset/key/1-s3cret/", "/accounts/confirm-email/s3cret/"]


def test_a_request_writes_one_line(client: Client, log_lines: LogLines) -> None:
    client.get("/?secret=1")
    line = log_lines()[-1]
    assert [each["logger"] for each in log_lines()] == ["page", "requests"]
    assert set(line) == set(KEYS.split())
    assert (line["level"], line["logger"], line["message"]) == ("INFO", "requests", "GET / 200")
    assert (line["method"], line["path"], line["status_code"]) == ("GET", "/", 200)
    assert line["duration_ms"] > 0
    assert line["user_id"] is None


def test_the_line_names_the_member(client: Client, member: Any, log_lines: LogLines) -> None:
    client.force_login(member)
    client.get("/")
    assert log_lines()[-1]["user_id"] == member.pk


@pytest.mark.parametrize("given", ["a", "A-b_c.9", "x" * 64])
def test_an_id_that_the_caller_gives_is_kept(client: Client, log_lines: LogLines, given: str) -> None:
    answer = client.get("/", headers={"X-Request-ID": given})
    assert answer.headers["X-Request-ID"] == given
    assert log_lines()[-1]["request_id"] == given


@pytest.mark.parametrize("given", ["", "x" * 65, "two words", "line\nbreak", "end\n", '"}', "<script>", "é", "٣"])
def test_an_id_that_could_forge_a_line_or_a_header_is_replaced(client: Client, log_lines: LogLines, given: str) -> None:
    answer = client.get("/", headers={"X-Request-ID": given})
    assert answer.headers["X-Request-ID"] == log_lines()[-1]["request_id"] != given
    assert ACCEPTED.fullmatch(answer.headers["X-Request-ID"])


def test_each_request_has_an_id_of_its_own(client: Client) -> None:
    assert client.get("/health/").headers["X-Request-ID"] != client.get("/health/").headers["X-Request-ID"]
    assert current_id.get() is None


def test_every_line_of_a_request_has_its_id(client: Client, log_lines: LogLines) -> None:
    client.get("/", headers={"X-Request-ID": "one-for-all"})
    assert [line["message"] for line in log_lines()] == ["from the middle of it", "GET / 200"]
    assert {line["request_id"] for line in log_lines()} == {"one-for-all"}


def test_an_error_writes_one_traceback(client: Client, log_lines: LogLines) -> None:
    client.get("/fails/")
    error, request = log_lines()
    assert error["exc_info"].endswith("nobody's business")
    assert (request["level"], request["status_code"]) == ("ERROR", 500)
    assert error["request_id"] == request["request_id"]


def test_a_page_that_does_not_exist_writes_one_line(client: Client, log_lines: LogLines) -> None:
    client.get("/no-such-page/")
    assert [line["message"] for line in log_lines()] == ["GET /no-such-page/ 404"]


def test_a_foreign_host_is_named_in_one_line(client: Client, log_lines: LogLines) -> None:
    client.get("/", headers={"host": "elsewhere.example"})
    (line,) = log_lines()
    assert (line["status_code"], line["host"]) == (400, "elsewhere.example")


def test_a_probe_that_succeeds_writes_at_debug_only(
    client: Client, log_lines: LogLines, caplog: pytest.LogCaptureFixture
) -> None:
    client.get("/health/")
    assert not log_lines()
    caplog.set_level(logging.DEBUG, logger="requests")
    client.get("/health/")
    assert [line["level"] for line in log_lines()] == ["DEBUG"]


@pytest.mark.parametrize("path", SECRETS)
def test_a_key_from_a_mail_stays_out_of_the_log(
    client: Client, log_lines: LogLines, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    client.get(path)
    (line,) = log_lines()
    assert line["path"].endswith("/***/")
    assert "s3cret" not in json.dumps(line)
    assert "s3cret" not in logs.TextLines().format(caplog.records[-1])


def test_a_line_takes_whatever_it_is_given(log_lines: LogLines) -> None:
    logging.getLogger("apps").warning("saved", extra={"path": Path("/a"), "user": AnonymousUser(), "request": object()})
    (line,) = log_lines()
    assert (line["message"], line["path"]) == ("saved", "/a")
    assert "request" not in line, "a request shows its address, and with it what is masked elsewhere"


@pytest.mark.usefixtures("own_logging")
def test_lines_go_to_standard_output_and_to_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "site.log"
    logging.config.dictConfig(logs.configuration(level="INFO", request_level="INFO", formatter="json", file=str(file)))
    logging.getLogger("apps").info("grüße")
    logging.getLogger("apps").debug("not this")
    written = file.read_text(encoding="utf-8")
    assert capsys.readouterr().out == written
    assert '"message": "grüße"' in written


@pytest.mark.usefixtures("own_logging")
def test_a_full_disk_costs_one_line_a_minute(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Write to /dev/full, which fails like a full disk."""
    file = tmp_path / "site.log"
    file.symlink_to("/dev/full")
    logging.config.dictConfig(logs.configuration(level="INFO", request_level="INFO", formatter="json", file=str(file)))
    for number in range(100):
        logging.getLogger("apps").info("line %s", number)
    said = capsys.readouterr()
    assert len(said.out.splitlines()) == 100
    (line,) = said.err.splitlines()
    assert json.loads(line)["message"] == "The log cannot be written: [Errno 28] No space left on device"


@pytest.mark.usefixtures("own_logging")
def test_a_line_that_is_written_wrongly_still_shows_where(capsys: pytest.CaptureFixture[str]) -> None:
    logging.config.dictConfig(logs.configuration(level="INFO", request_level="INFO", formatter="json"))
    logging.getLogger("apps").info("%d", "text")
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.filterwarnings("always")
@pytest.mark.usefixtures("own_logging")
@pytest.mark.parametrize("level", ["INFO", "no level"])
def test_the_servers_own_lines_are_like_all_others(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, level: str
) -> None:
    monkeypatch.setenv("LOG_LEVEL", level)
    server = runpy.run_path(str(settings.BASE_DIR / "gunicorn.conf.py"))["JsonLogger"](Config())
    server.info("Listening at: %s", "http://127.0.0.1:8000")
    server.access(None, None, {}, None)
    warnings.warn("a warning", stacklevel=1)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["logger"] for line in lines] == ["gunicorn.error", "py.warnings"]
    assert lines[0]["message"] == "Listening at: http://127.0.0.1:8000"

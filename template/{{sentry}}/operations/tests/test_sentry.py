"""Check that Sentry gets what is needed to fix an error, and no personal data."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest

from operations import sentry
from operations.environment.variables import EnvError
from operations.logs import current_id

Production = Callable[..., SimpleNamespace]

DSN = "https://key@o1.ingest.sentry.io/2"


@pytest.fixture(autouse=True)
def init(monkeypatch: pytest.MonkeyPatch) -> mock.Mock:
    """Record the SDK's arguments instead of starting it, or it would report the errors of later tests."""
    init = mock.Mock()
    monkeypatch.setattr("operations.sentry.sentry_sdk.init", init)
    return init


def test_nothing_is_reported_unless_it_is_said_where(production: Production, init: mock.Mock) -> None:
    assert production().SENTRY["dsn"] is None
    init.assert_not_called()


def test_production_reports_to_its_project(production: Production, init: mock.Mock) -> None:
    production(SENTRY_DSN=DSN, SENTRY_ENVIRONMENT="staging", SENTRY_RELEASE="1.2", SENTRY_TRACES_SAMPLE_RATE="0.25")
    told = init.call_args.kwargs
    assert (told["dsn"], told["environment"], told["release"], told["traces_sample_rate"]) == (
        DSN,
        "staging",
        "1.2",
        0.25,
    )
    assert not told["send_default_pii"]
    assert not told["include_local_variables"]
    assert told["max_request_body_size"] == "never"


def test_the_release_is_the_commit_that_a_deploy_has_left(
    init: mock.Mock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sentry, "BASE_DIR", tmp_path)
    sentry.start_reporting(DSN, environment="production", release=None, traces_sample_rate=0)
    assert init.call_args.kwargs["release"] is None
    (tmp_path / "COMMIT").write_text("0123abc What was done\n")
    sentry.start_reporting(DSN, environment="production", release=None, traces_sample_rate=0)
    assert init.call_args.kwargs["release"] == "0123abc"


def test_the_secret_half_of_an_old_key_stays_here() -> None:
    old, new = "https://key:s3cret@sentry.example.com:9000/path/2", "https://key@sentry.example.com:9000/path/2"
    assert sentry.sentry_dsn(old) == new
    assert sentry.sentry_dsn(DSN) == DSN


@pytest.mark.parametrize(
    "wrong", ["s3cret", "https://o1.ingest.sentry.io/2", "https://s3cret@/2", "ftp://s3cret@host/2"]
)
def test_what_is_no_project_is_refused(wrong: str) -> None:
    with pytest.raises(EnvError, match="not a Sentry project's DSN") as refused:
        sentry.sentry_dsn(wrong)
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize("wrong", ["1.1", "-0.1", "half", "2"])
def test_what_is_no_part_of_the_whole_is_refused(wrong: str) -> None:
    with pytest.raises(EnvError, match="from 0 to 1"):
        sentry.share(wrong)


def test_an_event_names_its_request_and_nobody() -> None:
    event: Any = {
        "message": "no mail to Member <member+1@example.co.uk>: (a@b.example)",
        "request": {
            "url": "https://www.example.com/accounts/password/reset/key/1-abc/",
            "query_string": "token=s3cret",
        },
        "breadcrumbs": {"values": [{"message": "GET /accounts/confirm-email/s3cret/ 200"}]},
        "extra": {"counts": (1, "x@y.example")},
    }
    token = current_id.set("an-id")
    sent: Any = sentry.before_send(event, {})
    current_id.reset(token)
    assert sent["message"] == "no mail to Member <***@***>: (***@***)"
    assert sent["request"] == {"url": "https://www.example.com/accounts/password/reset/key/***/"}
    assert sent["breadcrumbs"]["values"][0]["message"] == "GET /accounts/confirm-email/***/ 200"
    assert sent["extra"] == {"counts": [1, "***@***"]}
    assert sent["tags"] == {"request_id": "an-id"}

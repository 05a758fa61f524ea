"""Errors are reported to Sentry where SENTRY_DSN says where it is, and nothing personal goes along.

https://docs.sentry.io/platforms/python/configuration/options/
"""

import re
from pathlib import Path
from typing import Any, cast

import sentry_sdk
from environs import EnvError
from sentry_sdk.integrations.logging import ignore_logger
from sentry_sdk.types import Event, Hint
from sentry_sdk.utils import BadDsn, Dsn

from operations.environment import Environment
from operations.logs import current_id, masked

BASE_DIR = Path(__file__).resolve().parents[1]
ADDRESS = re.compile(r"[^\s@<>\"'()=,;:]+@[^\s@<>\"'(),;:]+\.\w+")


def sentry_dsn(text: str | None) -> str | None:
    """Where errors are reported: what Sentry calls a DSN, without the secret half of its key that old ones have.

    Raises:
        EnvError: it is none; the text is not repeated, since it may hold a key.
    """
    if text is None:
        return None
    try:
        Dsn(text)
    except (BadDsn, ValueError):
        raise EnvError("not a Sentry project's DSN. Example: https://key@o1.ingest.sentry.io/2") from None
    return re.sub(":[^/@]*@", "@", text)


def share(text: str | float) -> float:
    """A part of the whole, from 0 to 1.

    Raises:
        EnvError: it is none.
    """
    if not re.fullmatch(r"[01](\.\d+)?|\.\d+", str(text).strip()) or float(text) > 1:
        raise EnvError("not a number from 0 to 1. Example: 0.1")
    return float(text)


def sentry(env: Environment) -> dict[str, Any]:
    """Return what the environment says of Sentry, as `start_reporting` takes it. Good once `env` is sealed."""
    env.add_parser("sentry_dsn", sentry_dsn)
    env.add_parser("share", share)
    return {
        "dsn": env.sentry_dsn("SENTRY_DSN", None),
        "environment": env.str("SENTRY_ENVIRONMENT", "production"),
        "release": env.str("SENTRY_RELEASE", None),
        "traces_sample_rate": env.share("SENTRY_TRACES_SAMPLE_RATE", 0),
    }


def deployed_commit() -> str | None:
    """The commit that a deploy wrote into the file COMMIT; None where there is none."""
    file = BASE_DIR / "COMMIT"
    return file.read_text(encoding="utf-8").partition(" ")[0].strip() if file.is_file() else None


def scrubbed(value: Any) -> Any:
    """A value, and all within it, without mail addresses and without keys that let one take over an account."""
    if isinstance(value, str):
        return ADDRESS.sub("***@***", masked(value))
    if isinstance(value, dict):
        return {key: scrubbed(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [scrubbed(each) for each in value]
    return value


def before_send(event: Event, _: Hint) -> Event:
    """An event as it may leave the site, with the id that the visitor sees on the error page."""
    if request_id := current_id.get():
        event.setdefault("tags", {})["request_id"] = request_id
    # What a visitor asked for behind the `?` may be anything.
    event.get("request", {}).pop("query_string", None)
    return cast("Event", scrubbed(event))


def start_reporting(dsn: str | None, *, environment: str, release: str | None, traces_sample_rate: float) -> None:
    """Report errors from now on; nothing happens without a DSN.

    Events are sent by a thread of their own, so that no page waits for Sentry, be it down or slow.

    Args:
        dsn: where to.
        environment: the site's name among those that report to the same project: "production", "staging".
        release: what is deployed. Without it the commit that a deploy has left, or the one that the SDK finds.
        traces_sample_rate: the part of requests that is measured, from 0 to 1.
    """
    if dsn is None:
        return
    sentry_sdk.init(
        dsn=dsn,
        environment=environment,
        release=release or deployed_commit(),
        # At 0 nothing is even begun.
        traces_sample_rate=traces_sample_rate or None,
        # No cookie, address, form or variable of a visitor's.
        send_default_pii=False,
        max_request_body_size="never",
        include_local_variables=False,
        before_send=before_send,
        before_send_transaction=before_send,
        # Nobody else is told of it, and nothing is sent of what goes well.
        trace_propagation_targets=[],
        auto_session_tracking=False,
        send_client_reports=False,
        # Seconds that a process which ends waits for what is still to be sent.
        shutdown_timeout=2,
    )
    # The request's own line: the exception behind it is reported by itself.
    ignore_logger("requests")

"""Report errors to Sentry if SENTRY_DSN is set, without personal data.

https://docs.sentry.io/platforms/python/configuration/options/
"""

import re
from pathlib import Path
from typing import Any, cast

import sentry_sdk
from sentry_sdk.integrations.logging import ignore_logger
from sentry_sdk.types import Event, Hint
from sentry_sdk.utils import BadDsn, Dsn

from operations.environment import Environment
from operations.environment.variables import EnvError
from operations.logs import current_id, masked

BASE_DIR = Path(__file__).resolve().parents[1]
ADDRESS = re.compile(r"[^\s@<>\"'()=,;:]+@[^\s@<>\"'(),;:]+\.\w+")


def sentry_dsn(text: str | None) -> str | None:
    """Return a Sentry DSN without the secret that old ones have in their key.

    Raises:
        EnvError: it is not a DSN. The message does not repeat it, because it may hold a key.
    """
    if text is None:
        return None
    try:
        Dsn(text)
    except (BadDsn, ValueError):
        raise EnvError("not a Sentry project's DSN. Example: https://key@o1.ingest.sentry.io/2") from None
    return re.sub(":[^/@]*@", "@", text)


def share(text: str | float) -> float:
    """Return a number from 0 to 1.

    Raises:
        EnvError: it is not such a number.
    """
    if not re.fullmatch(r"[01](\.\d+)?|\.\d+", str(text).strip()) or float(text) > 1:
        raise EnvError("not a number from 0 to 1. Example: 0.1")
    return float(text)


def sentry(env: Environment) -> dict[str, Any]:
    """Return the arguments of `start_reporting` from environment variables. They are checked when `env` is sealed."""
    env.add_parser("sentry_dsn", sentry_dsn)
    env.add_parser("share", share)
    return {
        "dsn": env.sentry_dsn("SENTRY_DSN", None),
        "environment": env.str("SENTRY_ENVIRONMENT", "production"),
        "release": env.str("SENTRY_RELEASE", None),
        "traces_sample_rate": env.share("SENTRY_TRACES_SAMPLE_RATE", 0),
    }


def deployed_commit() -> str | None:
    """Return the commit that a deploy wrote into the file COMMIT; None if there is no such file."""
    file = BASE_DIR / "COMMIT"
    return file.read_text(encoding="utf-8").partition(" ")[0].strip() if file.is_file() else None


def scrubbed(value: Any) -> Any:
    """Return a value, with nested ones, without email addresses and without keys that give access to an account."""
    if isinstance(value, str):
        return ADDRESS.sub("***@***", masked(value))
    if isinstance(value, dict):
        return {key: scrubbed(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [scrubbed(each) for each in value]
    return value


def before_send(event: Event, _: Hint) -> Event:
    """Return an event without personal data, and with the request id that the visitor sees on the error page."""
    if request_id := current_id.get():
        event.setdefault("tags", {})["request_id"] = request_id
    # A query string may contain anything, such as a search for a person.
    event.get("request", {}).pop("query_string", None)
    return cast("Event", scrubbed(event))


def start_reporting(dsn: str | None, *, environment: str, release: str | None, traces_sample_rate: float) -> None:
    """Report errors from now on. Do nothing without a DSN.

    A background thread sends the events, so that no page waits for Sentry, even if it is down or slow.

    Args:
        dsn: the project in Sentry to report to.
        environment: the site's name among those that report to the same project: "production", "staging".
        release: the version that is deployed. Default: the commit in the file COMMIT, or the one that the SDK finds.
        traces_sample_rate: the share of requests whose performance is measured, from 0 to 1.
    """
    if dsn is None:
        return
    sentry_sdk.init(
        dsn=dsn,
        environment=environment,
        release=release or deployed_commit(),
        # None turns tracing off. With 0, each request would still start a trace.
        traces_sample_rate=traces_sample_rate or None,
        # Send no cookies, IP addresses, form data or local variables.
        send_default_pii=False,
        max_request_body_size="never",
        include_local_variables=False,
        before_send=before_send,
        before_send_transaction=before_send,
        # Send no trace headers to other services, and nothing about requests without errors.
        trace_propagation_targets=[],
        auto_session_tracking=False,
        send_client_reports=False,
        # Seconds that a process waits at its end to send its last events.
        shutdown_timeout=2,
    )
    # Do not report the request's own log line, because the exception is reported already.
    ignore_logger("requests")

"""The id by which one request is found again in every log line."""

import re
import uuid
from contextvars import ContextVar

HEADER = "X-Request-ID"

# Anything else could forge a log line or a header.
ACCEPTED = re.compile(r"[A-Za-z0-9._-]{1,64}")

current: ContextVar[str | None] = ContextVar("request_id", default=None)


def accepted_or_new(given: str | None) -> str:
    """The caller's id if it is 1 to 64 of `A-Za-z0-9._-`, else a new one."""
    if given is not None and ACCEPTED.fullmatch(given):
        return given
    return uuid.uuid4().hex

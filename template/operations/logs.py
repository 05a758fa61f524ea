"""How log lines look and where they go: the same for Django, gunicorn and Python's warnings."""

import logging
import re
import sys
import time
from contextlib import suppress
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, TextIO, override

from pythonjsonlogger.json import JsonFormatter

# The id by which one request is found again in every log line.
current_id: ContextVar[str | None] = ContextVar("request_id", default=None)

# Keys that let whoever reads the log take over an account.
SECRET_PATHS = re.compile(r"(/accounts/(?:password/reset/key|confirm-email)/)[^/\s\"']+")
LOG_FILE_BYTES = 10_000_000
LOG_FILES_KEPT = 5
# Seconds between two lines which say that the log's file cannot be written.
COMPLAINTS_APART = 60.0


def masked(text: str) -> str:
    """The text without the keys in addresses of reset and confirmation pages."""
    return SECRET_PATHS.sub(r"\1***", text)


class JsonLines(JsonFormatter):
    """One JSON object a line."""

    def __init__(self) -> None:
        super().__init__("%(message)s", json_ensure_ascii=False)

    @override
    def add_fields(self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        log_data["timestamp"] = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        log_data["level"] = record.levelname
        log_data["logger"] = record.name
        super().add_fields(log_data, record, message_dict)
        log_data["message"] = masked(str(log_data["message"]))
        for name in ("path", "exc_info", "stack_info"):
            if log_data.get(name):
                log_data[name] = masked(str(log_data[name]))
        log_data["request_id"] = current_id.get()
        # Django hangs the request on some records, and a request is no text.
        log_data.pop("request", None)
        log_data.pop("server_time", None)


class TextLines(logging.Formatter):
    """A line that one can read."""

    def __init__(self) -> None:
        super().__init__("{levelname:<7} {name}: {message}", style="{")

    @override
    def format(self, record: logging.LogRecord) -> str:
        return masked(super().format(record))


class SaysSoNowAndThen(logging.Handler):
    """Say in one line a minute that a log cannot be written, such as on a full disk, instead of a traceback for each line."""

    said_at = float("-inf")

    @override
    def handleError(self, record: logging.LogRecord) -> None:
        error, now = sys.exception(), time.monotonic()
        if not isinstance(error, OSError):
            super().handleError(record)
            return
        if now - self.said_at < COMPLAINTS_APART or sys.stderr is None:
            return
        self.said_at = now
        text = f"The log cannot be written: {error}"
        told = {"name": __name__, "levelno": logging.ERROR, "levelname": "ERROR", "msg": text}
        with suppress(OSError):
            sys.stderr.write(f"{self.format(logging.makeLogRecord(told))}\n")


class LogStream(SaysSoNowAndThen, logging.StreamHandler[TextIO]):
    """Standard output."""


def log_file(path: str) -> logging.Handler:
    """Return a handler that writes to a file, which is rotated at 10 MB. Five are kept, and several processes may write to it.

    Raises:
        OSError: the file cannot be opened.
    """
    # The standard library's loses lines when a second process writes to the file. Importing this one takes a while.
    from concurrent_log_handler import ConcurrentRotatingFileHandler

    class LogFile(SaysSoNowAndThen, ConcurrentRotatingFileHandler):
        """The log's file."""

    return LogFile(path, maxBytes=LOG_FILE_BYTES, backupCount=LOG_FILES_KEPT, encoding="utf-8")


def has_traceback(record: logging.LogRecord) -> bool:
    """Whether a record tells more than the request's own line does."""
    return record.exc_info is not None


def configuration(*, level: str, request_level: str, formatter: str, file: str | None = None) -> dict[str, Any]:
    """A configuration for `logging.config.dictConfig`.

    Args:
        level: the least level of a line that is written.
        request_level: the same for the lines that each request writes.
        formatter: "json" or "text".
        file: the path of a file that gets each line too, as `log_file` writes it.
    """
    handlers: dict[str, dict[str, Any]] = {
        "stdout": {"()": LogStream, "stream": "ext://sys.stdout", "formatter": formatter},
    }
    if file:
        handlers["file"] = {"()": log_file, "path": file, "formatter": formatter}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": JsonLines}, "text": {"()": TextLines}},
        "filters": {"has_traceback": {"()": lambda: has_traceback}},
        "handlers": {**handlers, "none": {"class": "logging.NullHandler"}},
        "root": {"level": level, "handlers": list(handlers)},
        "loggers": {
            # Django gives these two handlers of their own; the root's are enough.
            "django": {"handlers": [], "level": "INFO", "propagate": True},
            "django.server": {"handlers": [], "propagate": True},
            "requests": {"level": request_level},
            # The request's own line says the same, but for an exception's traceback.
            "django.request": {"filters": ["has_traceback"]},
            # A scanner with a foreign Host shall cost one line, and not a traceback.
            "django.security.DisallowedHost": {"handlers": ["none"], "propagate": False},
        },
    }

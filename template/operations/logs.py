"""Format log lines and choose where they go, for Django, gunicorn and Python's warnings alike."""

import logging
import re
import sys
import time
from contextlib import suppress
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, TextIO, override

from pythonjsonlogger.json import JsonFormatter

# The request id that every log line of a request carries.
current_id: ContextVar[str | None] = ContextVar("request_id", default=None)

# Links with a key: with it, anybody who reads the log could take over an account.
SECRET_PATHS = re.compile(r"(/accounts/(?:password/reset/key|confirm-email)/)[^/\s\"']+")
LOG_FILE_BYTES = 10_000_000
LOG_FILES_KEPT = 5
# Seconds between two messages that the log cannot be written.
COMPLAINTS_APART = 60.0


def masked(text: str) -> str:
    """Return the text with the keys in password reset and email confirmation URLs masked."""
    return SECRET_PATHS.sub(r"\1***", text)


class JsonLines(JsonFormatter):
    """Format each record as one line of JSON."""

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
        # Django attaches the request to some records, and it cannot be written as JSON.
        log_data.pop("request", None)
        log_data.pop("server_time", None)


class TextLines(logging.Formatter):
    """Format each record as a readable line."""

    def __init__(self) -> None:
        super().__init__("{levelname:<7} {name}: {message}", style="{")

    @override
    def format(self, record: logging.LogRecord) -> str:
        return masked(super().format(record))


class SaysSoNowAndThen(logging.Handler):
    """Report once a minute in one line that the log cannot be written (a full disk), not with a traceback per line."""

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
    """Write log lines to standard output."""


def log_file(path: str) -> logging.Handler:
    """Return a handler that writes to a file, also from several processes. Rotate it at 10 MB and keep five old files.

    Raises:
        OSError: the file cannot be opened.
    """
    # The standard library's handler loses lines when several processes write to the file. This one is slow to import,
    # so import it only when needed.
    from concurrent_log_handler import ConcurrentRotatingFileHandler

    class LogFile(SaysSoNowAndThen, ConcurrentRotatingFileHandler):
        """Write log lines to a file."""

    return LogFile(path, maxBytes=LOG_FILE_BYTES, backupCount=LOG_FILES_KEPT, encoding="utf-8")


def has_traceback(record: logging.LogRecord) -> bool:
    """Return whether a record has a traceback, which the request's own line does not have."""
    return record.exc_info is not None


def configuration(*, level: str, request_level: str, formatter: str, file: str | None = None) -> dict[str, Any]:
    """Return a configuration for `logging.config.dictConfig`.

    Args:
        level: the lowest level that is written.
        request_level: the lowest level of the request lines that are written.
        formatter: "json" or "text".
        file: the path of a file to write each line to as well (see `log_file`).
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
            # Remove Django's own handlers of these two, or each line would be written twice.
            "django": {"handlers": [], "level": "INFO", "propagate": True},
            "django.server": {"handlers": [], "propagate": True},
            "requests": {"level": request_level},
            # The request's own line says the same, except for the traceback of an exception.
            "django.request": {"filters": ["has_traceback"]},
            # Log bad-Host scans in one line (the request's own), without a traceback.
            "django.security.DisallowedHost": {"handlers": ["none"], "propagate": False},
        },
    }

"""Configure gunicorn. Values that differ between machines come from environment variables.

Every setting: https://docs.gunicorn.org/en/stable/settings.html
"""

import logging
import logging.config
import os
from pathlib import Path
from typing import Any, override

from gunicorn.config import Config
from gunicorn.glogging import Logger

from operations import logs
from operations.environment import load_dotenv

load_dotenv()


def number(name: str, default: int) -> int:
    """Return an environment variable's positive whole number, or the default. Settings refuse wrong values later."""
    value = os.environ.get(name, "").strip()
    return int(value) if value.isdecimal() and int(value) > 0 else default


class JsonLogger(Logger):
    """Send gunicorn's own messages through the project's logging, from the first line on."""

    @override
    def setup(self, cfg: Config) -> None:
        level = os.environ.get("LOG_LEVEL", "").strip().upper()
        known = logging.getLevelNamesMapping()
        logging.config.dictConfig(
            # Django configures logging again later, in full, and refuses an unknown level then.
            logs.configuration(level=level if level in known else "INFO", request_level="INFO", formatter="json")
        )
        logging.captureWarnings(True)
        for log in (self.error_log, self.access_log):
            log.handlers.clear()
            log.propagate = True
        self.error_log.setLevel(logging.NOTSET)

    @override
    def access(self, resp: Any, req: Any, environ: Any, request_time: Any) -> None:
        """Write nothing: Django logs each request, with its id and its user."""


wsgi_app = "config.wsgi:application"

# Listen on loopback only, unless the start command says otherwise.
bind = f"127.0.0.1:{number('PORT', 8000)}"

# Proxies trusted to set X-Forwarded-Proto. No other client may set it.
forwarded_allow_ips = os.environ.get("FORWARDED_ALLOW_IPS") or "127.0.0.1,::1"

# Two workers, so that one serves while the other restarts. For more traffic: one per core, if memory allows.
workers = number("WEB_CONCURRENCY", 2)
# Threads, because a page mostly waits for the database. They also finish requests in flight
# when the server stops; the default kind of worker loses most of them.
worker_class = "gthread"
threads = number("GUNICORN_THREADS", 4)

# Seconds after which a worker that no longer responds is replaced.
timeout = number("GUNICORN_TIMEOUT", 30)
# Seconds that requests in flight get when the server stops. Platforms kill it after 30.
graceful_timeout = 25

# Replace each worker after some 10,000 requests, which limits memory leaks. The jitter keeps all from restarting at once.
max_requests = 10000
max_requests_jitter = 1000

# Workers send heartbeats through files. On a slow disk these would be late, and gunicorn would kill the worker.
if Path("/dev/shm").is_dir():  # noqa: S108 - gunicorn makes files of its own there, unnamed
    worker_tmp_dir = "/dev/shm"  # noqa: S108 - as above

# Load the code once, before workers start, so that an error at startup is reported once.
preload_app = True

# Not used here, and it needs a writable home folder.
control_socket_disable = True

# JSON lines on standard output, like the site's own logs. Django writes the line for each request.
logger_class = JsonLogger


def pre_request(_worker: Any, request: Any) -> None:
    """Close the connection after a request with a body, so that no thread waits for the part that Django did not read.

    gunicorn's ASGI worker already does this; its requests have no `force_close`.
    """
    has_body = {"CONTENT-LENGTH", "TRANSFER-ENCODING"} & {name for name, _ in request.headers}
    if has_body and hasattr(request, "force_close"):
        request.force_close()

"""How gunicorn serves the site. What differs between machines comes from the environment.

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
    """The whole number in an environment variable; the settings refuse one that is none."""
    value = os.environ.get(name, "").strip()
    return int(value) if value.isdecimal() and int(value) > 0 else default


class JsonLogger(Logger):
    """Sends what gunicorn says through the project's logging, from the first line on."""

    @override
    def setup(self, cfg: Config) -> None:
        level = os.environ.get("LOG_LEVEL", "").strip().upper()
        known = logging.getLevelNamesMapping()
        logging.config.dictConfig(
            # Django configures it again, in full; a level that is no level is refused there.
            logs.configuration(level=level if level in known else "INFO", request_level="INFO", formatter="json")
        )
        logging.captureWarnings(True)
        for log in (self.error_log, self.access_log):
            log.handlers.clear()
            log.propagate = True
        self.error_log.setLevel(logging.NOTSET)

    @override
    def access(self, resp: Any, req: Any, environ: Any, request_time: Any) -> None:
        """Write nothing: the request's line is Django's, which knows its id and its user."""


wsgi_app = "config.wsgi:application"

# Loopback, unless the start command says otherwise: whatever listens outside is a choice.
bind = f"127.0.0.1:{number('PORT', 8000)}"

# Whose word on https is believed: the proxy's that stands in front, and nobody else's.
forwarded_allow_ips = os.environ.get("FORWARDED_ALLOW_IPS") or "127.0.0.1,::1"

# Two, so that one goes on while the other restarts. More: one a core, memory allowing.
workers = number("WEB_CONCURRENCY", 2)
# Threads, since a page mostly waits for the database; they also let requests in flight
# end when the server stops, most of which workers of the default kind lose.
worker_class = "gthread"
threads = number("GUNICORN_THREADS", 4)

# Seconds after which a worker that does not answer any more is replaced.
timeout = number("GUNICORN_TIMEOUT", 30)
# Seconds for requests in flight when the server stops: under the 30 after which
# platforms kill it.
graceful_timeout = 25

# A worker is replaced now and then, which bounds what a leak can take; not all at once.
max_requests = 1000
max_requests_jitter = 100

# Heartbeats are files, and a slow disk would stop them.
if Path("/dev/shm").is_dir():  # noqa: S108 - gunicorn makes files of its own there, unnamed
    worker_tmp_dir = "/dev/shm"  # noqa: S108 - as above

# The code is loaded once, before a worker starts, so that what cannot start says so once.
preload_app = True

# Nothing here uses it, and it would want a home folder that can be written.
control_socket_disable = True

# JSON lines on standard output, as the site's own; one line a request, from Django.
logger_class = JsonLogger


def pre_request(_worker: Any, request: Any) -> None:
    """Close a connection after a request with a body, instead of waiting in a thread for what was not read of it.

    The ASGI worker does so by itself; its requests have no such method.
    """
    has_body = {"CONTENT-LENGTH", "TRANSFER-ENCODING"} & {name for name, _ in request.headers}
    if has_body and hasattr(request, "force_close"):
        request.force_close()

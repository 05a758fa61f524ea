"""gunicorn's own lines, written like all others."""

import logging
import logging.config
import os
from typing import Any, override

from gunicorn.config import Config
from gunicorn.glogging import Logger

from operations import logs


class JsonLogger(Logger):
    """Sends what gunicorn says through the project's logging, from the master's first line on."""

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

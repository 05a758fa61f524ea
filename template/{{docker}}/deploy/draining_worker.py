"""Serve the connections that are still waiting when gunicorn's threaded worker is told to stop.

gunicorn's own worker keeps the port open until its last request ends, but accepts no more connections: those made
meanwhile are cut off at the end. The proxy can retry a page but not a form, because the site may have processed it
already. This worker accepts the waiting connections and closes the port at once. Later connections are refused, so the
proxy knows that the site did not get the request, and tries the next container.
"""

import select
from typing import override

from gunicorn.workers.gthread import ThreadWorker


class DrainingWorker(ThreadWorker):
    """Accept the waiting connections before the worker stops. docker-entrypoint.sh chooses this class."""

    @override
    def set_accept_enabled(self, enabled: bool | None) -> None:
        """Start or stop accepting connections. When the worker stops, accept those that are waiting first."""
        if not enabled and not self.alive:
            for listener in self.sockets:
                while select.select([listener], [], [], 0)[0]:
                    self.accept(listener)
        super().set_accept_enabled(enabled)
        if not enabled and not self.alive:
            for listener in self.sockets:
                listener.close()
            self.sockets = []

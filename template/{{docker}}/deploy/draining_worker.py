"""gunicorn's threaded worker, which also serves connections that are waiting when it is told to stop.

gunicorn's own keeps the port open until its last request ends, but accepts nothing from it: connections made meanwhile
are cut off at the end. The proxy in front can retry a page but not a form, which the site may have processed already.
This worker accepts what is waiting and closes the port at once. Later connections are refused, so the proxy knows that
nothing was lost and tries the next container.
"""

import select
from typing import override

from gunicorn.workers.gthread import ThreadWorker


class DrainingWorker(ThreadWorker):
    """The worker class that docker-entrypoint.sh names."""

    @override
    def set_accept_enabled(self, enabled: bool | None) -> None:
        """Accept connections, or stop; a worker that is told to stop first accepts those that are waiting."""
        if not enabled and not self.alive:
            for listener in self.sockets:
                while select.select([listener], [], [], 0)[0]:
                    self.accept(listener)
        super().set_accept_enabled(enabled)
        if not enabled and not self.alive:
            for listener in self.sockets:
                listener.close()
            self.sockets = []

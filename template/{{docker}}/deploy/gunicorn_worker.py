"""gunicorn's threaded worker, which also serves those whose connection waits when it is told to stop.

gunicorn's own leaves the port open until its last request in flight is over, and takes nothing from it: whoever
connects meanwhile is cut off at the end. The proxy in front may ask again for a page, but not send a form again,
which may have been taken. So this one takes what waits and closes the port at once: who comes later is refused,
and the proxy knows that nothing was lost and tries the next container.
"""

import select
from typing import override

from gunicorn.workers.gthread import ThreadWorker


class DrainingWorker(ThreadWorker):
    """Named in docker-entrypoint.sh."""

    @override
    def set_accept_enabled(self, enabled: bool | None) -> None:
        """Take what connects, or stop to; the end of that is when the worker is told to stop."""
        if not enabled and not self.alive:
            for listener in self.sockets:
                while select.select([listener], [], [], 0)[0]:
                    self.accept(listener)
        super().set_accept_enabled(enabled)
        if not enabled and not self.alive:
            for listener in self.sockets:
                listener.close()
            self.sockets = []

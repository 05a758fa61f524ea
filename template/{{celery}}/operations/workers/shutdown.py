"""End a Celery worker on SIGTERM as soon as its tasks are done, and after CELERY_SHUTDOWN_SECONDS at the latest.

Celery's own soft shutdown always sleeps for the whole time, even if all tasks end earlier, and a deploy would wait.
"""

import signal
from typing import Any, override

from celery import bootsteps
from celery.worker import state as worker_state

# Seconds between two checks whether the worker must end, and between two polls of Redis (redis_transport.py).
LOOK = 0.1

# Celery's own module. Its flags can be set, but celery-types says otherwise.
state: Any = worker_state


class EndWithTasks(bootsteps.StartStopStep):
    """Let a worker finish its tasks after SIGTERM, and take no others.

    Celery's own shutdown gives unfinished tasks back to the broker when the time is over.
    """

    told = False

    @override
    def start(self, parent: Any) -> None:
        """Handle SIGTERM in the worker `parent` instead of Celery."""
        if not parent.use_eventloop:
            # With PostgreSQL as the broker there is no event loop to check in. Keep Celery's way.
            return
        give_back: Any = signal.getsignal(signal.SIGTERM)

        def end_now(*_: Any) -> None:
            # The time is over, so Celery must not wait again.
            parent.app.conf.worker_soft_shutdown_timeout = 0
            give_back(signal.SIGTERM, None)

        def tell(*_: Any) -> None:
            # A platform may send it twice.
            if self.told:
                return
            self.told = True
            signal.setitimer(signal.ITIMER_REAL, parent.app.conf.worker_soft_shutdown_timeout)
            if not busy():
                # Set it here, too: without a connection to the broker, the event loop does not call `look`.
                state.should_stop = 0

        signal.signal(signal.SIGALRM, end_now)
        signal.signal(signal.SIGTERM, tell)

    def register_with_event_loop(self, worker: Any, hub: Any) -> None:
        """Call `look` every LOOK seconds in the event loop of a worker that is connected to its broker."""
        hub.call_repeatedly(LOOK, self.look, worker)

    def look(self, worker: Any) -> None:
        """End the worker if it was told to and all its tasks are done."""
        if not self.told or state.should_stop is not None:
            return
        # Stop consuming here and not in the signal handler, which may interrupt a message to the broker.
        worker.consumer.task_consumer.cancel()
        if not busy():
            state.should_stop = 0


def busy() -> bool:
    """Return whether a worker has tasks that run or are about to run. Deferred tasks do not count."""
    return bool(state.reserved_requests or state.active_requests)

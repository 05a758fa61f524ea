"""How SIGTERM ends a worker of Celery: as soon as its tasks are done, and after CELERY_SHUTDOWN_SECONDS at the latest.

Celery's own soft shutdown sleeps for the whole time: it learns of no task's end in it, and a deploy waits for nothing.
"""

import signal
from typing import Any, override

from celery import bootsteps
from celery.worker import state as worker_state

# Seconds between two looks at whether the worker was told to end, and at Redis for new tasks (redis_transport.py).
LOOK = 0.1

# Celery's, of whose flags celery-types says that they are never set.
state: Any = worker_state


class EndWithTasks(bootsteps.StartStopStep):
    """Lets a worker that is told to end go on until its tasks are done, and take no others.

    What is not done in time is given back to the broker by Celery's own way to end.
    """

    told = False

    @override
    def start(self, parent: Any) -> None:
        """Take SIGTERM over from Celery, in the worker `parent`."""
        if not parent.use_eventloop:
            # Such a broker, PostgreSQL, has nothing that looks while tasks are done: Celery's way stays.
            return
        give_back: Any = signal.getsignal(signal.SIGTERM)

        def end_now(*_: Any) -> None:
            # The time is over, and Celery shall not wait for it again.
            parent.app.conf.worker_soft_shutdown_timeout = 0
            give_back(signal.SIGTERM, None)

        def tell(*_: Any) -> None:
            # A platform may send it twice.
            if self.told:
                return
            self.told = True
            signal.setitimer(signal.ITIMER_REAL, parent.app.conf.worker_soft_shutdown_timeout)
            if not busy():
                # Also where there is no broker, and so nobody who looks.
                state.should_stop = 0

        signal.signal(signal.SIGALRM, end_now)
        signal.signal(signal.SIGTERM, tell)

    def register_with_event_loop(self, worker: Any, hub: Any) -> None:
        """Let the loop of a worker that has reached its broker come round every LOOK seconds."""
        hub.call_repeatedly(LOOK, self.look, worker)

    def look(self, worker: Any) -> None:
        """Let the worker end where it was told to and has nothing to do."""
        if not self.told or state.should_stop is not None:
            return
        # Not where it is told: that may be in the middle of what it says to the broker.
        worker.consumer.task_consumer.cancel()
        if not busy():
            state.should_stop = 0


def busy() -> bool:
    """Whether a worker has tasks that it does, or is about to do; those that are put off do not count."""
    return bool(state.reserved_requests or state.active_requests)

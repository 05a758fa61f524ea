"""What is done now and then: the role `schedule` of the image. One container of it is enough.

Each piece of work is a command of manage.py, in a process of its own.
"""

import signal
import subprocess
import sys
from datetime import UTC, datetime

from apscheduler.schedulers.blocking import BlockingScheduler

# Minutes between two rounds. A command that is due less often says so itself.
EVERY = 30


def run(*command: str) -> None:
    """Run a command of manage.py, which writes into the log whatever it says."""
    subprocess.run([sys.executable, "manage.py", *command], check=False)


def main() -> None:
    """Start the first round now, and go on until SIGTERM."""
    scheduler = BlockingScheduler(timezone=UTC)
    scheduler.add_job(
        run, "interval", ["cleanup", "--when-due"], minutes=EVERY, next_run_time=datetime.now(UTC), max_instances=1
    )
    # What runs then is run to its end.
    signal.signal(signal.SIGTERM, lambda *_: scheduler.shutdown(wait=False))
    scheduler.start()


if __name__ == "__main__":
    main()

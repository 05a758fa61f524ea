"""Start scheduled jobs: the role `schedule` of the image. One container of it is enough.

Each job is a command of manage.py, in its own process.
"""

import signal
import subprocess
import sys
from datetime import UTC, datetime

from apscheduler.schedulers.blocking import BlockingScheduler

# Minutes between two runs. A command with --when-due skips the runs at which it is not due.
EVERY = 30


def run(*command: str) -> None:
    """Run a command of manage.py, which logs its own result."""
    subprocess.run([sys.executable, "manage.py", *command], check=False)


def main() -> None:
    """Start the first run now, and continue until SIGTERM."""
    scheduler = BlockingScheduler(timezone=UTC)
    scheduler.add_job(
        run, "interval", ["cleanup", "--when-due"], minutes=EVERY, next_run_time=datetime.now(UTC), max_instances=1
    )
    # Finish a running job first.
    signal.signal(signal.SIGTERM, lambda *_: scheduler.shutdown(wait=False))
    scheduler.start()


if __name__ == "__main__":
    main()

"""Sites with workers: a project whose tasks leave a trace, a broker, and worker processes that can be killed."""

import contextlib
import re
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import requests

from tests.support.environments import Environments
from tests.support.redis import Redis
from tests.support.servers import HANGS, Running, running
from tests.support.sites import Site

# Seconds that a task may take here: one whose worker was killed is done by another soon after.
TIME_LIMIT = 2
# Tasks of a user's own, which write down that they were done.
TASKS = """
import os
import signal
import time

from django.tasks import task


@task
def write_down(number: int, seconds: float = 0.0) -> None:
    time.sleep(seconds)
    # A line is written in one go, by however many processes at once.
    with open(os.environ["TRACE"], "a") as file:
        file.write(f"{number}\\n")


@task
def fall_asleep() -> None:
    time.sleep(600)


@task
def take_down(number: int, secret: str) -> None:
    # As a machine does that is out of memory.
    write_down.call(number)
    os.kill(os.getpid(), signal.SIGKILL)
"""


class WorkingSite(Site):
    """A site whose tasks are done by workers.

    Attributes:
        kind: how: the answer to the question `tasks`.
        redis: the broker, where Celery does them.
    """

    def __init__(
        self, project: Path, environments: Environments, database_url: str, kind: str, redis: Redis, folder: Path
    ) -> None:
        (project / "apps/pages/tasks.py").write_text(TASKS)
        super().__init__(project, environments, database_url)
        self.kind = kind
        self.redis = redis
        self.folder = folder
        self.trace = folder / "trace"
        self.trace.touch()
        self.variables |= {"TRACE": str(self.trace), "TASK_TIME_LIMIT_SECONDS": str(TIME_LIMIT)}
        if kind == "celery":
            # Told to every process of it, as at a test's end, a worker may wait for tasks that none does any more.
            self.variables |= {"CELERY_BROKER_URL": redis.url, "CELERY_SHUTDOWN_SECONDS": "3"}

    @contextlib.contextmanager
    def worker(self, name: str = "worker", **variables: str) -> Iterator[Running]:
        """A worker, until the end of the block."""
        log = self.folder / f"{name}.log"
        with running(["python", "manage.py", "worker"], self.project, self.environment(**variables), log) as process:
            yield process

    def ask_for(self, code: str) -> str:
        """Run some Python of the site, which knows its tasks as `tasks`; gives what it printed."""
        return self.manage("shell", "--verbosity=0", "--command", f"from apps.pages import tasks\n{code}")

    def done(self) -> Counter[int]:
        """How often each task was done so far, by its number."""
        return Counter(int(line) for line in self.trace.read_text().splitlines())

    def wait_for(self, number: int, seconds: float = HANGS) -> Counter[int]:
        """Wait until so many different tasks were done, or for so long."""
        deadline = time.monotonic() + seconds
        while len(self.done()) < number and time.monotonic() < deadline:
            time.sleep(0.02)
        return self.done()


def ask_for_a_task(visitor: requests.Session, url: str) -> requests.Response:
    """The answer to a visitor of a site who asks for a task."""
    page = visitor.get(f"{url}/accounts/login/", timeout=HANGS)
    token = re.findall('name="csrfmiddlewaretoken" value="(.*?)"', page.text)[0]
    fields = {"csrfmiddlewaretoken": token}
    return visitor.post(f"{url}/tasks/answer/", fields, headers={"Referer": f"{url}/"}, timeout=60)


def is_done(visitor: requests.Session, url: str, asked: requests.Response) -> bool:
    """Whether the task that was asked for is done."""
    return bool(visitor.get(f"{url}/tasks/answer/?key={asked.json()['key']}", timeout=HANGS).json()["done"])

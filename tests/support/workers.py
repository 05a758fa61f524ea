"""Run sites with workers: a project whose tasks leave a trace, a broker, and worker processes that can be killed."""

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

# The tasks' time limit in seconds: soon after it, another worker runs a task whose worker was killed.
TIME_LIMIT = 2
# An owner's tasks, which record that they ran.
TASKS = """
import os
import signal
import time

from django.tasks import task


@task
def write_down(number: int, seconds: float = 0.0) -> None:
    time.sleep(seconds)
    # The line is written in a single call, because several processes write to the file.
    with open(os.environ["TRACE"], "a") as file:
        file.write(f"{number}\\n")


@task
def fall_asleep() -> None:
    time.sleep(600)


@task
def take_down(number: int, secret: str) -> None:
    # The kernel kills a process like this when memory runs out.
    write_down.call(number)
    os.kill(os.getpid(), signal.SIGKILL)
"""


class WorkingSite(Site):
    """A site whose tasks are run by workers.

    Attributes:
        kind: the answer to the question `tasks`.
        redis: the broker, if Celery runs the tasks.
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
            # At a test's end all of a worker's processes get the signal. The worker may then wait for tasks whose process has
            # ended, so the wait must be short.
            self.variables |= {"CELERY_BROKER_URL": redis.url, "CELERY_SHUTDOWN_SECONDS": "3"}

    @contextlib.contextmanager
    def worker(self, name: str = "worker", **variables: str) -> Iterator[Running]:
        """Run a worker until the end of the block."""
        log = self.folder / f"{name}.log"
        with running(["python", "manage.py", "worker"], self.project, self.environment(**variables), log) as process:
            yield process

    def ask_for(self, code: str) -> str:
        """Run Python code in the site, with its tasks as `tasks`; return its output."""
        return self.manage("shell", "--verbosity=0", "--command", f"from apps.pages import tasks\n{code}")

    def done(self) -> Counter[int]:
        """Return how often each task has run so far, by its number."""
        return Counter(int(line) for line in self.trace.read_text().splitlines())

    def wait_for(self, number: int, seconds: float = HANGS) -> Counter[int]:
        """Wait until `number` different tasks have run, for `seconds` at most."""
        deadline = time.monotonic() + seconds
        while len(self.done()) < number and time.monotonic() < deadline:
            time.sleep(0.02)
        return self.done()


def ask_for_a_task(visitor: requests.Session, url: str) -> requests.Response:
    """Start a task as a visitor of the site, and return the answer."""
    page = visitor.get(f"{url}/accounts/login/", timeout=HANGS)
    token = re.findall('name="csrfmiddlewaretoken" value="(.*?)"', page.text)[0]
    fields = {"csrfmiddlewaretoken": token}
    return visitor.post(f"{url}/tasks/answer/", fields, headers={"Referer": f"{url}/"}, timeout=60)


def is_done(visitor: requests.Session, url: str, asked: requests.Response) -> bool:
    """Return True if the task that a visitor started has run."""
    return bool(visitor.get(f"{url}/tasks/answer/?key={asked.json()['key']}", timeout=HANGS).json()["done"])

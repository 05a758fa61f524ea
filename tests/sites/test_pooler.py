"""A site works behind PgBouncer in transaction mode, as docs/operations.md describes it."""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.databases import PostgreSQL, pgbouncer, programs
from tests.support.environments import Environments
from tests.support.redis import Redis
from tests.support.sites import Site
from tests.support.workers import WorkingSite

# Fewer connections than visitors, so that each statement may use another one.
CONNECTIONS = 3
VISITORS = 8
# A page that reads permissions with a server-side cursor.
PAGE = "/admin/auth/group/add/"
# Prints the session key of an account that may see the page.
LOG_IN = """
from django.core.management import call_command
call_command("migrate", verbosity=0)
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, get_user_model
from django.contrib.sessions.backends.db import SessionStore
user, _ = get_user_model().objects.get_or_create(email="pooler@example.com", is_staff=True, is_superuser=True)
backend = "allauth.account.auth_backends.AuthenticationBackend"
session = SessionStore()
session.update({SESSION_KEY: str(user.pk), BACKEND_SESSION_KEY: backend, HASH_SESSION_KEY: user.get_session_auth_hash()})
session.create()
print(session.session_key)
"""
# All three commands in one process, because each process takes a second to start.
COMMANDS = """
from django.core.management import call_command
call_command("migrate", "admin", "0002")
call_command("migrate")
call_command("backup")
call_command("restore", "--force")
"""


@pytest.fixture
def urls(database: PostgreSQL, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The variables that name an empty database, and the pooler in front of it."""
    direct = database.create(tmp_path.name)
    with pgbouncer(database, CONNECTIONS) as port:
        pooler = f"{direct.replace(str(database.port), str(port))}?disable_server_side_cursors=true"
        yield {"DATABASE_URL": pooler, "DATABASE_DIRECT_URL": direct}


@pytest.fixture
def pooled(site: Site, urls: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """The variables of a site whose pages use a pooler."""
    return {**urls, "BACKUP_DIR": str(tmp_path), "PATH": f"{site.bin}:{programs()}:{os.environ['PATH']}"}


def test_pages_and_commands_work_beside_each_other_behind_a_pooler(
    site: Site, pooled: dict[str, str], tmp_path: Path
) -> None:
    session = site.manage("shell", "--verbosity=0", "--command", LOG_IN, **pooled).strip()

    def visit(_: int) -> int:
        return site.get(PAGE, Cookie=f"__Host-sessionid={session}").status_code

    with site.started(tmp_path / "log", **pooled) as server, ThreadPoolExecutor(VISITORS) as visitors:
        assert set(visitors.map(visit, range(VISITORS * 3))) == {200}, server.output()
        commands = visitors.submit(site.manage, "shell", "--verbosity=0", "--command", COMMANDS, **pooled)
        while not commands.done():
            # They wait while a table is locked.
            assert set(visitors.map(visit, range(CONNECTIONS))) == {200}, server.output()
            time.sleep(0.5)
        assert "Restored" in commands.result()
        assert set(visitors.map(visit, range(VISITORS * 3))) == {200}, server.output()


def test_workers_lose_no_task_behind_a_pooler(
    render: Callable[..., Path],
    environments: Environments,
    redis_server: Redis,
    urls: dict[str, str],
    tmp_path: Path,
) -> None:
    """More workers than connections take tasks from the database, and one is killed."""
    project = render(platform="gunicorn", tasks="database")
    site = WorkingSite(project, environments, urls["DATABASE_URL"], "database", redis_server, tmp_path)
    site.variables |= urls
    site.manage("migrate", "--noinput")
    number = 200
    site.ask_for(f"for number in range({number}): tasks.write_down.enqueue(number)")
    with contextlib.ExitStack() as stack:
        workers = [stack.enter_context(site.worker(f"worker {index}")) for index in range(CONNECTIONS + 1)]
        site.wait_for(number // 4)
        workers[0].stop(signal.SIGKILL)
        assert set(site.wait_for(number)) == set(range(number)), workers[1].output()
        output = "".join(worker.output() for worker in workers)
    # Only the task that the killed worker had begun may have run twice.
    assert site.done().total() <= number + 1
    assert '"level": "ERROR"' not in output

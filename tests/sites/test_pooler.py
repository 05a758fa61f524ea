"""A site works behind PgBouncer in transaction mode, as docs/operations.md describes it."""

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.databases import PostgreSQL, pgbouncer, programs
from tests.support.sites import Site

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
def pooled(site: Site, database: PostgreSQL, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The variables of a site whose pages use a pooler, with its own database."""
    direct = database.create("pooled")
    with pgbouncer(database, CONNECTIONS) as port:
        yield {
            "DATABASE_URL": f"{direct.replace(str(database.port), str(port))}?disable_server_side_cursors=true",
            "DATABASE_DIRECT_URL": direct,
            "BACKUP_DIR": str(tmp_path),
            "PATH": f"{site.bin}:{programs()}:{os.environ['PATH']}",
        }


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

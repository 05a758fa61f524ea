"""The four steps in docs/large-tables.md change a large table under traffic; in one step, the same change is refused."""

import copy
import re
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.support.databases import PostgreSQL, programs
from tests.support.environments import Environments, run
from tests.support.faults import route, text
from tests.support.runbooks import blocks, on_this_machine
from tests.support.servers import Running, eventually, running
from tests.support.sites import Site
from tests.support.traffic import Traffic, callers, steady_traffic

Render = Callable[..., Path]

# Enough rows that an update of all takes a second.
FILL = """
INSERT INTO accounts_user (password, is_superuser, first_name, last_name, is_staff, is_active, date_joined, email)
SELECT '!', false, '', '', false, true, now(), 'visitor' || n || '@example.com' FROM generate_series(1, 60000) n
"""
# A page that reads from the table and writes to it.
VISIT = '''"""A page for the test."""

import uuid

from django.http import HttpRequest, HttpResponse

from apps.accounts.models import User


def visit(request: HttpRequest) -> HttpResponse:
    """Make an account, and look for another."""
    User.objects.create_user(f"{uuid.uuid4()}@example.com")
    return HttpResponse(User.objects.get(email="visitor1@example.com").email)
'''
IN_ONE_STEP = """
from django.db import migrations, models
from django.db.models import F


def fill(apps, schema_editor):
    apps.get_model("accounts", "User").objects.update(display_name=F("email"))


class Migration(migrations.Migration):
    dependencies = [("accounts", "0001_initial")]
    operations = [
        migrations.AddField("user", "display_name", models.CharField(max_length=254, null=True)),
        migrations.RunPython(fill),
    ]
"""


class Large:
    """A site with a large table, whose releases are served one after the other on one socket."""

    def __init__(self, site: Site, folder: Path) -> None:
        self.site = site
        self.folder = folder
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listening.getsockname()[1]
        self.serving = ExitStack()

    @contextmanager
    def traffic(self) -> Iterator[Traffic]:
        """Send traffic until the end of the block."""
        with self.listening, self.serving:
            self.start()
            with steady_traffic(*callers(2, "127.0.0.1", "localhost", "/visit/", port=self.port)) as seen:
                assert eventually(lambda: seen.succeeded.total() > 10), seen.failures
                yield seen
                count = seen.succeeded.total()
                assert eventually(lambda: seen.succeeded.total() > count + 10), seen.failures
                # The traffic ends before the server does.

    def start(self) -> None:
        """Start serving this release beside the previous one, then stop the previous one."""
        log = self.folder / f"{self.site.project.name}.log"
        takes_over = f"exec 3<&{self.listening.fileno()}; export LISTEN_PID=$$; exec gunicorn"
        # Each answer closes its connection, so that the previous release has none left when it stops.
        env = self.site.environment(LISTEN_FDS="1", WEB_CONCURRENCY="1", GUNICORN_CMD_ARGS="--keep-alive=0")
        with ExitStack() as stack:
            server: Running = stack.enter_context(
                running(["bash", "-c", takes_over], self.site.project, env, log, pass_fds=[self.listening.fileno()])
            )
            assert eventually(lambda: "Booting worker" in server.output()), server.output()
            self.serving.close()
            self.serving = stack.pop_all()

    def release(self, name: str, files: dict[str, str], *changes: Callable[[Path], object]) -> None:
        """Run a new release's migrations while the previous one serves, then serve the new one."""
        before = self.site.project
        self.site.project = Path(shutil.copytree(before, self.folder / name, ignore=shutil.ignore_patterns("*.pyc")))
        for path, content in files.items():
            (self.site.project / path).write_text(content)
        for change in changes:
            change(self.site.project)
        self.site.manage("migrate", "--noinput")
        self.start()


@pytest.fixture
def large(
    render: Render, environments: Environments, database: PostgreSQL, tmp_path: Path
) -> Iterator[Callable[[str], Large]]:
    """Make a site with a large table of its own: `large(name)`."""
    options = ["--host=127.0.0.1", f"--port={database.port}", "--username=site"]

    def server(program: str, *arguments: str) -> None:
        subprocess.run([programs() / program, *options, *arguments], check=True)

    project = render(platform="gunicorn")
    (project / "apps/pages/visit.py").write_text(VISIT)
    route("^visit/$", "__import__('apps.pages.visit', fromlist=['visit']).visit")(project)
    site = Site(project, environments, database.url.replace("/postgres", "/large"))
    server("createdb", "large")
    made = ["large"]

    def make(name: str) -> Large:
        server("createdb", "--template=large", name)
        made.append(name)
        own = copy.copy(site)
        own.variables = {**site.variables, "DATABASE_URL": database.url.replace("/postgres", f"/{name}")}
        (tmp_path / name).mkdir()
        return Large(own, tmp_path / name)

    try:
        site.prepare()
        server("psql", "--quiet", f"--command={FILL}", "large")
        yield make
    finally:
        for name in made:
            server("dropdb", "--force", name)


LOCK_TIMEOUT = """
from django.db import connection
cursor = connection.cursor()
cursor.execute("SHOW lock_timeout")
print(cursor.fetchone()[0])
"""


def paste(text: str, site: Site) -> None:
    """Run a block of the page in the site's folder."""
    run(["bash", "-euc", text], site.project, env=site.environment())


def of_the_page(project: Path) -> tuple[dict[str, str], str]:
    """Return the migrations in docs/large-tables.md by their paths, and the lines that it adds to the user model."""
    shown = {}
    for block in blocks(project / "docs/large-tables.md"):
        if block.language == "python":
            path, rest = block.text.split("\n", 1)
            shown[path.removeprefix("# ")] = rest + "\n"
    model = shown.pop("apps/accounts/models.py")
    return shown, model.removeprefix("class User(AbstractUser):\n")


@pytest.mark.alone
def test_a_large_table_gets_a_column_and_loses_it_under_traffic(large: Callable[[str], Large]) -> None:
    four = large("four_steps")
    limit_the_wait, remove_the_limit = (
        on_this_machine(block, four.site.project)
        for block in blocks(four.site.project / "docs/large-tables.md")
        if block.heading == "Limit the wait for a lock"
    )
    paste(limit_the_wait, four.site)
    assert four.site.manage("shell", "--verbosity=0", f"--command={LOCK_TIMEOUT}").strip() == "5s"
    migrations, model = of_the_page(four.site.project)
    first, second, *last, leave, drop = migrations
    docstring = '"""A person who can log in, by e-mail address and password."""\n'
    with four.traffic() as seen:
        expanded = text("apps/accounts/models.py", docstring, f"{docstring}\n{model}")
        four.release("expand-and-deploy", {first: migrations[first]}, expanded)
        four.release("fill", {second: migrations[second]})
        required = text("apps/accounts/models.py", ", null=True)  # noqa: DJ001 - until all rows have one", ")")
        four.release("contract", {path: migrations[path] for path in last}, required)
        empty = "from apps.accounts.models import User; print(User.objects.filter(display_name__in=['', None]).count())"
        assert four.site.manage("shell", "--verbosity=0", f"--command={empty}").strip() == "0"
        without = re.sub(r", null=True\).*", ")", model)
        gone = text("apps/accounts/models.py", f"{docstring}\n{without}", docstring)
        four.release("leave", {leave: migrations[leave]}, gone)
        four.release("drop", {drop: migrations[drop]})
        # All migrations are applied, and the lint finds nothing.
        four.site.manage("makemigrations", "--check", "--dry-run")
        four.site.manage("lintmigrations")
    assert not seen.failures

    one = large("one_step")
    path = "apps/accounts/migrations/0002_all.py"
    field = "    display_name = models.CharField(max_length=254, null=True)\n"
    with one.traffic() as stalled:
        one.release("all", {path: IN_ONE_STEP}, text("apps/accounts/models.py", docstring, f"{docstring}\n{field}"))
    with pytest.raises(AssertionError, match=re.escape(f"{path}: fill() runs in one transaction")):
        one.site.manage("lintmigrations")
    paste(remove_the_limit, four.site)
    assert four.site.manage("shell", "--verbosity=0", f"--command={LOCK_TIMEOUT}").strip() == "0"
    assert stalled.slowest > 2 * seen.slowest, f"{stalled.slowest:.1f} s in one step, {seen.slowest:.1f} s in four"

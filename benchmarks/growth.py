"""Measure a site beside others, and what changes as it grows: `make benchmark`, which writes docs/benchmarks.md.

- Sites: see benchmarks/sites.py.
- Workers: requests a second to the home page with 1, 2 and 4 workers of gunicorn.
- Accounts: with 1,000 and with 1,000,000 of them, the time of a sign-up, a login and the admin's list, and of the commands that
  run at night and before a deploy.
- Tasks: how many a worker runs in a second, and how long the first one after a rest waits.
- Apps: with none and with 100 of the project's own, the time of a start, and a worker's memory.

PostgreSQL on the same machine, whose buffers are those of the tests: 16 MB.
"""

import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks import page
from benchmarks.sites import Comparison, Served, asked, compare, made, megabytes, require_wrk
from tests.support.databases import PostgreSQL, postgresql, programs
from tests.support.environments import Environments
from tests.support.redis import redis
from tests.support.rendering import render, template_copy
from tests.support.sites import Site
from tests.support.visitors import Visitor
from tests.support.workers import WorkingSite

APPS = 100
TASKS = 1000
# Accounts as sign-up makes them, each with a confirmed address, and a session for one of ten.
FILL = """
SET session_replication_role = replica;  -- does not look up each account of an address again
INSERT INTO accounts_user (password, is_superuser, first_name, last_name, is_staff, is_active, date_joined, email)
SELECT '!', false, '', '', false, true, now(), 'user' || n || '@example.com' FROM generate_series({first}, {last}) n;
INSERT INTO account_emailaddress (email, verified, "primary", user_id)
SELECT email, true, true, id FROM accounts_user WHERE email LIKE 'user%' ON CONFLICT DO NOTHING;
INSERT INTO django_session (session_key, session_data, expire_date)
SELECT md5(n::text), 'e30:1:1', now() + (n % 3 - 1) * interval '1 day' FROM generate_series({first}, {last}, 10) n;
ANALYZE;
"""


def took(action: Callable[..., object], *arguments: object, **named: object) -> float:
    """Return the seconds that a call took."""
    began = time.perf_counter()
    action(*arguments, **named)
    return time.perf_counter() - began


def workers(comparison: Comparison) -> str:
    """Return the table of workers."""
    rows = []
    command, paths = comparison.served["project"].command, comparison.served["project"].paths
    for count in (1, 2, 4):
        comparison.served["counted"] = Served(command, paths, {"WEB_CONCURRENCY": str(count)})
        with comparison.started("counted") as (server, url):
            answers = [asked(url + paths["home"]) for _ in range(3)]
            rows.append([str(count), page.spread([each.rate for each in answers]), f"{megabytes(server):.0f}"])
    return page.table(["workers", "home, requests a second", "MB each"], rows)


def open_list(admin: Visitor) -> None:
    """Open the admin's list of accounts.

    Raises:
        ValueError: it was not shown.
    """
    answer = admin.ask("GET", "/admin/accounts/user/")
    if answer.status != 200:
        raise ValueError(f"the admin's list is answered {answer.status}")


class Accounts:
    """A site with many accounts."""

    def __init__(self, site: Site, database: PostgreSQL, folder: Path) -> None:
        self.site = site
        self.database = database
        self.folder = folder
        self.password = secrets.token_hex(8)
        site.variables |= {"BACKUP_DIR": str(made(folder / "backups")), "PATH": ""}
        site.variables["PATH"] = f"{site.bin}:{programs()}:{site.environment()['PATH']}"
        site.manage(
            "createsuperuser", "--noinput", "--email=admin@example.com", DJANGO_SUPERUSER_PASSWORD=self.password
        )

    def fill(self, first: int, last: int) -> None:
        """Add accounts with these numbers."""
        name = self.site.variables["DATABASE_URL"].rpartition("/")[2]
        whole = PostgreSQL(self.database.folder, self.database.port)
        whole.url = whole.url.removesuffix("postgres") + name
        whole.ask(FILL.format(first=first, last=last))

    def pages(self) -> list[float]:
        """Return the seconds of a sign-up, of a login and of the admin's list: the median of five each."""
        seen: dict[str, list[float]] = {"sign-up": [], "login": [], "list": []}
        with self.site.started(self.folder / "log"):
            for number in range(5):
                visitor = Visitor(self.site.port)
                email = f"new{time.time_ns()}{number}@example.com"
                sent = {"email": email, "password1": self.password, "password2": self.password}
                visitor.ask("GET", "/accounts/signup/")
                seen["sign-up"].append(took(visitor.post, "/accounts/signup/", **sent))
                admin = Visitor(self.site.port)
                seen["login"].append(took(admin.log_in, "admin@example.com", self.password))
                seen["list"].append(took(open_list, admin))
        return [statistics.median(values) for values in seen.values()]

    def commands(self) -> list[float]:
        """Return the seconds of clean-up, backup and restore."""
        cleanup, backup = took(self.site.manage, "cleanup"), took(self.site.manage, "backup")
        newest = max((self.folder / "backups").iterdir())
        return [cleanup, backup, took(self.site.manage, "restore", str(newest), "--force")]


def accounts(site: Site, database: PostgreSQL, folder: Path) -> str:
    """Return the table of accounts."""
    growing = Accounts(site, database, folder)
    rows, last = [], 0
    for count in (1_000, 1_000_000):
        growing.fill(last + 1, count)
        last = count
        seconds = [*growing.pages(), *growing.commands()]
        rows.append([f"{count:,}", *(f"{each:.2f}" for each in seconds)])
    heads = ["accounts", "sign-up", "login", "admin's list", "`cleanup`", "`backup`", "`restore`"]
    return page.table(heads, rows)


def tasks(template: Path, environments: Environments, database: PostgreSQL, scratch: Path) -> str:
    """Return the table of tasks."""
    rows = []
    with redis() as broker:
        for kind in ("database", "celery"):
            folder = made(scratch / kind)
            project = render(template, folder / "project", platform="gunicorn", tasks=kind)
            site = WorkingSite(project, environments, database.create(kind), kind, broker, folder)
            site.manage("migrate", "--noinput")
            site.ask_for(f"for number in range({TASKS}): tasks.write_down.enqueue(number)")
            with site.worker():
                site.wait_for(1)
                many = took(site.wait_for, TASKS)
                time.sleep(3)
                # Written by the process that asks, since it takes a second to start.
                asked_at = float(
                    site.ask_for("import time; print(time.time()); tasks.write_down.enqueue(-1)").split()[0]
                )
                site.wait_for(TASKS + 1)
                delay = site.trace.stat().st_mtime - asked_at
            rows.append([kind, f"{TASKS / many:,.0f}", f"{delay * 1000:,.0f}"])
    return page.table(["tasks", "a second, one worker", "ms until the first after a rest is done"], rows)


def apps(comparison: Comparison) -> str:
    """Return the table of apps, and leave the project with them."""
    site, project = comparison.site, comparison.site.project
    rows = []
    for count in (0, APPS):
        if count:
            site.manage("newapp", "app1", DJANGO_SETTINGS_MODULE="config.settings.development")
            for number in range(2, count + 1):
                add_alike(project, number)
        seconds = []
        for _ in range(3):
            seconds.append(took(site.manage, "check"))
            with comparison.started("project") as (server, url):
                answer = asked(url + "/")
                memory = megabytes(server)
        starts = comparison.starts["project"][-3:]
        rows.append(
            [str(count), page.spread(seconds, 2), page.spread(starts, 2), f"{memory:.0f}", f"{answer.rate:,.0f}"]
        )
    return page.table(
        ["own apps", "`manage.py check`, s", "gunicorn's first answer, s", "MB a worker", "home, requests a second"],
        rows,
    )


def add_alike(project: Path, number: int) -> None:
    """Add an app that is like the first: its files, its place in the settings, and its URLs."""
    for path in [*project.glob("apps/app1/**/*.py"), *project.glob("templates/app1/*")]:
        copy = Path(str(path).replace("app1", f"app{number}"))
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(path.read_text().replace("app1", f"app{number}").replace("App1", f"App{number}"))
    for name, line in (("settings/base.py", '"apps.app1",'), ("urls.py", 'include("apps.app1.urls")')):
        file = project / "config" / name
        lines = file.read_text().splitlines(keepends=True)
        at = next(index for index, each in enumerate(lines) if line in each)
        lines.insert(at + 1, lines[at].replace("app1", f"app{number}"))
        file.write_text("".join(lines))


def main() -> None:
    """Measure, print, and write the page."""
    require_wrk()
    with tempfile.TemporaryDirectory(prefix="copier-django-benchmark-") as made_folder, postgresql() as database:
        scratch = Path(made_folder)
        scratch.chmod(0o755)
        comparison = Comparison(scratch, database)
        compare(comparison)
        template = template_copy(scratch / "template-of-tasks")
        parts: dict[str, Callable[[], str]] = {
            "workers": lambda: workers(comparison),
            "tasks": lambda: tasks(template, Environments(scratch / "environments"), database, scratch),
            "accounts": lambda: accounts(comparison.site, database, scratch),
            "apps": lambda: apps(comparison),
        }
        for name, measure in parts.items():
            figures = measure()
            sys.stdout.write(f"{figures}\n")
            page.write(name, figures)


if __name__ == "__main__":
    main()

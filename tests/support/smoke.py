"""Run a rendered project's smoke suite, and read the table that it prints."""

import contextlib
import re
import sqlite3
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support.servers import PATIENCE
from tests.support.sites import Site

# The rows of the table, in order.
REDIRECT = "http leads to https"
HEALTH = "the process is healthy"
READY = "what the site needs is ready"
HOME = "the home page is shown"
PAGES = "further pages are shown"
CACHING = "static files are hashed and kept for a year"
COMPRESSION = "static files are compressed"
HSTS = "browsers are told to stay with https"
CSP = "the content security policy is strict"
HEADERS = "security headers are set"
REQUEST_ID = "request ids are kept or replaced"
TASK = "a task is done"
ACCOUNT = "one can sign up log out log in and delete the account"
COOKIES = "cookies are secure"
CSRF = "a form without its token is refused"
ADMIN = "the admin leads to the login"
NOT_FOUND = "an unknown address gets the 404 page"
NO_DEBUG = "no page is one for developers"
STATIC = "static files of all these pages are there"
# Only with the extra `api`; the first row.
API = "errors of the api are json"
CHECKS = [
    REDIRECT,
    HEALTH,
    READY,
    HOME,
    PAGES,
    CACHING,
    COMPRESSION,
    HSTS,
    CSP,
    HEADERS,
    REQUEST_ID,
    ACCOUNT,
    TASK,
    COOKIES,
    CSRF,
    ADMIN,
    NOT_FOUND,
    NO_DEBUG,
    STATIC,
]

# Runs the suite's own TLS proxy until its standard input is closed.
STAND_IN = """
import sys
from pathlib import Path
from smoke.server import stand_in

with stand_in(int(sys.argv[1]), Path(sys.argv[2])) as address:
    print(address, flush=True)
    sys.stdin.read()
"""


@dataclass
class Outcome:
    """The result of a run of the suite.

    Attributes:
        code: its exit code.
        rows: each check's result, PASS, FAIL or SKIP, in the table's order.
        remarks: each check's remark.
        output: all output.
    """

    code: int
    rows: dict[str, str]
    remarks: dict[str, str]
    output: str

    def having(self, word: str) -> set[str]:
        """Return the checks with this result."""
        return {name for name, its in self.rows.items() if its == word}


def smoke(project: Path, env: Mapping[str, str], *options: str) -> Outcome:
    """Run the suite with the environment variables `env`."""
    done = subprocess.run(
        ["pytest", "smoke", "-p", "no:cacheprovider", *options],
        cwd=project,
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    rows = re.findall(r"^(PASS|FAIL|SKIP)  (.+?)(?:  +(.*))?$", done.stdout, re.MULTILINE)
    return Outcome(
        done.returncode,
        {name: word for word, name, _ in rows},
        {name: remark for _, name, remark in rows},
        done.stdout,
    )


@contextlib.contextmanager
def behind_tls(site: Site, ca_file: Path) -> Iterator[list[str]]:
    """Put the suite's TLS proxy in front of a site; yield the options with which the suite checks it like a live site."""
    process = subprocess.Popen(
        [site.bin / "python", "-c", STAND_IN, str(site.port), str(ca_file)],
        cwd=site.project,
        env=site.environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        address = process.stdout.readline().strip()
        yield [f"--base-url=https://{address}", f"--http-url=http://{address}", f"--ca-file={ca_file}"]
    finally:
        process.stdin.close()
        process.wait(PATIENCE)
        process.stdout.close()


def checked(site: Site, folder: Path, **variables: str) -> Outcome:
    """Serve the site with `variables`, and return the suite's result for it as a live site."""
    with site.started(folder / "log", **variables), behind_tls(site, folder / "ca.pem") as options:
        return smoke(site.project, site.environment(), *options)


def accounts(site: Site) -> list[str]:
    """Return the email addresses of all accounts in the site's database."""
    with contextlib.closing(sqlite3.connect(site.project / "smoke.sqlite3")) as connection:
        return [email for (email,) in connection.execute("SELECT email FROM accounts_user")]

"""Define the fixtures of the checks, their options, and the table at the end."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import TextIO
from urllib.parse import urlsplit

import pytest

from smoke.known import TableError, known
from smoke.server import NotStartedError, Site, served

PROJECT = Path(__file__).resolve().parents[1]

# Why the site was not started.
NOT_STARTED = pytest.StashKey[str]()
# How pytest's outcomes read in the table.
WORDS = {"passed": "PASS", "skipped": "SKIP", "failed": "FAIL", "error": "FAIL"}
COLORS = {"PASS": "green", "SKIP": "yellow", "FAIL": "red"}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options that describe the site to check."""
    group = parser.getgroup("smoke")
    group.addoption("--ca-file", metavar="file", help="certificates to trust, for a site with a self-signed one")
    group.addoption("--broker-url", metavar="url", help="the broker for its tasks, when the site is started here")
    group.addoption("--http-url", metavar="url", help="where the site answers plain http, if not on port 80")


def pytest_configure(config: pytest.Config) -> None:
    """Shorten pytest's own report, because the table says it better; keep what the command line asks for.

    Raises:
        UsageError: `[tool.smoke.site]` in pyproject.toml has an unknown key or a wrong value.
    """
    try:
        known(PROJECT)
    except TableError as error:
        raise pytest.UsageError(str(error)) from None
    if config.option.tbstyle == "auto":
        config.option.tbstyle = "short"
    if config.option.reportchars == "fE":
        config.option.reportchars = "N"


@pytest.fixture(scope="session")
def site(base_url: str | None, pytestconfig: pytest.Config) -> Iterator[Site]:
    """Return the live site at --base-url; without that option, start this project and return it."""
    if base_url:
        yield live_site(base_url, pytestconfig.getoption("--http-url"), pytestconfig.getoption("--ca-file"))
        return
    if any(argument.startswith("--base-url") for argument in pytestconfig.invocation_params.args):
        # A script's variable for the URL was not set. Do not check this machine's site instead.
        pytest.exit("--base-url is empty", returncode=4)
    with ExitStack() as until_the_end:
        try:
            site = until_the_end.enter_context(served(PROJECT, pytestconfig.getoption("--broker-url")))
        except NotStartedError as error:
            # Stop here, or every check would fail for this one reason.
            pytestconfig.stash[NOT_STARTED] = str(error)
            pytest.exit("the site could not be started", returncode=1)
        yield site


def live_site(base_url: str, http_url: str | None, ca_file: str | None) -> Site:
    """Return a live site by its URL."""
    address = urlsplit(base_url)
    if address.scheme not in ("http", "https") or not address.netloc or address.path.strip("/"):
        pytest.exit(f"--base-url is {base_url}, not a URL like https://www.example.com", returncode=4)
    host = address.netloc.lower().removesuffix(":443" if address.scheme == "https" else ":80")
    if not http_url and ":" not in host:
        http_url = f"http://{host}"
    return Site(
        f"{address.scheme}://{host}",
        http_url.rstrip("/") if http_url else None,
        no_http="where the site answers plain http is not known: set --http-url",
        ca_file=ca_file,
        known=known(PROJECT),
    )


@pytest.fixture(scope="session")
def server_log(site: Site) -> Iterator[TextIO | None]:
    """Return the server's log if the site was started here."""
    with site.log.open(errors="replace") if site.log else nullcontext() as log:
        yield log


@pytest.fixture(autouse=True)
def what_the_server_said(server_log: TextIO | None) -> Iterator[None]:
    """Show what the server wrote together with a check that fails."""
    yield
    if server_log:
        sys.stdout.write(server_log.read())


@pytest.fixture
def note(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Return a function that writes a remark into the check's row of the table."""
    return lambda text: record_property("note", text)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Write the table: one row per check, in the order of the checks. On GitHub it is also in the job's summary."""
    if NOT_STARTED in config.stash:
        terminalreporter.write_sep("=", "not started")
        terminalreporter.write_line(config.stash[NOT_STARTED])
        return
    rows: dict[tuple[str, int], tuple[str, str, str]] = {}
    for outcome, word in WORDS.items():
        for report in terminalreporter.stats.get(outcome, []):
            file, line, name = report.location
            rows[file, line or 0] = word, name.removeprefix("test_").replace("_", " "), remark(report)
    width = max((len(name) for _, name, _ in rows.values()), default=0)
    title = config.getoption("base_url") or "the site as served on this machine"
    terminalreporter.write_sep("=", title)
    table = [(word, f"  {name:<{width}}  {text}".rstrip()) for _, (word, name, text) in sorted(rows.items())]
    for word, rest in table:
        terminalreporter.write(word, **{COLORS[word]: True})
        terminalreporter.write(rest + "\n")
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        lines = "".join(f"{word}{rest}\n" for word, rest in table)
        with Path(summary).open("a", encoding="utf-8") as file:
            file.write(f"Smoke suite: {title}\n\n```text\n{lines}```\n\n")


def remark(report: pytest.TestReport) -> str:
    """Return why a check failed or was skipped, or what a passed check noted."""
    if report.passed:
        return "; ".join(str(text) for name, text in report.user_properties if name == "note")
    if isinstance(report.longrepr, tuple):
        return report.longrepr[2].removeprefix("Skipped: ")
    crash = getattr(report.longrepr, "reprcrash", None)
    lines = (crash.message if crash else report.longreprtext).splitlines()
    return lines[0].removeprefix("AssertionError: ") if lines else ""

"""What the checks can ask for, and the table that they end with."""

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

# Why there is no site to check.
NOT_STARTED = pytest.StashKey[str]()
# How pytest's outcomes read in the table.
WORDS = {"passed": "PASS", "skipped": "SKIP", "failed": "FAIL", "error": "FAIL"}
COLORS = {"PASS": "green", "SKIP": "yellow", "FAIL": "red"}


def pytest_addoption(parser: pytest.Parser) -> None:
    """What is to be known of a live site beside its address."""
    group = parser.getgroup("smoke")
    group.addoption("--ca-file", metavar="file", help="certificates to trust, for a site whose own is self-signed")
    group.addoption("--broker-url", metavar="url", help="for a site served here, what its tasks go through")
    group.addoption("--http-url", metavar="url", help="where the site answers plain http, if not at port 80")


def pytest_configure(config: pytest.Config) -> None:
    """Leave to the table what it says better, unless pytest was told how to say it.

    Raises:
        UsageError: what pyproject.toml says of the site cannot be meant.
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
    """The live site at --base-url, or this project's own served here."""
    if base_url:
        yield live_site(base_url, pytestconfig.getoption("--http-url"), pytestconfig.getoption("--ca-file"))
        return
    if any(argument.startswith("--base-url") for argument in pytestconfig.invocation_params.args):
        # A variable that is not set, and not a wish to check what this machine serves.
        pytest.exit("--base-url is empty", returncode=4)
    with ExitStack() as until_the_end:
        try:
            site = until_the_end.enter_context(served(PROJECT, pytestconfig.getoption("--broker-url")))
        except NotStartedError as error:
            # Every check would fail for this one reason.
            pytestconfig.stash[NOT_STARTED] = str(error)
            pytest.exit("the site could not be started", returncode=1)
        yield site


def live_site(base_url: str, http_url: str | None, ca_file: str | None) -> Site:
    """What is known of a site from its address."""
    address = urlsplit(base_url)
    if address.scheme not in ("http", "https") or not address.netloc or address.path.strip("/"):
        pytest.exit(f"--base-url is {base_url}, and not like https://www.example.com", returncode=4)
    host = address.netloc.lower().removesuffix(":443" if address.scheme == "https" else ":80")
    if not http_url and ":" not in host:
        http_url = f"http://{host}"
    return Site(
        f"{address.scheme}://{host}",
        http_url.rstrip("/") if http_url else None,
        no_http="where the site answers plain http is not known; say it by --http-url",
        ca_file=ca_file,
        known=known(PROJECT),
    )


@pytest.fixture(scope="session")
def server_log(site: Site) -> Iterator[TextIO | None]:
    """What the server writes, where it is served here."""
    with site.log.open(errors="replace") if site.log else nullcontext() as log:
        yield log


@pytest.fixture(autouse=True)
def what_the_server_said(server_log: TextIO | None) -> Iterator[None]:
    """Let pytest show it with a check that fails."""
    yield
    if server_log:
        sys.stdout.write(server_log.read())


@pytest.fixture
def note(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Write something into the check's row of the table."""
    return lambda text: record_property("note", text)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Write the table: a row a check, in the order of the checks."""
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
    terminalreporter.write_sep("=", config.getoption("base_url") or "the site as served on this machine")
    for _, (word, name, text) in sorted(rows.items()):
        terminalreporter.write(word, **{COLORS[word]: True})
        terminalreporter.write(f"  {name:<{width}}  {text}".rstrip() + "\n")


def remark(report: pytest.TestReport) -> str:
    """Why a check failed or was skipped, else what it noted."""
    if report.passed:
        return "; ".join(str(text) for name, text in report.user_properties if name == "note")
    if isinstance(report.longrepr, tuple):
        return report.longrepr[2].removeprefix("Skipped: ")
    crash = getattr(report.longrepr, "reprcrash", None)
    lines = (crash.message if crash else report.longreprtext).splitlines()
    return lines[0].removeprefix("AssertionError: ") if lines else ""

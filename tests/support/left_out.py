"""Report which tests were left out, skipped or expected to fail: one table at the end of a run."""

import os
from collections import Counter
from collections.abc import Generator
from typing import Any

import pytest

from tests.nightly import is_nightly

ADD_WHAT_IS_MISSING = "To add what is missing: sudo scripts/install-machine"
# The report's property with the reason why a skipped test failed in CI.
PROPERTY = "left out because"
# The key under which each worker process reports the numbers of deselected tests.
COUNTS = "left out"
# The variable that is set if the tests in tests/nightly.py are left out.
EACH_CHANGE = "TEST_EACH_CHANGE"
NOT_ASKED_FOR = ("not asked for", "-m, -k or --deselect")
EACH_NIGHT = ("run each night", "tests/nightly.py says why; to run them: make test ALL=1")


class LeftOut:
    """A pytest plugin that leaves out nightly tests, reports skipped tests, and fails them in CI."""

    def __init__(self) -> None:
        self.deselected: Counter[tuple[str, str]] = Counter()

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Leave out the tests that run each night only, if only those of each change are asked for."""
        if os.environ.get(EACH_CHANGE):
            kept = [item for item in items if not is_nightly(item.nodeid)]
            if nightly := len(items) - len(kept):
                self.deselected[EACH_NIGHT] += nightly
            items[:] = kept

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Fail a skipped test if CI is set."""
        report = yield
        if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("CI"):
            reason = reason_of(report)
            report.outcome = "failed"
            report.longrepr = f"{item.nodeid} cannot run here, and CI is set: {reason}"
            report.user_properties = [*report.user_properties, (PROPERTY, reason)]
        return report

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        """Count the deselected tests."""
        self.deselected[NOT_ASKED_FOR] += len(items)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Report a worker process's counts."""
        if hasattr(session.config, "workeroutput"):
            session.config.workeroutput[COUNTS] = [[*row, number] for row, number in self.deselected.items()]

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take over a worker process's counts; each worker selects among all tests, so the counts are the same."""
        for how, why, number in getattr(node, "workeroutput", {}).get(COUNTS, []):
            self.deselected[how, why] = number

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print one line for each reason, or a line that says that there is none."""
        stats = terminalreporter.stats
        rows = Counter(("skipped", reason_of(report)) for report in stats.get("skipped", []))
        rows += Counter(
            ("failed, since CI is set", str(reason))
            for report in stats.get("failed", [])
            for name, reason in getattr(report, "user_properties", [])
            if name == PROPERTY
        )
        for outcome, words in (("xfailed", "expected to fail"), ("xpassed", "expected to fail, and did not")):
            rows += Counter((words, report.wasxfail) for report in stats.get(outcome, []))
        rows += self.deselected
        terminalreporter.section("left out")
        for (how, why), number in sorted(rows.items()):
            terminalreporter.write_line(f"{number:6}  {how:31}  {why}")
        if not rows:
            terminalreporter.write_line("nothing: every test ran, and none was expected to fail")
        if skipped := stats.get("skipped"):
            why = "; ".join(sorted({reason_of(report) for report in skipped}))
            terminalreporter.write_line(f"left out {len(skipped)}: {why}. {ADD_WHAT_IS_MISSING}", yellow=True)


def reason_of(report: pytest.TestReport) -> str:
    """Return why a test was skipped."""
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return text.removeprefix("Skipped: ")

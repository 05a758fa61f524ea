"""Measure how long tests take and how much processor time they use, and print it at the end of a run."""

import collections
import json
import os
import time
from collections.abc import Callable, Generator, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

# How many of the slowest tests a run lists.
LISTED = 20
# The file that a run adds its figures to, where this variable names one.
FILE_VARIABLE = "TEST_TIMES"
PROPERTY = "processor seconds"


@dataclass
class Times:
    """Hold what one test, or several, took: seconds including set-up and teardown, and seconds of processor time.

    The work of the Docker engine counts in the first and not in the second.
    """

    seconds: float = 0
    processor: float = 0


def processor_seconds() -> float:
    """Return the processor time of this process and its ended children, in seconds."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def busy_seconds() -> float:
    """Return the seconds that all processors have been busy since the machine started; 0 where Linux does not say."""
    try:
        line = Path("/proc/stat").read_text().split("\n", 1)[0]
    except OSError:
        return 0
    user, nice, system, _idle, _waiting, *rest = (int(ticks) for ticks in line.split()[1:9])
    return (user + nice + system + sum(rest)) / os.sysconf("SC_CLK_TCK")


def grouped(times: dict[str, Times], group: Callable[[str], str]) -> dict[str, Times]:
    """Return the sums of groups of tests, the longest first.

    Args:
        times: what each test took, by its name.
        group: gives the group of a test by its name.
    """
    sums: dict[str, Times] = collections.defaultdict(Times)
    for test, taken in times.items():
        sums[group(test)].seconds += taken.seconds
        sums[group(test)].processor += taken.processor
    return dict(sorted(sums.items(), key=lambda item: -item[1].seconds))


def table(title: str, times: Iterable[tuple[str, Times]]) -> str:
    """Lines with seconds, seconds of processors, and what took them."""
    lines = [f"{taken.seconds:8.1f} {taken.processor:10.1f}  {name}" for name, taken in times]
    return "\n".join([f"{'seconds':>8} {'processor':>10}  {title}", *lines])


class Clock:
    """A plugin for pytest that keeps each test's times."""

    def __init__(self) -> None:
        self.times: dict[str, Times] = collections.defaultdict(Times)
        self.begun = 0.0
        self.started, self.busy = time.monotonic(), busy_seconds()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self) -> Generator[None, object, object]:
        """Note where a test begins, in the process that runs it."""
        self.begun = processor_seconds()
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Give a report what processors did for its phase, to take along to the process that prints."""
        report = yield
        now = processor_seconds()
        # A list of its own: pytest hands the same one to all phases of a test.
        report.user_properties = [*report.user_properties, (PROPERTY, now - self.begun)]
        self.begun = now
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add up a test's phases."""
        taken = self.times[report.nodeid]
        taken.seconds += report.duration
        taken.processor += sum(float(str(value)) for name, value in report.user_properties if name == PROPERTY)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
        """Tell which tests took longest, and add all figures to the file that is asked for."""
        if hasattr(config, "workerinput") or len(self.times) <= LISTED:
            return
        seconds = time.monotonic() - self.started
        busy = (busy_seconds() - self.busy) / ((os.cpu_count() or 1) * seconds)
        slowest = grouped(self.times, str)
        terminalreporter.section("where the time went")
        terminalreporter.write_line(table(f"the {LISTED} slowest of {len(slowest)}", list(slowest.items())[:LISTED]))
        terminalreporter.write_line(table("level", grouped(self.times, level).items()))
        terminalreporter.write_line(f"{seconds:.0f} s, in which the processors were busy for {busy:.0%}")
        if file := os.environ.get(FILE_VARIABLE):
            figures = {
                "seconds": seconds,
                "busy": busy,
                "processors": os.cpu_count(),
                "tests": {name: asdict(taken) for name, taken in slowest.items()},
            }
            with Path(file).open("a") as lines:
                lines.write(json.dumps(figures) + "\n")


def level(test: str) -> str:
    """Return the folder under `tests/` that has a test, or its file where it is elsewhere."""
    folders = module(test).split("/")
    return folders[min(1, len(folders) - 1)]


def module(test: str) -> str:
    """Return the file that has a test."""
    return test.split("::")[0]

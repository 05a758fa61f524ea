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
# The variable that names a file to which a run appends its figures.
FILE_VARIABLE = "TEST_TIMES"
PROPERTY = "processor seconds"


@dataclass
class Times:
    """The time that tests took: seconds with set-up and teardown, and seconds of processor time.

    The Docker engine's work counts in the first only.
    """

    seconds: float = 0
    processor: float = 0


def processor_seconds() -> float:
    """Return the processor time of this process and its ended children, in seconds."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def busy_seconds() -> float:
    """Return the seconds that all processors have been busy since the machine booted; 0 on systems other than Linux."""
    try:
        line = Path("/proc/stat").read_text().split("\n", 1)[0]
    except OSError:
        return 0
    user, nice, system, _idle, _waiting, *rest = (int(ticks) for ticks in line.split()[1:9])
    return (user + nice + system + sum(rest)) / os.sysconf("SC_CLK_TCK")


def grouped(times: dict[str, Times], group: Callable[[str], str]) -> dict[str, Times]:
    """Return the sum of the times of each group of tests, the longest first.

    Args:
        times: each test's times, by its name.
        group: returns the group of a test's name.
    """
    sums: dict[str, Times] = collections.defaultdict(Times)
    for test, taken in times.items():
        sums[group(test)].seconds += taken.seconds
        sums[group(test)].processor += taken.processor
    return dict(sorted(sums.items(), key=lambda item: -item[1].seconds))


def table(title: str, times: Iterable[tuple[str, Times]]) -> str:
    """Return lines with seconds, processor seconds, and the name of what took them."""
    lines = [f"{taken.seconds:8.1f} {taken.processor:10.1f}  {name}" for name, taken in times]
    return "\n".join([f"{'seconds':>8} {'processor':>10}  {title}", *lines])


class Clock:
    """A pytest plugin that measures each test's times."""

    def __init__(self) -> None:
        self.times: dict[str, Times] = collections.defaultdict(Times)
        self.begun = 0.0
        self.started, self.busy = time.monotonic(), busy_seconds()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self) -> Generator[None, object, object]:
        """Record a test's start, in the process that runs it."""
        self.begun = processor_seconds()
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Add the processor time of a phase to its report, which xdist sends to the process that prints."""
        report = yield
        now = processor_seconds()
        # A new list, because pytest gives all phases of a test the same one.
        report.user_properties = [*report.user_properties, (PROPERTY, now - self.begun)]
        self.begun = now
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add up a test's phases."""
        taken = self.times[report.nodeid]
        taken.seconds += report.duration
        taken.processor += sum(float(str(value)) for name, value in report.user_properties if name == PROPERTY)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
        """Print the slowest tests, and append all figures to the file that the variable names."""
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
    """Return a test's folder under `tests/`, or its file if it is elsewhere."""
    folders = module(test).split("/")
    return folders[min(1, len(folders) - 1)]


def module(test: str) -> str:
    """Return a test's file."""
    return test.split("::")[0]

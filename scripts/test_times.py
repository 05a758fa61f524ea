"""Write docs/test-times.md: where the time of the last complete test run went.

    python -m scripts.test_times FILE

FILE is the file that TEST_TIMES named in that run, with one line for each run: tests/support/times.py.
"""

import json
import os
import sys
from pathlib import Path

from tests.support.times import Times, grouped, level, module

PAGE = Path(__file__).resolve().parents[1] / "docs/test-times.md"
# The number of slowest tests on the page.
LISTED = 40
INTRODUCTION = """# Where the time of the tests goes

`make times` runs the tests of each change and writes this page; `make times ALL=1` adds those of each night. Processor time is that of a test's own process and of the programs it
started; what the Docker engine does for it is in its seconds alone. Several tests run at the same time.
"""


def table(title: str, times: dict[str, Times]) -> str:
    """Return the times as a Markdown table, in their order."""
    rows = [
        f"| {name.replace('|', '/')} | {taken.seconds:.0f} | {taken.processor:.0f} |" for name, taken in times.items()
    ]
    return "\n".join([f"| {title} | seconds | of processors |", "| --- | ---: | ---: |", *rows])


def page(line: str) -> str:
    """Return the page for one run, given its line of JSON."""
    run = json.loads(line)
    tests = {name: Times(**taken) for name, taken in run["tests"].items()}
    slowest = dict(list(grouped(tests, lambda name: name.removeprefix("tests/")).items())[:LISTED])
    minutes, seconds = divmod(round(run["seconds"]), 60)
    took = f"{len(tests):,} tests took {minutes} min {seconds} s on {run['processors']} processors, which were busy for {run['busy']:.0%} of it."
    parts = [
        INTRODUCTION + "\n" + took,
        table("level", grouped(tests, level)),
        table("file", grouped(tests, lambda name: module(name).removeprefix("tests/"))),
        table(f"the {LISTED} slowest tests", slowest),
    ]
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Write the page from the line of the last run."""
    PAGE.write_text(page(Path(sys.argv[1]).read_text().splitlines()[-1]))
    sys.stdout.write(f"{os.path.relpath(PAGE)} is written\n")


if __name__ == "__main__":
    main()

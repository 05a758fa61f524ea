"""Write down where the time of the last whole run of the tests went: docs/test-times.md.

    python -m scripts.test_times FILE

FILE is what TEST_TIMES named in that run, with a line a run: tests/support/times.py.
"""

import json
import os
import sys
from pathlib import Path

from tests.support.times import Times, grouped, level, module

PAGE = Path(__file__).resolve().parents[1] / "docs/test-times.md"
# How many of the slowest tests the page has.
LISTED = 40
INTRODUCTION = """# Where the time of the tests goes

`make times` runs all tests and writes this page. Processor time is that of a test's own process and of the programs it
started; what the Docker engine does for it is in its seconds alone. Several tests run at the same time.
"""


def table(title: str, times: dict[str, Times]) -> str:
    """Return a Markdown table in the order of `times`."""
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
    """Write the page from the last run's line."""
    PAGE.write_text(page(Path(sys.argv[1]).read_text().splitlines()[-1]))
    sys.stdout.write(f"{os.path.relpath(PAGE)} is written\n")


if __name__ == "__main__":
    main()

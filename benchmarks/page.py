"""Write the figures of benchmarks into docs/benchmarks.md, each between two comments, with the day."""

import re
import statistics
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

PAGE = Path(__file__).resolve().parents[1] / "docs/benchmarks.md"


class Measured(Protocol):
    """What was measured of a page: requests a second, and milliseconds."""

    @property
    def rate(self) -> float:
        """Requests a second."""

    @property
    def p50(self) -> float:
        """Milliseconds that half of the requests took at most."""

    @property
    def p99(self) -> float:
        """Milliseconds that 99 of 100 requests took at most."""


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown; all columns but the first are aligned to the right."""
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def spread(values: Sequence[float], digits: int = 0) -> str:
    """Return the median, and in brackets the least and the most."""
    least, middle, most = (f"{value:,.{digits}f}" for value in (min(values), statistics.median(values), max(values)))
    return f"{middle} ({least} to {most})"


def sites(
    answers: Mapping[tuple[str, str], Sequence[Measured]],
    memory: Mapping[str, Sequence[float]],
    starts: Mapping[str, Sequence[float]],
) -> str:
    """Return the tables of a comparison: requests a second, milliseconds, and memory and start of each site."""
    names = list(dict.fromkeys(name for name, _ in answers))
    pages = list(dict.fromkeys(about for _, about in answers))
    rates = [
        [
            name,
            *(
                spread([each.rate for each in answers[name, about]]) if (name, about) in answers else ""
                for about in pages
            ),
        ]
        for name in names
    ]
    times = [
        [
            name,
            *(
                " / ".join(
                    f"{statistics.median(getattr(each, p) for each in answers[name, about]):.1f}"
                    for p in ("p50", "p99")
                )
                if (name, about) in answers
                else ""
                for about in pages
            ),
        ]
        for name in names
    ]
    rest = [[name, spread(memory[name]), spread(starts[name], 2)] for name in names]
    return (
        "Requests a second: the median of the rounds, and in brackets the least and the most.\n\n"
        + table(["site", *pages], rates)
        + "\nMilliseconds that half of the requests took at most, and 99 of 100.\n\n"
        + table(["site", *pages], times)
        + "\nMemory of a worker, and the time from the start of the command to the first answer.\n\n"
        + table(["site", "MB", "seconds"], rest)
    )


def write(name: str, figures: str) -> None:
    """Replace the figures of this name in the page.

    Raises:
        ValueError: the page has no place for them.
    """
    pattern = rf"(<!-- {name}: [^>]*-->\n)[\s\S]*?(<!-- end -->)"
    today = datetime.now(UTC).date().isoformat()
    text, count = re.subn(
        pattern, lambda found: f"<!-- {name}: measured {today} -->\n\n{figures}\n{found[2]}", PAGE.read_text()
    )
    if count != 1:
        raise ValueError(f"{PAGE.name} has {count} places for {name}, not one")
    PAGE.write_text(text)

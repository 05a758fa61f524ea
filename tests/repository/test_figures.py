"""Figures of speed, size and time that readers are told are those of docs/benchmarks.md and docs/sizes.md."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.rendering import ROOT

UNITS = r"(?:requests|tasks) a second|seconds?|s|ms|µs|MB|files|lines"
# One figure, or two with "and" between them.
FIGURE = re.compile(rf"(?<![\w.,])(\d[\d,.]*)(?:(?: and | to )(\d[\d,.]*))? ?(?:{UNITS})\b")
MEASURED = ("benchmarks.md", "sizes.md")
# What was measured once, with its date, and the time of the tests.
RECORDS = ("decisions.md", "test-times.md")
SCALING = "How far one"


def figures(text: str) -> Iterator[str]:
    """Yield the figures in a text, without its blocks of code and the lines that call theirs an estimate."""
    prose = re.sub(r"(?ms)^ *```.*?^ *```$", "", text)
    lines = [line for line in prose.splitlines() if "estimate" not in line.lower()]
    for found in FIGURE.finditer("\n".join(lines)):
        yield from filter(None, found.groups())


def measured() -> set[str]:
    """Return all numbers of the pages that are measured."""
    text = "".join((ROOT / "docs" / name).read_text() for name in MEASURED)
    return set(re.findall(r"(?<![\w.,])\d+(?:[,.]\d+)*", text))


def told() -> Iterator[tuple[Path, str]]:
    """Yield the pages for readers, and the section of rendered projects on what one machine can do."""
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        if page.name not in (*MEASURED, *RECORDS):
            yield page, page.read_text()
    scaling = ROOT / "template/docs/scaling.md.jinja"
    yield scaling, next(each for each in scaling.read_text().split("\n## ")[1:] if each.startswith(SCALING))


def test_figures_of_pages_are_measured() -> None:
    known = measured()
    wrong = [
        f"{page.relative_to(ROOT)}: {each}" for page, text in told() for each in figures(text) if each not in known
    ]
    assert not wrong, f"not on docs/benchmarks.md or docs/sizes.md: {wrong}"


def test_the_page_on_scaling_has_figures() -> None:
    (text,) = [text for page, text in told() if page.name == "scaling.md.jinja"]
    assert {"969", "1,064", "41", "39", "69", "519", "0.03", "2.38", "8.67"} <= set(figures(text))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("serves 1,500 requests a second in 41 MB", ["1,500", "41"]),
        ("a backup takes 2.38 and 8.67 seconds", ["2.38", "8.67"]),
        ("An estimate: 80 requests a second.", []),
        ("```bash\nsleep 5 seconds\n```", []),
        ("Python 3.13 and 9 questions", []),
    ],
)
def test_a_figure_is_found(text: str, found: list[str]) -> None:
    assert list(figures(text)) == found

"""The tests keep to their own rules."""

import ast

import pytest

from tests.support.rendering import ROOT

CLOCKS = {"monotonic", "perf_counter", "time"}


def bounds(source: str) -> set[int]:
    """Return the lines that compare a clock's time with a number."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Compare):
            inside = list(ast.walk(node))
            reads = any(isinstance(each, ast.Attribute) and each.attr in CLOCKS for each in inside)
            if reads and any(isinstance(each, ast.Constant) and isinstance(each.value, int | float) for each in inside):
                found.add(node.lineno)
    return found


def test_no_test_asserts_seconds() -> None:
    """A test may be slow beside others. Tests assert the order of events, and `HANGS` is the only time limit."""
    found = {
        f"{path.relative_to(ROOT)}:{line}"
        for folder in ("tests", "stand_ins", "template")
        for path in (ROOT / folder).rglob("test_*.py")
        for line in bounds(path.read_text())
    }
    assert found == set()


@pytest.mark.parametrize(
    ("line", "is_found"),
    [
        ("time.monotonic() - started < 5", True),
        ("(status, time.perf_counter() - began < 2) == (500, True)", True),
        ("time.monotonic() < deadline", False),
        ("time.monotonic() - started < HANGS", False),
    ],
)
def test_an_assertion_of_seconds_is_found(line: str, is_found: bool) -> None:
    assert bounds(line) == ({1} if is_found else set())

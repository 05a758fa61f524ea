"""Texts of this repository do not use phrases that readers stumble over; each has a plain replacement."""

import re
from collections.abc import Iterator

import pytest

from tests.support.environments import run
from tests.support.rendering import ROOT

# Each pattern, and what to write instead.
PHRASES = {
    r"shall": "must",
    r"stands? in": "is in, replaces",
    r"such that": "so that",
    r"where there is one": "if there is one",
    r"whose word": "trusted",
    r"is believed": "is trusted",
    r"what one does": "common tasks",
    r"the way back": "restore, roll back",
    r"the one before": "the previous one",
    # The runbooks' headings still have these words after "Go back to".
    r"(?<!go back to )the (release|image|version) before": "the previous release",
    r"(app|site|it) (still )?rests": "is in maintenance mode",
    r"ends https": "terminates TLS",
    r"without a word": "silently",
    r"not what it should": "does not work as expected",
    r"foreign host": "unknown Host",
    r"that were many": "too many",
    r"(is|are) well(?!-)": "is healthy",
}
PATTERN = re.compile(rf"\b({'|'.join(PHRASES)})\b", re.IGNORECASE)
# The licence is its authors', and this file has all phrases itself.
LEFT_OUT = ("LICENSE", "tests/repository/test_plain_words.py")


def found_in(text: str) -> Iterator[tuple[int, str]]:
    """Yield the line number and the text of each phrase; releases' sections of a changelog are left out."""
    unreleased = re.split(r"^## \d", text, maxsplit=1, flags=re.MULTILINE)[0]
    for number, line in enumerate(unreleased.splitlines(), 1):
        for match in PATTERN.finditer(line):
            yield number, match[0]


def plain(phrase: str) -> str:
    """Return what to write instead of a phrase."""
    return next(words for pattern, words in PHRASES.items() if re.search(pattern, phrase, re.IGNORECASE))


def test_no_text_has_a_phrase_that_readers_stumble_over() -> None:
    listed = run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], ROOT).split("\0")
    found = []
    for name in listed:
        path = ROOT / name
        if name in LEFT_OUT or not path.is_file():
            continue
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            # Pictures and other binary files.
            continue
        found += [f"{name}:{number}: {phrase}: write {plain(phrase)}" for number, phrase in found_in(text)]
    assert found == []


@pytest.mark.parametrize(
    ("text", "phrases"),
    [
        ("# No request shall be lost.\n", ["shall"]),
        ("A program that stands in for ssh.\nIt Shall end.\n", ["stands in", "Shall"]),
        ("from stand_ins import machines  # a stand-in, shallow\n", []),
        ("## Unreleased\n\n- Fine.\n\n## 0.6.0 - 2026-11-28\n\n- It shall stay.\n", []),
    ],
)
def test_a_phrase_is_found_with_its_line(text: str, phrases: list[str]) -> None:
    assert [phrase for _, phrase in found_in(text)] == phrases
    assert all(plain(phrase) for phrase in phrases)

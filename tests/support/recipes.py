"""Apply the recipes of docs/recipes.md to a project word for word: the text above a block says where it goes."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.runbooks import PASTED

# The texts above a block, and where its lines go.
NEW = re.compile(r"New file `(?P<file>[^`]+)`:")
IN_LIST = re.compile(r"`(?P<file>[^`]+)`, at the end of `(?P<name>\w+)`:")
AT_END = re.compile(r"`(?P<file>[^`]+)`, at the end:")
IMPORTS = re.compile(r"`(?P<file>[^`]+)`, with the other imports:")
CHANGES = re.compile(r"`(?P<file>[^`]+)`, changes:")
# Steps that a reader does by hand or in a browser. A test without a network cannot do them.
BY_HAND = {"sh", "text"}


@dataclass(frozen=True)
class Step:
    """A block of a recipe.

    Attributes:
        above: the paragraph above the block.
        language: the block's language, as the page names it.
        text: its lines, with line ends.
    """

    above: str
    language: str
    text: str


def recipes(page: Path) -> dict[str, list[Step]]:
    """Return each recipe's steps by its heading, in the page's order."""
    found: dict[str, list[Step]] = {}
    for section in re.split(r"^## ", page.read_text(), flags=re.MULTILINE)[1:]:
        heading, _, rest = section.partition("\n")
        found[heading] = list(steps(rest))
    return found


def steps(section: str) -> Iterator[Step]:
    """Yield the blocks of a section, each with the paragraph above it."""
    before = 0
    for block in re.finditer(r"^```(\w+)\n(.*?)^```$", section, flags=re.MULTILINE | re.DOTALL):
        above = section[before : block.start()].strip().rpartition("\n\n")[2]
        yield Step(above, block[1], block[2])
        before = block.end()


def apply(step: Step, project: Path, paste: Callable[[str], object]) -> None:
    """Apply a step to a project.

    Args:
        step: the step.
        project: the project's folder.
        paste: runs commands in it.

    Raises:
        AssertionError: the page does not say where the block goes, or the project's files are not as the page assumes.
    """
    if step.language == PASTED:
        paste(step.text)
        return
    for said, do in ((NEW, new), (IN_LIST, in_list), (AT_END, at_end), (IMPORTS, with_imports), (CHANGES, changes)):
        if place := said.fullmatch(step.above):
            file = project / place["file"]
            file.parent.mkdir(parents=True, exist_ok=True)
            do(file, step.text, place.groupdict().get("name", ""))
            return
    assert step.language in BY_HAND, f"the page does not say where this goes: {step.above!r}\n{step.text}"


def new(file: Path, block: str, _: str) -> None:
    """Write a new file."""
    assert not file.exists(), f"{file} is there already"
    file.write_text(block)


def at_end(file: Path, block: str, _: str) -> None:
    """Append lines to a file."""
    with file.open("a") as lines:
        lines.write(block)


def in_list(file: Path, block: str, name: str) -> None:
    """Append lines to a list."""
    before = file.read_text()
    found = re.search(rf"^{name} = \[\n.*?(?=^\]$)", before, flags=re.MULTILINE | re.DOTALL)
    assert found, f"{file} has no list {name}"
    file.write_text(before[: found.end()] + block + before[found.end() :])


def with_imports(file: Path, block: str, _: str) -> None:
    """Add lines after the last import."""
    before = file.read_text()
    last = re.findall(r"^(?:from \S+ )?import .*\n", before, flags=re.MULTILINE)[-1]
    head, _, rest = before.rpartition(last)
    file.write_text(head + last + block + rest)


def changes(file: Path, block: str, _: str) -> None:
    """Delete and add lines; the file must have the deleted and kept lines exactly once."""
    old = "".join(line[1:] for line in block.splitlines(keepends=True) if line[0] in " -")
    changed = "".join(line[1:] for line in block.splitlines(keepends=True) if line[0] in " +")
    before = file.read_text()
    assert before.count(old) == 1, f"{file} has these lines {before.count(old)} times:\n{old}"
    file.write_text(before.replace(old, changed))

"""The page about a first app is followed word for word, and lint, types and tests pass in the end."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.environments import Environments
from tests.support.faults import text
from tests.support.runbooks import Reader

# The page's texts above a block, which say where it goes.
WHOLE_FILE = re.compile(r"(?:^|\. )`([\w/]+\.\w+)`:$")
AT_THE_END_OF = re.compile(r"^In `([\w/.]+)`, at the end of `(\w+)`:$")
BELOW = re.compile(r"^In `([\w/.]+)`, below `(.+)`:$")


def steps(page: str) -> list[tuple[str, str, str]]:
    """Return the blocks of a page: the line above each, its language, and its text."""
    return re.findall(r"^(.*)\n\n```(\w+)\n((?:.*\n)*?)(?=^```$)", page, re.MULTILINE)


def write(project: Path, said: str, block: str) -> None:
    """Apply a block to the file that the page names.

    Raises:
        AssertionError: the page does not say where the block goes.
    """
    if found := AT_THE_END_OF.search(said):
        name, variable = found.groups()
        (whole,) = re.findall(rf"^{variable} = \[\n.*?^\]$", (project / name).read_text(), re.MULTILINE | re.DOTALL)
        text(name, whole, f"{whole.removesuffix(']')}{block}]")(project)
    elif found := BELOW.search(said):
        text(found[1], f"    {found[2]}\n", f"    {found[2]}\n{block}")(project)
    else:
        found = WHOLE_FILE.search(said)
        assert found, f"where does the block go: {said}"
        (project / found[1]).parent.mkdir(parents=True, exist_ok=True)
        (project / found[1]).write_text(block)


@pytest.mark.parametrize("database", ["postgresql", "sqlite"])
def test_the_first_app_ends_green(
    render: Callable[..., Path], environments: Environments, tmp_path: Path, database: str
) -> None:
    project = render(platform="gunicorn", database=database, ci="none")
    page = (project / "docs/first-app.md").read_text()
    (tmp_path / "state").mkdir()
    owner = Reader(project / "docs/first-app.md", tmp_path / "state", environments.at_work(project))
    printed = []
    for said, language, block in steps(page):
        if language == "bash":
            printed.append(owner.paste(block))
        else:
            write(project, said, block)
    assert len(steps(page)) == page.count("\n```\n")
    assert "0002_item_done" in "".join(printed)
    assert "All checks passed!" in printed[-1]
    assert "Success: no issues found" in printed[-1]
    # The app's tests cover all of its lines.
    assert re.search(r"^TOTAL .* 100%$", printed[-1], re.MULTILINE)
    assert "apps/todo" not in printed[-1].partition("tests coverage")[2]

"""Follow a rendered project's runbook as a person does: paste block after block into one shell."""

import re
import subprocess
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

# The language of blocks that are pasted.
PASTED = "bash"
# The languages of blocks that show output.
SHOWN = ("text", "json")

# Saves the current folder and the variables for the next block, as a terminal keeps them.
SHELL = """
set -a
if [ -e "{state}/folder" ]; then cd "$(cat "{state}/folder")"; fi
if [ -e "{state}/variables" ]; then . "{state}/variables"; fi
set -euo pipefail
{text}
{{ pwd >"{state}/folder"; export -p >"{state}/variables"; }}
"""


@dataclass(frozen=True)
class Block:
    """A block of code in a page.

    Attributes:
        heading: the second-level heading above the block.
        language: the block's language, as the page names it.
        text: its lines.
        section: the third-level heading above it; an empty text if there is none.
        lead: the last line of text above it.
    """

    heading: str
    language: str
    text: str
    section: str = ""
    lead: str = ""


def blocks(page: Path) -> list[Block]:
    """Return the code blocks of a Markdown page, in order."""
    found: list[Block] = []
    heading, section, lead, language, lines = "", "", "", None, [""]
    for line in page.read_text().splitlines():
        if language is not None:
            if line == "```":
                found.append(Block(heading, language, "\n".join(lines), section, lead))
                language = None
            else:
                lines.append(line)
        elif line.startswith("```"):
            language, lines = line.removeprefix("```"), []
        elif line.startswith("## "):
            heading, section = line.removeprefix("## "), ""
        elif line.startswith("### "):
            section = line.removeprefix("### ")
        elif line:
            lead = line
    assert language is None, f"{page} has a block that does not end"
    return found


def management_command(project: Path) -> str:
    """Return how docs/operations.md starts a management command on the platform."""
    first = next(each for each in blocks(project / "docs/operations.md") if each.heading == "Run a management command")
    return first.text.splitlines()[-1].removesuffix(" check")


def management_blocks(project: Path) -> list[str]:
    """Return the blocks with management commands in the pages beside the runbook, in order."""
    pages = [project / "docs" / name for name in ("operations.md", "scaling.md", "large-tables.md")]
    found = [each for page in pages if page.exists() for each in blocks(page)]
    return [each.text for each in found if each.language == PASTED and "manage.py" in each.text]


def on_this_machine(block: Block, project: Path) -> str:
    """Return a block of a page whose management commands run here instead of on the platform."""
    return block.text.replace(management_command(project), "python manage.py")


def reverting(project: Path, *, keep_migrations: bool = False) -> str:
    """Return what docs/troubleshooting.md says to paste to revert a release, once `good` names the commit that serves."""
    found = [each for each in blocks(project / "docs/troubleshooting.md") if each.heading == "Revert a release"]
    start, keep, end = [each.text for each in found if each.language == PASTED]
    return "\n".join([start, keep, end] if keep_migrations else [start, end])


def noise(printed: str) -> list[str]:
    """Return the lines in which a program warns of what nobody can act on: they teach people to look away."""
    return re.findall(r"(?m)^.*(?:level=warning|WARN\[|variable is not set|ignore names|\[warn\]).*", printed)


def not_as_shown(page: Path, heading: str, printed: str) -> list[str]:
    """Return the lines that a section shows as output and that were not printed in this order.

    A number stands for any other, and … for any text.
    """
    shown = [block.text for block in blocks(page) if block.heading == heading and block.language in SHOWN]
    assert shown, f"nothing is shown under {heading}"
    missing = []
    for line in "\n".join(shown).splitlines():
        pattern = re.sub(r"\d+(\\\.\d+)?", lambda _: r"\d+(\.\d+)?", re.escape(line)).replace("…", ".*")
        if found := re.search(pattern, printed):
            printed = printed[found.end() :]
        else:
            missing.append(line)
    return missing


class Reader:
    """Follow a runbook from the top, and paste each block unchanged."""

    def __init__(
        self,
        page: Path,
        state: Path,
        environment: Mapping[str, str],
        command: Callable[[list[str]], list[str]] = list,
    ) -> None:
        """Open a runbook at its top.

        Args:
            page: the runbook; its project's folder is where the first block is pasted.
            state: an empty folder, where the shell keeps its current folder and variables between two blocks.
            environment: the variables that the shell starts with.
            command: wraps a command so that it runs on the runbook's machine.
        """
        self.folder = page.parent.parent
        self.state = state
        self.environment = dict(environment)
        self.command = command
        self.left = [block for block in blocks(page) if block.language == PASTED]

    def follow(self, heading: str, section: str = "", most: int = 0) -> str:
        """Paste the blocks under the next heading that has any, which must be this one; return their output.

        Args:
            heading: the second-level heading.
            section: the third-level heading, to paste only the blocks under it.
            most: the number of blocks to paste, if not all.

        Raises:
            AssertionError: another section comes first, or a command failed; the message is its output.
        """
        assert self.left, f"nothing is left to follow under {heading}"
        assert self.left[0].heading == heading, f"the next blocks are under {self.left[0].heading!r}, not {heading!r}"
        printed: list[str] = []
        assert section in ("", self.left[0].section), f"the next blocks are under {self.left[0].section!r}"
        while self.left and self.left[0].heading == heading and section in ("", self.left[0].section):
            if most and len(printed) == most:
                break
            printed.append(self.paste(self.left.pop(0).text))
        return "".join(printed)

    def leave_out(self, headings: Collection[str]) -> None:
        """Leave out all blocks under these second-level headings."""
        self.left = [block for block in self.left if block.heading not in headings]

    def paste(self, text: str, code: int = 0) -> str:
        """Paste lines into the shell; return their output.

        Raises:
            AssertionError: the first that failed did not end with `code`, or one warned of what nobody can act on.
        """
        done = subprocess.run(
            self.command(["bash", "-c", SHELL.format(state=self.state, text=text)]),
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == code, f"code {done.returncode} from\n{text}\n\n{done.stdout}"
        assert not noise(done.stdout), f"warnings from\n{text}\n\n{done.stdout}"
        return done.stdout

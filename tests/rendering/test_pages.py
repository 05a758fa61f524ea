"""The pages in docs/ are short, their links lead to sections that exist, and their commands are those of the platform."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.rendering import question_choices
from tests.support.runbooks import blocks, management_command

Render = Callable[..., Path]

# Words of a page outside its blocks of code, where a link is its text.
MOST_WORDS = 1_800
MOST_WORDS_OF = {"scaling.md": 600}
# The list of all variables, and the runbook, which has a test of its own.
REFERENCES = ("environment.md", "deploy.md")
# A link to a page of the project, with or without a section.
LINK = re.compile(r"\]\((?![a-z]+:)([^)#]*)#?([^)]*)\)")

every_platform = pytest.mark.parametrize("platform", question_choices("platform"))


def prose(text: str) -> str:
    """Return a page without its blocks of code."""
    return re.sub(r"(?ms)^ *```.*?^ *```$", "", text)


def anchors(text: str) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"(?m)^#+ (.+)$", prose(text))
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def projects(render: Render, platform: str) -> Iterator[Path]:
    """Yield projects of a platform in which each page is there, and each kind of CI, database and task."""
    extras = question_choices("extras")
    yield render(platform=platform)
    yield render(platform=platform, ci="gitlab", tasks="celery", extras=extras)
    if platform != "heroku":
        yield render(platform=platform, ci="none", database="sqlite", tasks="database", extras=extras)


@every_platform
def test_a_page_is_short(render: Render, platform: str) -> None:
    for project in projects(render, platform):
        for page in (project / "docs").glob("*.md"):
            if page.name in REFERENCES:
                continue
            shown = re.sub(r"\]\([^)]*\)", "]", prose(page.read_text()))
            words = [word for word in shown.split() if re.search(r"\w", word)]
            assert len(words) <= MOST_WORDS_OF.get(page.name, MOST_WORDS), f"{page.name} has {len(words)} words"


@every_platform
def test_a_link_leads_to_a_section_that_exists(render: Render, platform: str) -> None:
    for project in projects(render, platform):
        for page in [project / "README.md", *(project / "docs").glob("*.md")]:
            for path, anchor in LINK.findall(prose(page.read_text())):
                target = (page.parent / path).resolve() if path else page
                assert target.exists(), f"{page.name}: {path}"
                assert not anchor or anchor in anchors(target.read_text()), f"{page.name}: {path}#{anchor}"


@every_platform
def test_commands_on_the_live_site_are_those_of_the_platform(render: Render, platform: str) -> None:
    """The tests of platforms run the runbook's commands, so the same start of a command works on the other pages."""
    for project in projects(render, platform):
        prefix = management_command(project)
        assert prefix in (project / "docs/deploy.md").read_text()
        for page in (project / f"docs/{name}.md" for name in ("operations", "scaling", "large-tables")):
            for each in blocks(page) if page.exists() else []:
                for line in each.text.splitlines():
                    assert "manage.py" not in line or line.startswith(prefix), f"{page.name}: {line}"
                # The heroku program puts double quotes around such a command, and a shell reads it.
                quoted = platform == "heroku" and "manage.py" in each.text
                assert not quoted or not re.search(r"[$`\\]", each.text), each.text
        # Elsewhere only the command's name is given, and docs/operations.md says how to run it.
        for page in (project / "docs/security.md", project / "docs/environment.md"):
            assert not re.search(r"(?<!run )python[0-9.]* manage\.py", page.read_text())

"""Runbooks are short, have the headings that people search for, and their links to sections are right, in all answers."""

import re
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path

import pytest

from scripts.renders import File, Renders
from tests.support.environments import run
from tests.support.rendering import question_choices
from tests.support.runbooks import PASTED, blocks, reverting
from tests.support.smoke import CHECKS

# Words of a page outside its blocks of code, where a link is its text.
MOST_WORDS = 1_800
PAGE, PROBLEMS, SERVER = "docs/deploy.md", "docs/troubleshooting.md", "docs/server.md"
# Where the owner looks after the machine too.
ON_A_SERVER = ("docker", "gunicorn")
HEADINGS = [
    "Before you start",
    "First deploy",
    "Deploy",
    "Verify",
    "Logs",
    "Roll back",
    "Undo a migration",
    "Rotate the secret key",
    "Environment variables",
    "Backups",
    "Restore",
    "Custom domain and HTTPS",
    "Email",
    "Scheduled jobs",
    "Scale",
    "Maintenance mode",
    "Staging",
    "Monitoring",
    "Troubleshooting",
    "Known issues",
]
# Heroku and PythonAnywhere upgrade the server for their customers.
UPGRADE = "Upgrade PostgreSQL"


Pages = Callable[..., Iterator[tuple[dict[str, str], str]]]


@cache
def rendered(template: Path, path: str) -> File:
    """Return a file of all projects."""
    return Renders(template).files(Path(path).name)[path]


@pytest.fixture
def pages(template: Path) -> Pages:
    """A function that yields a page of a platform for all answers that change it, with these answers."""
    return partial(rendered_pages, template)


def rendered_pages(template: Path, platform: str, path: str = PAGE) -> Iterator[tuple[dict[str, str], str]]:
    """Yield a page of a platform for all answers that change it, with these answers."""
    file = rendered(template, path)
    for values, text in file.texts.items():
        answers = dict(zip(file.questions, values, strict=True))
        if text is not None and answers["platform"] == platform:
            yield answers, text


@cache
def prose(text: str) -> str:
    """Return a page without its blocks of code."""
    return re.sub(r"(?ms)^```.*?^```$", "", text)


@cache
def headings(text: str) -> tuple[str, ...]:
    """Return a page's headings."""
    return tuple(re.findall(r"(?m)^###? (.+)$", prose(text)))


@cache
def anchors(text: str) -> frozenset[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    return frozenset(re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings(text))


every_platform = pytest.mark.parametrize("platform", question_choices("platform"))


@every_platform
def test_a_runbook_is_short(pages: Pages, platform: str) -> None:
    for answers, text in pages(platform):
        shown = re.sub(r"\]\([^)]*\)", "]", prose(text))
        words = [word for word in shown.split() if re.search(r"\w", word)]
        assert len(words) <= MOST_WORDS, answers


@every_platform
def test_a_runbook_has_the_headings_that_people_search_for(pages: Pages, platform: str) -> None:
    for answers, text in pages(platform):
        upgrade = [UPGRADE] if platform in ON_A_SERVER and answers["database"] == "postgresql" else []
        missing = {*HEADINGS, *upgrade} - set(headings(text))
        assert not missing, answers


@every_platform
def test_the_table_of_the_smoke_suite_is_the_real_one(pages: Pages, platform: str) -> None:
    for answers, text in pages(platform):
        assert set(re.findall(r"(?m)^PASS  (.+?)(?:  .*)?$", text)) <= set(CHECKS), answers


@every_platform
def test_links_to_sections_of_a_runbook_are_right(pages: Pages, platform: str) -> None:
    """In the page itself, to the page about problems, and by name from there."""
    problems = [(answers, anchors(text)) for answers, text in pages(platform, PROBLEMS)]
    for answers, text in pages(platform):
        linked = set(re.findall(r"\]\(#([^)]+)\)", prose(text)))
        assert linked <= anchors(text), answers
        linked = set(re.findall(r"\]\(troubleshooting\.md#([^)]+)\)", prose(text)))
        # In each page about problems that a project with these answers may have.
        alike = [names for its, names in problems if all(answers.get(name, it) == it for name, it in its.items())]
        assert linked <= frozenset.intersection(*alike), answers
    # The shortest page has the fewest sections.
    shortest = min((page for _, page in pages(platform)), key=len)
    for path in [PROBLEMS, SERVER] if platform in ON_A_SERVER else [PROBLEMS]:
        for answers, text in pages(platform, path):
            named = set(re.findall(r"(?<!\*)\*([A-Z][^*]+)\*(?!\*)", text)) - {"Italics"}
            assert named <= {*headings(shortest), UPGRADE, "Deploy from CI"}, answers


@pytest.mark.parametrize("platform", ["heroku", "pythonanywhere"])
def test_blocks_to_paste_have_no_example_to_replace(pages: Pages, tmp_path: Path, platform: str) -> None:
    """As the page says at its top: only blocks that set a name are edited."""
    for answers, text in pages(platform):
        page = tmp_path / "page.md"
        page.write_text(text)
        pasted = [block.text for block in blocks(page) if block.language == PASTED]
        examples = re.findall(r"example\.com|you@|accounts|0001_initial|1a2b3c4d", "\n".join(pasted))
        assert not examples, answers


@pytest.mark.parametrize(
    "answers",
    [
        {"platform": "docker"},
        {"platform": "gunicorn"},
        {"platform": "pythonanywhere"},
        {"platform": "heroku", "ci": "none"},
    ],
    ids=str,
)
def test_a_release_that_was_merged_is_reverted_as_written(
    render: Callable[..., Path], tmp_path: Path, answers: dict[str, str]
) -> None:
    """It has a new, a changed and a deleted file, a migration and its model, and came by a merge commit."""
    project = render(**answers)

    def shell(text: str) -> str:
        return run(["bash", "-euc", text], project)

    def code() -> dict[str, str]:
        return {path: (project / path).read_text() for path in shell("git ls-files -- '*.py'").splitlines()}

    shell(f"git init --quiet --bare {tmp_path}/origin && git init --quiet --initial-branch=main && git add --all")
    shell(f"git commit --quiet --message Start && git remote add origin {tmp_path}/origin")
    shell("git push --quiet --set-upstream origin main && git switch --quiet --create feature")
    good, before = shell("git rev-parse --short=8 HEAD").strip(), code()
    migration, model = "apps/accounts/migrations/0002_next.py", "apps/accounts/models.py"
    shell("echo >apps/pages/new.py; echo >>apps/pages/views.py; git rm --quiet apps/pages/context_processors.py")
    shell(f"echo >{migration}; echo >>{model}; git add --all; git commit --quiet --message Feature")
    shell("git switch --quiet main; git merge --quiet --no-ff --no-edit feature; git push --quiet")
    released = code()
    shell(f"good={good}\n{reverting(project)}")
    assert code() == before
    assert shell("git status --short") == ""

    shell(f"git branch --move first && git push --quiet origin first :revert-to-{good} || true")
    shell(f"good={good}\n{reverting(project, keep_migrations=True)}")
    assert code() == {**before, migration: released[migration], model: released[model]}


# Examples that a reader replaces.
EXAMPLE = r"\bYOU/|\byou/|you@|PASSWORD|20\d{6}T\d{6}Z|0001_initial|1a2b3c4d|\bHOST\b|\bOLD\b|CVE-"


@pytest.mark.parametrize("path", [PAGE, PROBLEMS, SERVER])
@pytest.mark.parametrize("platform", ON_A_SERVER)
def test_the_text_above_a_block_says_if_it_is_edited(pages: Pages, platform: str, path: str) -> None:
    edited = set()
    for answers, text in pages(platform, path):
        for block in re.finditer(r"(?ms)^```(?!text).*?^```$", text):
            above = text[: block.start()].rstrip().rpartition("\n\n")[2]
            if re.search(EXAMPLE, block[0]):
                assert re.search(r"\bedit\b", above, re.IGNORECASE), (answers, block[0])
                edited.add(block[0])
    assert len(edited) >= (1 if path == SERVER else 3)


@pytest.mark.parametrize("platform", ON_A_SERVER)
def test_a_domain_with_www_is_offered_without_it(render: Callable[..., Path], platform: str) -> None:
    """And one without it with it."""
    for domain, other in {"www.todo.example": "todo.example", "todo.example": "www.todo.example"}.items():
        folder = render(platform=platform, domain=domain) / "docs"
        text = "".join((folder / name).read_text() for name in ("deploy.md", "server.md"))
        assert "www.www." not in text
        assert re.search(rf"(?:server_name|--domain|http://).*[ /]{re.escape(other)}\b", text), domain


def test_a_release_is_reverted_in_the_same_way_on_all_servers(render: Callable[..., Path]) -> None:
    """The test of Docker's runbook follows it."""
    assert reverting(render(platform="docker")) == reverting(render(platform="gunicorn"))


def test_each_block_for_a_machine_of_ones_own_says_whose_it_is(render: Callable[..., Path]) -> None:
    pasted = [block for block in blocks(render(platform="gunicorn") / PAGE) if block.language == PASTED]
    assert all(re.search("(as root|as deploy|on your own machine):$", block.lead, re.IGNORECASE) for block in pasted)

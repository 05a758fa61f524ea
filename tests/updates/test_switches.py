"""A project that switches to other answers equals a project that was rendered with them."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from tests.support.edits import APART, LOCK, OF_THE_PROJECT, OF_THE_SHELL, edit
from tests.support.environments import clean_environment
from tests.support.rendering import CHOSEN, question_choices
from tests.support.repositories import commit
from tests.support.updating import answers_of, differences, status, tracked, unsettled, update

Fresh = Callable[..., Path]


def switches() -> Iterator[tuple[str, Any, Any]]:
    """Yield each question except the platform with each pair of its answers, in both directions."""
    pairs: list[tuple[Any, Any]]
    for question in CHOSEN[1:]:
        if question == "extras":
            # Each one, and all at once. All pairs of subsets would find no more.
            extras = question_choices(question)
            several = [[], *([extra] for extra in extras), extras]
            pairs = [pair for each in several[1:] for pair in ((several[0], each), (each, several[0]))]
        else:
            pairs = list(permutations(question_choices(question), 2))
        yield from ((question, before, after) for before, after in pairs)


def named(value: object) -> str:
    """Return an answer's name for a test's id."""
    return ("+".join(value) or "none") if isinstance(value, list) else str(value)


@pytest.mark.parametrize(("before", "after"), list(permutations(question_choices("platform"), 2)))
def test_a_switch_of_platform_changes_the_shell_and_keeps_the_rest(fresh: Fresh, before: str, after: str) -> None:
    project = tracked(fresh(platform=before))
    edit(project, *OF_THE_PROJECT, *APART, OF_THE_SHELL[before], LOCK)
    commit(project, "Ours")
    update(project, platform=after)
    assert not unsettled(project)
    assert not differences(project, edit(fresh(platform=after), *OF_THE_PROJECT, *APART, LOCK))


@pytest.mark.parametrize(("question", "before", "after"), list(switches()), ids=named)
def test_any_other_switch_equals_a_fresh_render_and_keeps_edits(
    fresh: Fresh, question: str, before: Any, after: Any
) -> None:
    # On Docker, most files depend on the other answers.
    edits = (*OF_THE_PROJECT, *APART, OF_THE_SHELL["docker"], LOCK)
    project = edit(fresh(platform="docker", **{question: before}), *edits)
    tracked(project)
    update(project, **{question: after})
    assert not unsettled(project)
    assert not differences(project, edit(fresh(platform="docker", **{question: after}), *edits))


def test_a_switch_asks_what_the_platform_needs_and_forgets_what_it_does_not(fresh: Fresh) -> None:
    project = tracked(fresh(platform="docker", domain="www.todo.example"))
    update(project, platform="heroku")
    commit(project, "Heroku")
    answers = answers_of(project)
    assert (answers["heroku_app"], "domain" in answers) == ("todo-list", False)
    update(project, platform="gunicorn")
    assert answers_of(project)["domain"] == "todo-list.example.com"


def test_a_misspelt_name_changes_nothing(fresh: Fresh) -> None:
    project = tracked(fresh(platform="docker"))
    update(project, plattform="heroku")
    assert status(project) == []


@pytest.mark.parametrize(("database", "said"), [("sqlite", True), ("postgresql", False)])
def test_who_moves_from_sqlite_to_heroku_is_told_of_the_other_database(fresh: Fresh, database: str, said: bool) -> None:
    project = tracked(fresh(platform="gunicorn", database=database))
    done = subprocess.run(
        [sys.executable, "-m", "copier", "update", "--defaults", "--vcs-ref=:current:", "--data=platform=heroku"],
        cwd=project,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert ("Its database is now PostgreSQL" in done.stderr) == said
    assert "make conflicts" in done.stderr
    assert answers_of(project)["database"] == "postgresql"

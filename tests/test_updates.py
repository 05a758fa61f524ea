"""An update loses nothing, churns nothing and asks for nobody's trust: from every release to the newest."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.edits import LOCK, OF_THE_PROJECT, OF_THE_SHELL, edit
from tests.support.environments import run
from tests.support.releases import AGAIN, NEXT, RELEASES, tag
from tests.support.rendering import Answers, combination_id, pairwise_combinations, question_choices
from tests.support.repositories import commit
from tests.support.updating import ANSWERS_FILE, differences, render_release, status, tracked, unsettled, update

Fresh = Callable[..., Path]


@pytest.mark.parametrize("answers", pairwise_combinations(), ids=combination_id)
def test_an_update_without_news_changes_the_version_and_nothing_else(
    released: Path, tmp_path: Path, answers: Answers
) -> None:
    project = tracked(render_release(released, tmp_path / "project", NEXT, **answers))
    update(project)
    assert status(project) == [f" M {ANSWERS_FILE}"]
    changed = run(["git", "diff", "--unified=0"], project).splitlines()[-2:]
    assert changed == [f"-_commit: {tag(NEXT)}", f"+_commit: {tag(AGAIN)}"]


@pytest.mark.parametrize("platform", question_choices("platform"))
@pytest.mark.parametrize("version", RELEASES)
def test_an_update_brings_what_is_new_and_keeps_what_was_edited(
    released: Path, fresh: Fresh, tmp_path: Path, version: str, platform: str
) -> None:
    edits = (*OF_THE_PROJECT, OF_THE_SHELL[platform], LOCK)
    project = tracked(render_release(released, tmp_path / "project", version, platform=platform))
    edit(project, *edits)
    commit(project, "Ours")
    update(project)
    assert not unsettled(project)
    assert not differences(project, edit(fresh(platform=platform), *edits))

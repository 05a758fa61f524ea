"""A machine keeps the releases that one may roll back to, whatever became of others."""

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.rendering import ROOT


@pytest.fixture
def releases(tmp_path: Path) -> Iterator[Any]:
    """The module that manages releases, and an empty folder for them."""
    spec = importlib.util.spec_from_file_location("releases", ROOT / "template/{{gunicorn}}/deploy/releases.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["releases"] = module
    spec.loader.exec_module(module)
    (tmp_path / "releases").mkdir()
    yield module
    del sys.modules["releases"]


def test_deploys_that_were_broken_off_do_not_replace_releases_that_were_healthy(releases: Any, tmp_path: Path) -> None:
    site = releases.Releases(tmp_path)
    # Six were healthy, and of seven later ones each was broken off after its build. The last is healthy.
    for number in range(14):
        release = releases.Release(site.folder / f"202611{number + 10}T000000Z")
        release.folder.mkdir()
        release.finish("1a2b3c Change")
        if number < 6 or number == 13:
            release.mark_checked()
    site.switch(release)
    site.prune()
    assert [each.name[6:8] for each in site.all()] == ["23", "15", "14", "13", "12"]
    assert site.before(release).name[6:8] == "15"


def test_a_rollback_is_to_other_code(releases: Any, tmp_path: Path) -> None:
    site = releases.Releases(tmp_path)
    assert site.earlier() is None
    for number, commit in enumerate(["1a2b3c First", "2b3c4d Second", "2b3c4d Second", "2b3c4d Second"]):
        release = releases.Release(site.folder / f"202611{number + 10}T000000Z")
        release.folder.mkdir()
        release.finish(commit)
        release.mark_checked()
    # The link may be lost.
    assert site.earlier() == release
    site.switch(release)
    assert site.earlier().name[6:8] == "10"
    site.switch(site.earlier())
    assert site.earlier() is None


def test_a_release_that_failed_is_kept_until_the_next_healthy_one(releases: Any, tmp_path: Path) -> None:
    """Only its own code can undo its migrations."""
    site = releases.Releases(tmp_path)
    for number in range(4):
        release = releases.Release(site.folder / f"202611{number + 10}T000000Z")
        release.folder.mkdir()
        release.finish("1a2b3c Change")
    first = site.all()[-1]
    first.mark_checked()
    site.switch(first)
    site.prune(spared=release)
    assert site.all() == [release, first]
    assert site.well() == first
    assert site.before(release) == first
    site.prune()
    assert site.all() == [first]

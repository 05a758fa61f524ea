"""Fixtures for the tests of this repository."""

import shutil
from pathlib import Path

import pytest

from tests.support.environments import run
from tests.support.rendering import ROOT


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone of this repository with the working tree's files, and nothing installed."""
    folder = tmp_path / "clone"
    run(["git", "clone", "--quiet", str(ROOT), str(folder)], tmp_path)
    listed = run(["git", "ls-files", "--cached", "--others", "--exclude-standard"], ROOT).splitlines()
    for name in listed:
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    return folder

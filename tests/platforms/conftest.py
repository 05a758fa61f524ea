"""What tests of a platform can ask for."""

import functools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from tests.support.databases import PostgreSQL
from tests.support.environments import Environments
from tests.support.heroku.platform import heroku
from tests.support.heroku.projects import Developer
from tests.support.pythonanywhere.live import USER, Live, grown, make_seed
from tests.support.pythonanywhere.platform import pythonanywhere
from tests.support.repositories import repository

on_pythonanywhere = functools.partial(pythonanywhere, user=USER)


@pytest.fixture(scope="session")
def seed(template: Path, shared_folder: Path) -> Path:
    """What is there after a first deploy to PythonAnywhere, made once for all test processes."""
    folder = shared_folder / "pythonanywhere"
    with FileLock(f"{folder}.lock"):
        if not (folder / "made").exists():
            make_seed(template, folder, on_pythonanywhere)
            (folder / "made").touch()
    return folder


@pytest.fixture
def live(seed: Path, tmp_path: Path) -> Iterator[Live]:
    """A site of one's own that is live on PythonAnywhere."""
    with grown(seed, tmp_path, on_pythonanywhere) as site:
        yield site


@pytest.fixture
def developer(
    render: Callable[..., Path], environments: Environments, database: PostgreSQL, tmp_path: Path
) -> Iterator[Developer]:
    """A developer with a fresh project, committed."""
    with heroku(tmp_path / "heroku", database) as platform:
        project = repository(render(platform="heroku"))
        yield Developer(platform, project, environments.install(project))

"""What tests of a platform can ask for."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.databases import PostgreSQL
from tests.support.environments import Environments
from tests.support.heroku.platform import heroku
from tests.support.heroku.projects import Developer
from tests.support.repositories import repository


@pytest.fixture
def developer(
    render: Callable[..., Path], environments: Environments, database: PostgreSQL, tmp_path: Path
) -> Iterator[Developer]:
    """A developer with a fresh project, committed."""
    with heroku(tmp_path / "heroku", database) as platform:
        project = repository(render(platform="heroku"))
        yield Developer(platform, project, environments.install(project))

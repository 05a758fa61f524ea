"""Workers at Heroku: dynos of their own, which the runbook starts and a deploy replaces."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.databases import PostgreSQL
from tests.support.environments import Environments
from tests.support.faults import LITTLE_TO_COMPRESS, text
from tests.support.heroku.platform import heroku
from tests.support.heroku.projects import Developer
from tests.support.repositories import repository
from tests.support.runbooks import Reader

Render = Callable[..., Path]


@pytest.fixture(params=["database", "celery"])
def developer(
    request: pytest.FixtureRequest, render: Render, environments: Environments, database: PostgreSQL, tmp_path: Path
) -> Iterator[Developer]:
    """A developer with a fresh project that has workers, committed."""
    with heroku(tmp_path / "heroku", database) as platform:
        project = render(platform="heroku", tasks=request.param)
        LITTLE_TO_COMPRESS(project)
        repository(project)
        yield Developer(platform, project, environments.install(project))


def test_the_runbook_leads_to_a_site_whose_tasks_are_done(developer: Developer, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    page = developer.project / "docs/deploy.md"
    reader = Reader(page, tmp_path / "state", developer.environment, developer.platform.command)
    for heading in ("Before the first deploy", "Create the app", "Deploy", "Tasks"):
        reader.follow(heading)
    assert "PASS  a task is done" in reader.follow("Check the live site")
    app = developer.platform.apps["todo-list"]
    workers = {kind for kind, (quantity, _) in app.formation.items() if quantity == 1}
    assert workers >= {"web", "worker"}
    assert workers == app.formation.keys() - {"release"}

    developer.commit("Change a page", text("templates/pages/home.html", "</h1>", "!</h1>"))
    assert "PASS  a task is done" in developer.deploy()
    assert {kind for kind, (quantity, _) in app.formation.items() if quantity == 1} == workers
    # None had to be killed: each has ended within 30 s of SIGTERM.
    assert [dyno.killed for dyno in app.ended if dyno.killed] == []

"""Workers on Heroku run in their own dynos, which the runbook starts and a deploy replaces."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stand_ins.heroku.apps import App
from stand_ins.heroku.broker import Broker
from stand_ins.heroku.dynos import Dyno
from stand_ins.heroku.platform import heroku
from stand_ins.heroku.projects import NEW_MIGRATION, NEWEST_BACKUP, NICKNAME, Developer, migration
from stand_ins.heroku.records import Release
from tests.support.databases import PostgreSQL
from tests.support.environments import Environments
from tests.support.faults import QUICK, text
from tests.support.repositories import repository
from tests.support.runbooks import Reader
from tests.support.servers import eventually

Render = Callable[..., Path]

# The sections that are followed after a deploy, in the test's order.
SECTIONS = ("Scheduled jobs", "Backups", "Restore", "Scale")


@pytest.fixture
def developer(
    request: pytest.FixtureRequest, render: Render, environments: Environments, database: PostgreSQL, tmp_path: Path
) -> Iterator[Developer]:
    """A developer with a committed fresh project, with the test's answer to `tasks`."""
    with heroku(tmp_path / "heroku", database) as platform:
        project = render(platform="heroku", tasks=request.param)
        QUICK(project)
        repository(project)
        yield Developer(platform, project, environments.install(project))


@pytest.fixture
def reader(developer: Developer, tmp_path: Path) -> Reader:
    """The same developer's runbook."""
    (tmp_path / "state").mkdir()
    page = developer.project / "docs/deploy.md"
    return Reader(page, tmp_path / "state", developer.environment, developer.platform.command)


def running(app: App) -> set[str]:
    """Return the process types that have a dyno."""
    return {kind for kind, (quantity, _) in app.formation.items() if quantity}


@pytest.mark.parametrize("developer", ["database"], indirect=True)
def test_the_runbook_leads_to_a_site_whose_tasks_are_done(developer: Developer, reader: Reader) -> None:
    """The tasks run even after a first release that failed."""
    reader.follow("Before you start")
    reader.follow("First deploy")
    app = developer.platform.apps["todo-list"]
    developer.commit("Migrate into a wall", text("Procfile", "release: ", 'release: [ "$WALL" = gone ] && '))
    assert "nothing serves yet" in developer.deploy(code=1)
    developer.run("heroku config:set WALL=gone")
    assert eventually(lambda: running(app) == {"web"})
    assert "PASS  a task is done" in reader.follow("Deploy")
    reader.left = [block for block in reader.left if block.heading == "Scheduled jobs"]
    reader.follow("Scheduled jobs")
    assert running(app) == {"web", "worker"}

    # A process type that is new in the Procfile gets a dyno.
    developer.commit("Do without workers", text("Procfile", "worker: ", "idle: "))
    developer.run("git push --quiet heroku HEAD:main")
    developer.run("git revert --no-edit HEAD")
    assert "PASS  a task is done" in developer.deploy()
    assert running(app) == {"web", "worker"}
    assert [dyno.killed for dyno in app.ended if dyno.killed] == []


@pytest.mark.parametrize("developer", ["celery"], indirect=True)
def test_workers_rest_only_while_something_is_undone_or_restored(
    developer: Developer, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers that the owner has stopped stay stopped, even after a deploy."""
    reader.follow("Before you start")
    reader.follow("First deploy")
    assert "PASS  a task is done" in reader.follow("Deploy")
    left = {name: [block for block in reader.left if block.heading == name] for name in SECTIONS}
    reader.left = left["Scheduled jobs"]
    reader.follow("Scheduled jobs")
    app = developer.platform.apps["todo-list"]
    assert running(app) == {"web", "worker", "beat"}
    (broker,) = (addon.resource.server for addon in app.addons if isinstance(addon.resource, Broker))
    # As the page counts them, once those of the deploy's own dynos are gone.
    assert eventually(lambda: broker.connections() <= 4 + 6 + 2)
    developer.run("heroku ps:scale beat=0")
    developer.commit("Add a nickname", migration(NEW_MIGRATION), NICKNAME)
    assert "PASS  a task is done" in developer.deploy()
    assert running(app) == {"web", "worker"}
    beside_migrations = []
    one_off = app.one_off

    def watched(command: str, kind: str, release: Release | None = None) -> Dyno:
        if kind == "run":
            beside_migrations.append(running(app))
        return one_off(command, kind, release)

    monkeypatch.setattr(app, "one_off", watched)
    said = developer.run("uv run python deploy/heroku.py --undo accounts 0001_initial")
    assert "Unapplying accounts.0002_next... OK" in said
    assert running(app) == {"web", "worker"}
    reader.left = [*left["Backups"], *left["Restore"], *left["Scale"]]
    reader.follow("Backups")
    reader.paste(NEWEST_BACKUP)
    reader.follow("Restore")
    assert running(app) == {"web", "worker"}
    assert beside_migrations == [{"web"}, {"web"}]
    assert "of the broker's 20 connections are needed" in reader.follow("Scale")
    said = developer.run("uv run python deploy/heroku_scale.py worker=4", code=1)
    assert "the broker takes 20 connections, and these dynos would need 28. Nothing was scaled." in said
    assert {size for _, size in app.formation.values()} == {"Basic"}
    # None was killed: each ended within 30 s after SIGTERM.
    assert [dyno.killed for dyno in app.ended if dyno.killed] == []

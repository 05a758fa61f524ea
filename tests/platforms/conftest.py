"""Fixtures for the tests of platforms."""

import contextlib
import functools
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stand_ins.heroku.platform import heroku
from stand_ins.heroku.projects import Developer
from stand_ins.machines import Machine, Machines
from stand_ins.pythonanywhere.live import Live, grown, make_seed
from tests.support import rendering
from tests.support.containers import Deployment, Engine, Projects
from tests.support.databases import PostgreSQL
from tests.support.environments import Environments
from tests.support.faults import QUICK
from tests.support.owners import NAMES, Owner
from tests.support.rendering import Once
from tests.support.repositories import repository


@pytest.fixture(scope="session")
def seed(template: Path, once: Once) -> Path:
    """The files after a first deploy to PythonAnywhere."""
    return once.get("pythonanywhere", lambda folder: make_seed(template, folder))


@pytest.fixture
def live(seed: Path, tmp_path: Path) -> Iterator[Live]:
    """A live site on PythonAnywhere that the test may change."""
    with grown(seed, tmp_path) as site:
        yield site


@pytest.fixture
def serves_as_before(live: Live) -> Iterator[None]:
    """Check that the previous release still serves after the test, and nothing is left of the failed one."""
    first, page, packages = live.current, live.ask().text, live.packages
    yield
    assert (live.current, live.releases, live.packages) == (first, [first], packages)
    assert live.ask().text == page


@pytest.fixture
def developer(
    render: Callable[..., Path], environments: Environments, database: PostgreSQL, tmp_path: Path
) -> Iterator[Developer]:
    """A developer with a committed fresh project."""
    with heroku(tmp_path / "heroku", database) as platform:
        project = render(platform="heroku")
        QUICK(project)
        repository(project)
        yield Developer(platform, project, environments.install(project))


@pytest.fixture(scope="session")
def projects(
    engine: Engine, template: Path, shared_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Projects]:
    """Projects with their images; the images of all test processes share layers."""
    slug = f"dk-{hashlib.sha256(str(shared_folder).encode()).hexdigest()[:8]}"
    tag = os.environ.get("PYTEST_XDIST_WORKER", "main")
    made = Projects(engine, functools.partial(rendering.render, template), tmp_path_factory.mktemp("built"), slug, tag)
    try:
        yield made
    finally:
        engine.remove(images=f"{slug}:{tag}*")


@pytest.fixture(scope="session")
def deployed(projects: Projects) -> Iterator[Deployment]:
    """A site on Docker with PostgreSQL, for tests that do not change it."""
    with projects.deployment() as deployment:
        deployment.up()
        yield deployment


@pytest.fixture(scope="session")
def machines(engine: Engine, shared_folder: Path) -> Machines:
    """Linux machines."""
    return Machines(engine, shared_folder)


@pytest.fixture(scope="session")
def deployed_machine(machines: Machines, template: Path, shared_folder: Path) -> Iterator[tuple[str, Path]]:
    """The image of a machine on which the runbook was followed up to a live site, and the project."""
    folder = shared_folder / "deployed"

    @contextlib.contextmanager
    def make() -> Iterator[Machine]:
        shutil.rmtree(folder, ignore_errors=True)
        project = rendering.render(template, folder, platform="gunicorn")
        QUICK(project)
        repository(project)
        with machines.started(machines.bare(), *NAMES) as machine:
            owner = Owner(machine, project)
            owner.settle()
            owner.follow_to_the_first_deploy()
            yield machine

    with machines.kept("deployed", make) as image:
        yield image, folder


@pytest.fixture
def owner(machines: Machines, deployed_machine: tuple[str, Path], tmp_path: Path) -> Iterator[Owner]:
    """An owner with a project and its live site on a Linux machine."""
    image, project = deployed_machine
    with machines.started(image, *NAMES) as machine:
        yield Owner(machine, shutil.copytree(project, tmp_path / "owned"))

"""Fixtures for all tests."""

import copy
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import copier._main
import jinja2
import pytest
import yaml

from tests.support import rendering
from tests.support.containers import Engine, NoEngineError, running_engine
from tests.support.databases import PostgreSQL, postgresql
from tests.support.environments import Environments, run_folder
from tests.support.faults import text
from tests.support.left_out import LeftOut
from tests.support.redis import Redis, redis
from tests.support.releases import MissingReleaseError, repository_of_releases
from tests.support.rendering import Once
from tests.support.servers import free_port
from tests.support.sites import Site
from tests.support.times import Clock
from tests.support.turns import Turn, turn
from tests.support.updating import render_release


def pytest_configure(config: pytest.Config) -> None:
    """Register the reports on times and skipped tests, and undo what this run inherits and its programs must not.

    A process in the background ignores Ctrl-C, which its children inherit. `make test` passes its MAKEFLAGS on.
    """
    for name in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS"):
        os.environ.pop(name, None)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.pluginmanager.register(Clock(), "clock")
    config.pluginmanager.register(LeftOut(), "left out")


def pytest_xdist_auto_num_workers() -> int:
    """Return two processes for each core: tests spend much of their time waiting for servers, containers and each other."""
    return 2 * (os.cpu_count() or 1)


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all test processes of this run share."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / "shared"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(autouse=True)
def own_turn(request: pytest.FixtureRequest, shared_folder: Path) -> Iterator[Turn]:
    """Wait until the test may run: beside others, or alone if it is marked so."""
    with turn(shared_folder, alone=request.node.get_closest_marker("alone") is not None) as taken:
        yield taken


@pytest.fixture(scope="session")
def once(shared_folder: Path) -> Once:
    """Folders that are made once for all tests of this run."""
    return Once(shared_folder / "once")


@pytest.fixture(scope="session")
def template(once: Once) -> Path:
    """The template as a user gets it."""
    return once.get("template", rendering.template_copy)


@pytest.fixture(scope="session")
def released(once: Once) -> Path:
    """The template's repository with its releases; the newest is the working tree."""
    try:
        return once.get("released", repository_of_releases)
    except MissingReleaseError as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture
def following(released: Path, tmp_path: Path) -> Path:
    """A copy of the template's repository, for a test that makes the next release."""
    return Path(shutil.copytree(released, tmp_path / "following"))


@pytest.fixture(scope="session")
def fresh_projects(released: Path, once: Once) -> Callable[..., Path]:
    """Projects of the newest release, each rendered once: `fresh_projects(**answers)` returns the folder."""

    def render_once(**answers: Any) -> Path:
        return once.get(
            ("release", sorted(answers.items())), lambda folder: render_release(released, folder, **answers)
        )

    return render_once


@pytest.fixture
def fresh(fresh_projects: Callable[..., Path], tmp_path: Path) -> Callable[..., Path]:
    """A project of the newest release: `fresh(**answers)` returns a copy that the test may change."""
    numbers = iter(range(1000))

    def copied(**answers: Any) -> Path:
        return Path(shutil.copytree(fresh_projects(**answers), tmp_path / f"fresh{next(numbers) or ''}"))

    return copied


@pytest.fixture
def render(template: Path, once: Once, tmp_path: Path) -> Callable[..., Path]:
    """Render a project: `render(**answers)` returns its folder.

    It copies a project that was rendered before with the same answers, because rendering takes a second.
    """
    numbers = iter(range(1000))

    def render_one(**answers: Any) -> Path:
        made = once.get(
            ("project", sorted(answers.items())), lambda folder: rendering.render(template, folder, **answers)
        )
        return Path(shutil.copytree(made, tmp_path / f"project{next(numbers) or ''}", symlinks=True))

    return render_one


@pytest.fixture(scope="session")
def environments(shared_folder: Path) -> Environments:
    """Installed environments, shared between projects with the same packages.

    They are on the same disk as uv's cache, so that uv links files instead of copying them.
    """
    folder = (run_folder() or shared_folder) / "environments"
    folder.mkdir(exist_ok=True)
    return Environments(folder)


@pytest.fixture(autouse=True, scope="session")
def nobodys_machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Use Git and Copier as on a machine whose user has set a name for Git, and nothing else."""
    copier_settings = tmp_path_factory.mktemp("copier") / "settings.yml"
    copier_settings.write_text("defaults: {}\n")
    git_settings = copier_settings.with_name("gitconfig")
    # Do not wait for the disk: the tests' repositories need not survive a power failure.
    git_settings.write_text("[core]\n\tfsync = none\n")
    settings = {
        "COPIER_SETTINGS_PATH": str(copier_settings),
        "GIT_CONFIG_GLOBAL": str(git_settings),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "Test",
        "GIT_AUTHOR_EMAIL": "test@example.com",
        "GIT_COMMITTER_NAME": "Test",
        "GIT_COMMITTER_EMAIL": "test@example.com",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(autouse=True, scope="session")
def copier_at_speed() -> Iterator[None]:
    """Halve the time that Copier takes in this process, with the same results.

    Jinja's compiled templates are cached, and YAML is parsed by libyaml. Copier's question to Git for each file, whether it
    tracks the executable bit, is left out: the answer matters only on Windows, where these tests do not run.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(yaml, "SafeLoader", yaml.CSafeLoader)
        patch.setattr(jinja2.Environment, "compile", rendering.compiling_once(jinja2.Environment.compile))
        patch.setattr(copier._main.Worker, "_sync_git_index_executable_bit", lambda *_: None)
        yield


@pytest.fixture(scope="session")
def database() -> Iterator[PostgreSQL]:
    """A PostgreSQL server for the tests of one process."""
    with postgresql() as server:
        yield server


@pytest.fixture
def redis_server() -> Iterator[Redis]:
    """A Redis server for one test, which may stop it, let it hang and start it again."""
    with redis() as server:
        yield server


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """A Docker engine: the machine's own, or the one that scripts/docker-engine installs."""
    try:
        with running_engine() as engine:
            yield engine
    except NoEngineError:
        pytest.skip("no Docker engine")


@pytest.fixture(scope="session")
def site(
    template: Path, tmp_path_factory: pytest.TempPathFactory, environments: Environments, database: PostgreSQL
) -> Site:
    """A site with a migrated database and static files, for tests that do not change it."""
    project = rendering.render(template, tmp_path_factory.mktemp("site") / "project", platform="gunicorn")
    site = Site(project, environments, database.url)
    site.prepare()
    return site


@pytest.fixture(scope="session")
def started_site(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The same site, served."""
    served = copy.copy(site)
    served.move_to(free_port())
    with served.started(tmp_path_factory.mktemp("started") / "log"):
        yield served


@pytest.fixture(scope="session")
def sqlite_site(template: Path, tmp_path_factory: pytest.TempPathFactory, environments: Environments) -> Site:
    """A site with a SQLite database and static files, for tests that copy and break it."""
    project = rendering.render(template, tmp_path_factory.mktemp("smoke") / "project", platform="gunicorn")
    site = Site(project, environments, "sqlite:///smoke.sqlite3")
    site.variables |= {"ALLOWED_HOSTS": "127.0.0.1", "TRUSTED_PROXY_COUNT": "1", "WEB_CONCURRENCY": "1"}
    # The smoke suite does not need pytest-django, and each run without it is a second shorter.
    site.variables["PYTEST_ADDOPTS"] = "-p no:django -o pythonpath=."
    text("pyproject.toml", ', "--ds=config.settings.test"', "")(project)
    site.prepare()
    return site


@pytest.fixture
def site_copy(sqlite_site: Site, tmp_path: Path) -> Site:
    """A copy of the site that the test may change."""
    site = copy.copy(sqlite_site)
    site.project = Path(shutil.copytree(sqlite_site.project, tmp_path / "project"))
    site.move_to(free_port())
    return site


@pytest.fixture(scope="session")
def questions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A template with the same questions and no files, for tests of answers only."""
    folder = tmp_path_factory.mktemp("questions")
    (folder / "template").mkdir()
    shutil.copy(rendering.ROOT / "copier.yml", folder)
    shutil.copytree(rendering.ROOT / "questions", folder / "questions")
    return folder

"""Updated and switched projects are installed, and pass their tests and their smoke suite."""

import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.edits import APART, LOCALE, OF_THE_PROJECT, OF_THE_SHELL, edit
from tests.support.environments import Environments, project_environment, run, uv
from tests.support.faults import QUICK, text
from tests.support.releases import FOLLOWING, RELEASES, release
from tests.support.rendering import question_choices
from tests.support.repositories import commit, repository
from tests.support.smoke import CHECKS, smoke
from tests.support.updating import render_release, tracked, unsettled, update

# The oldest and the newest release. test_updates.py checks that updates from all others give the same files.
UPDATES = [(next(iter(RELEASES)), "heroku"), (list(RELEASES)[-1], "docker")]
# Each platform once as the old one and once as the new one.
SWITCHES = [("heroku", "docker"), ("docker", "gunicorn"), ("gunicorn", "pythonanywhere"), ("pythonanywhere", "heroku")]


@pytest.mark.parametrize(("version", "platform"), UPDATES)
def test_an_updated_project_passes_its_tests_and_its_smoke_suite(
    released: Path, environments: Environments, tmp_path: Path, version: str, platform: str
) -> None:
    project = repository(render_release(released, tmp_path / "project", version, platform=platform))
    edit(project, *OF_THE_PROJECT, OF_THE_SHELL[platform])
    commit(project, "Ours")
    update(project)
    # The commands of its CI.
    run(["make", "lint", "check"], project, env=environments.at_work(project))
    env = project_environment(environments.install(project))
    run(["pytest", "--quiet", "-p", "no:cacheprovider"], project, env=env)
    QUICK(project)
    outcome = smoke(project, env)
    assert outcome.code == 0, outcome.output
    assert outcome.having("FAIL") == set()
    assert set(CHECKS) <= outcome.rows.keys()


@pytest.mark.parametrize(("before", "after"), SWITCHES)
def test_a_switched_project_passes_the_smoke_suite_of_its_new_platform(
    fresh: Callable[..., Path], environments: Environments, before: str, after: str
) -> None:
    project = repository(fresh(platform=before))
    edit(project, *OF_THE_PROJECT, OF_THE_SHELL[before])
    commit(project, "Ours")
    update(project, platform=after)
    QUICK(project)
    outcome = smoke(project, project_environment(environments.install(project)))
    assert outcome.code == 0, outcome.output
    assert set(CHECKS) <= outcome.rows.keys()


def test_versions_that_a_bot_raised_and_ranges_that_a_release_raised_do_not_meet(
    following: Path, tmp_path: Path
) -> None:
    """Bots change the lock file, the template changes the ranges: see .github/dependabot.yml."""
    project = render_release(following, tmp_path / "project")
    run([uv(), "lock", "--quiet", "--resolution=lowest-direct"], project)
    tracked(project)
    before = (project / "uv.lock").read_text()
    run([uv(), "lock", "--quiet", "--upgrade", "--resolution=highest"], project)
    raised = (project / "uv.lock").read_text()
    assert raised != before
    commit(project, "Raise versions")
    # A range that is raised, one that is lowered, and a new package.
    template = following / "template"
    text("pyproject.toml.jinja", "whitenoise[brotli]>=6.12,<7", "whitenoise[brotli]>=6.12,<8")(template)
    text("pyproject.toml.jinja", "gunicorn>=27.0.1,<28", "gunicorn>=27,<28")(template)
    text("pyproject.toml.jinja", '"dj-database-url', '"six>=1.16,<2",\n    "dj-database-url')(template)
    release(following, FOLLOWING)
    update(project, FOLLOWING)
    assert not unsettled(project)
    assert (project / "uv.lock").read_text() == raised
    run([uv(), "lock", "--quiet"], project)
    # Versions that the bot raised stay raised, and the new package is added.
    assert versions((project / "uv.lock").read_text()).items() > versions(raised).items()


@pytest.mark.parametrize("database", question_choices("database"))
def test_uv_adds_packages_apart_from_the_templates(fresh: Callable[..., Path], database: str) -> None:
    project = fresh(platform="gunicorn", database=database, ci="none")
    before = (project / "pyproject.toml").read_text().splitlines()
    run([uv(), "add", "--quiet", "--no-sync", "idna"], project)
    run([uv(), "add", "--quiet", "--no-sync", "--dev", "iniconfig"], project)
    after = (project / "pyproject.toml").read_text().splitlines()
    ours = [number for number, line in enumerate(after) if line not in before]
    assert [after[number - 1][:23] for number in ours] == ["    # The project's own"] * 2


def versions(lock: str) -> dict[str, str]:
    """Return the packages in a lock file with their versions."""
    return {each["name"]: each["version"] for each in tomllib.loads(lock)["package"]}


def test_a_release_with_a_migration_reaches_a_project_that_has_data(
    following: Path, environments: Environments, tmp_path: Path
) -> None:
    """The release changes what 0.2.0 to 0.4.0 did not: a model and its table, together with settings and a package."""
    project = repository(render_release(following, tmp_path / "project"))
    env = project_environment(environments.install(project))
    run(["python", "manage.py", "migrate", "--noinput"], project, env=env)
    user = {"DJANGO_SUPERUSER_EMAIL": "a@example.com", "DJANGO_SUPERUSER_PASSWORD": "correct horse battery"}
    run(["python", "manage.py", "createsuperuser", "--noinput"], project, env={**env, **user})
    edit(project, *APART)
    commit(project, "Ours")

    with_a_migration(following)
    update(project, FOLLOWING)
    assert not unsettled(project)
    env = project_environment(environments.install(project))
    assert "accounts.0002_user_locale" in run(["python", "manage.py", "migrate", "--noinput"], project, env=env)
    say = "from apps.accounts.models import User; print(repr(User.objects.get(email='a@example.com').locale))"
    assert run(["python", "manage.py", "shell", "--command", say], project, env=env).splitlines()[-1] == "''"
    run(["pytest", "--quiet", "-p", "no:cacheprovider"], project, env=env)


def with_a_migration(following: Path) -> None:
    """Release a template with a new field in the user model, another value of a setting, and other ranges of packages."""
    template = following / "template"
    edit(template, *LOCALE)
    text("config/settings/base.py.jinja", "BACKUP_KEEP = 7", "BACKUP_KEEP = 14")(template)
    text("pyproject.toml.jinja", "whitenoise[brotli]>=6.12,<7", "whitenoise[brotli]>=6.12,<8")(template)
    release(following, FOLLOWING)

"""`manage.py check --deploy` finds nothing once HSTS has its full duration, and no check is silenced."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.edits import behind
from tests.support.environments import Environments, run
from tests.support.rendering import Answers, combination_id, pairwise_combinations
from tests.support.sites import Site

each_shell = pytest.mark.parametrize("answers", pairwise_combinations(), ids=combination_id)
RAMP_DONE = {
    "SECURE_HSTS_SECONDS": "31536000",
    "SECURE_HSTS_INCLUDE_SUBDOMAINS": "true",
    "SECURE_HSTS_PRELOAD": "true",
}
MAIL = {"EMAIL_URL": "smtp+tls://user:password@localhost:587", "DEFAULT_FROM_EMAIL": "Todo List <site@example.com>"}


EXPECTED = {"security.W005", "security.W021"}


def deployed(project: Path, environments: Environments, database: str) -> Site:
    """Return a project with production variables, whose database is never used."""
    where = {"postgresql": "postgresql://site@localhost/site", "sqlite": "sqlite:///db.sqlite3"}
    return Site(project, environments, where[database])


def is_clean(site: Site, **mail: str) -> bool:
    """Return True if the check has only the expected findings at first, and none once HSTS has its full duration."""
    first = site.manage("check", "--deploy", "--fail-level", "ERROR", **mail)
    later = site.manage("check", "--deploy", "--fail-level", "WARNING", **RAMP_DONE, **mail)
    return set(re.findall(r"\w+\.[WE]\d{3}", first)) == EXPECTED and "no issues (0 silenced)" in later


@each_shell
def test_the_check_is_clean(render: Callable[..., Path], environments: Environments, answers: Answers) -> None:
    project = render(**answers)
    assert "SILENCED_SYSTEM_CHECKS" not in "".join(path.read_text() for path in project.glob("config/**/*.py"))
    assert is_clean(deployed(project, environments, answers["database"]))
    # The docs explain the expected findings.
    assert set(re.findall(r"`(security\.W\d{3})`", (project / "docs/security.md").read_text())) == EXPECTED


def test_a_project_that_takes_uploads_passes_in_ci(render: Callable[..., Path], environments: Environments) -> None:
    """CI has no place for uploads, and need not have. Whatever is in the folder's path, no shell runs it."""
    rendered = render(platform="heroku")
    project = rendered.rename(rendered.with_name("-a $(touch run) `touch run` 'b' \"c\" #d"))
    behind(
        "apps/accounts/models.py",
        '    email = models.EmailField(_("email address"), unique=True)',
        "    photo = models.FileField(blank=True)",
    )(project)
    env = environments.at_work(project)
    assert "no issues (0 silenced)" in run(["make", "check"], project, env=env)
    assert not (project / "run").exists()
    # A folder that whoever runs it may write to: root, as which these tests may run, could anywhere.
    assert 'MEDIA_ROOT="$PWD/media"' in run(["make", "--dry-run", "check"], project, env=env)


def test_the_check_is_clean_with_mail(render: Callable[..., Path], environments: Environments) -> None:
    assert is_clean(deployed(render(database="sqlite"), environments, "sqlite"), **MAIL)

"""Every platform is rendered, installed, started by its own start command under production settings, and passes its smoke suite.

The promise in the words of pytest-copier: a template is copied, and commands are run in the project. It trusts the template always,
so what needs no trust is rendered by plain Copier everywhere else.
"""

import re
import shlex
from pathlib import Path

import pytest
from pytest_copier.plugin import CopierFixture, copier, copier_defaults, copier_template, copier_template_root

from tests.support.environments import Environments, project_environment
from tests.support.faults import QUICK
from tests.support.redis import Redis
from tests.support.rendering import ANSWERS, TEMPLATE, Answers, combination_id, pairwise_combinations
from tests.support.smoke import API, CHECKS, REDIRECT

# The plugin's fixtures are imported only here: loaded as a plugin, it would change Git's settings for all tests.
__all__ = ["copier", "copier_defaults", "copier_template", "copier_template_root"]


@pytest.fixture(scope="session")
def copier_template_paths() -> list[str]:
    """The files of this repository that Copier reads."""
    return [*TEMPLATE]


@pytest.fixture(scope="session")
def default_gitconfig(nobodys_machine: None) -> None:
    """Use the Git settings of all tests here instead of the plugin's."""


# Heroku, PythonAnywhere, Docker and gunicorn with combinations that cover all pairs of answers.
@pytest.mark.parametrize("answers", pairwise_combinations(), ids=combination_id)
def test_a_platform_is_rendered_and_passes_its_smoke_suite(
    copier: CopierFixture,
    environments: Environments,
    redis_server: Redis,
    tmp_path: Path,
    answers: Answers,
) -> None:
    project = copier.copy(tmp_path / "project", **{**ANSWERS, **answers})
    QUICK(project.path)
    env = project_environment(environments.install(project.path))
    broker = ["--broker-url", redis_server.url] if answers["tasks"] == "celery" else []
    said = project.run(shlex.join(["pytest", "smoke", "-p", "no:cacheprovider", *broker]), env=env)
    table = [(check, word) for word, check in re.findall(r"^(PASS|FAIL|SKIP)  (.+?)(?:  .*)?$", said, re.MULTILINE)]
    # PythonAnywhere's setting "Force HTTPS" redirects, before the request reaches the server.
    skipped = {REDIRECT} if answers["platform"] == "pythonanywhere" else set()
    checks = [API, *CHECKS] if "api" in answers["extras"] else CHECKS
    assert table == [(check, "SKIP" if check in skipped else "PASS") for check in checks]

"""Django's own check for deployment is clean once the ramp of HSTS is done, and nothing is silenced."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.environments import Environments
from tests.support.rendering import Answers, combination_id, pairwise_combinations
from tests.support.sites import Site

each_shell = pytest.mark.parametrize("answers", pairwise_combinations(), ids=combination_id)
RAMP_DONE = {
    "SECURE_HSTS_SECONDS": "31536000",
    "SECURE_HSTS_INCLUDE_SUBDOMAINS": "true",
    "SECURE_HSTS_PRELOAD": "true",
}
MAIL = {"EMAIL_URL": "smtp+tls://user:password@localhost:587", "DEFAULT_FROM_EMAIL": "Todo List <site@example.com>"}


@each_shell
def test_the_check_is_clean(render: Callable[..., Path], environments: Environments, answers: Answers) -> None:
    project = render(**answers)
    assert "SILENCED_SYSTEM_CHECKS" not in "".join(path.read_text() for path in project.glob("config/**/*.py"))
    database = "postgresql://site@localhost/site" if answers["database"] == "postgresql" else "sqlite:///db.sqlite3"
    site = Site(project, environments, database)
    for mail in ({}, MAIL):
        # From the first deploy on, two warnings are expected, and docs/security.md explains them.
        first = site.manage("check", "--deploy", "--fail-level", "ERROR", **mail)
        assert set(re.findall(r"\w+\.[WE]\d{3}", first)) == {"security.W005", "security.W021"}
        assert set(re.findall(r"`(security\.W\d{3})`", (project / "docs/security.md").read_text())) == {
            "security.W005",
            "security.W021",
        }
        assert "no issues (0 silenced)" in site.manage(
            "check", "--deploy", "--fail-level", "WARNING", **RAMP_DONE, **mail
        )

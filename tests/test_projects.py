"""Projects installed for real: their own tests, types and checks pass."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.databases import PostgreSQL
from tests.support.environments import Environments, project_environment, run
from tests.support.rendering import Answers, combination_id, pairwise_combinations


@pytest.mark.parametrize("answers", pairwise_combinations(), ids=combination_id)
def test_a_fresh_project_passes_its_own_checks(
    render: Callable[..., Path], environments: Environments, database: PostgreSQL, answers: Answers
) -> None:
    project = render(**answers)
    env = project_environment(environments.install(project))
    run(["pytest", "--quiet", "--cov"], project, env=env)
    if answers["database"] == "postgresql":
        # What wants PostgreSQL is left out without it, and nothing is with it.
        assert "skipped" not in run(["pytest", "--quiet"], project, env={**env, "DATABASE_URL": database.url})
    run(["mypy"], project, env=env)
    run(["python", "manage.py", "check"], project, env=env)
    run(["python", "manage.py", "makemigrations", "--check", "--dry-run"], project, env=env)

"""Rendered projects are installed, and their own tests, types and checks pass."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.databases import PostgreSQL
from tests.support.environments import Environments, project_environment, run
from tests.support.rendering import Answers, combination_id, pairwise_combinations, question_choices

# Pytest's summary of skipped tests. Coverage's line about skipped files has another form.
LEFT_OUT = re.compile(r"\d+ skipped")


def hold_to_the_templates_rules(project: Path) -> None:
    """Apply the project's stricter rules to the template's files too, as the template requires of its own code."""
    rules = project / "pyproject.toml"
    said = rules.read_text()
    for of_an_owner, of_the_template in {
        '    "apps/accounts/*", "apps/pages/*",\n': "",
        "fail_under = 0": "fail_under = 95",
        'module = ["apps.*", ': "module = [",
    }.items():
        assert of_an_owner in said
        said = said.replace(of_an_owner, of_the_template)
    rules.write_text(re.sub(r'    "apps/(assistant|profile)/\*",\n', "", said))


# Coverage makes tests a third slower. These combinations include all of the template's files.
COUNTED = [
    answers
    for answers in pairwise_combinations()
    if answers["extras"] == question_choices("extras") or answers["tasks"] == "celery"
]


@pytest.mark.parametrize("answers", pairwise_combinations(), ids=combination_id)
def test_a_fresh_project_passes_its_own_checks(
    render: Callable[..., Path], environments: Environments, database: PostgreSQL, answers: Answers
) -> None:
    project = render(**answers)
    hold_to_the_templates_rules(project)
    env = project_environment(environments.install(project))
    tests = ["pytest", "--quiet", *(["--cov"] if answers in COUNTED else [])]
    if answers["database"] == "postgresql":
        assert not LEFT_OUT.search(run(tests, project, env={**env, "TEST_DATABASE_URL": database.url}))
    else:
        run(tests, project, env=env)
    run(["mypy"], project, env=env)
    # makemigrations runs the system checks too.
    run(["python", "manage.py", "makemigrations", "--check", "--dry-run"], project, env=env)


def test_what_wants_postgresql_is_left_out_without_it(
    render: Callable[..., Path], environments: Environments, database: PostgreSQL
) -> None:
    project = render(database="postgresql")
    env = project_environment(environments.install(project))
    assert LEFT_OUT.search(run(["pytest", "--quiet"], project, env=env))
    assert not LEFT_OUT.search(run(["pytest", "--quiet"], project, env={**env, "TEST_DATABASE_URL": database.url}))

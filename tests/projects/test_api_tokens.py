"""Tokens of the API outlive an update of the project."""

from collections.abc import Callable
from pathlib import Path

from tests.support import rendering
from tests.support.environments import Environments, project_environment, run

MAKE = """
from django.db import connection
from apps.accounts.models import User
from operations.api.models import digest
user = User.objects.create_user("ann@example.com")
with connection.cursor() as cursor:
    cursor.execute(
        "INSERT INTO operations_api_token (user_id, name, digest, created_at) VALUES (%s, %s, %s, %s)",
        [user.pk, "Nightly import", digest("api_old"), "2020-01-01 00:00:00"],
    )
"""
USE = """
from django.core.management import call_command
from django.test import Client
call_command("cleanup")
print(Client().get("/api/me", headers={"Authorization": "Bearer api_old", "Host": "localhost"}).json()["email"])
"""


def test_a_token_from_before_tokens_expired_is_valid_without_an_end(
    render: Callable[..., Path], environments: Environments
) -> None:
    # A combination that other tests install too.
    answers = next(row for row in rendering.pairwise_combinations() if "api" in row["extras"])
    project = render(**answers)
    env = project_environment(environments.install(project), DATABASE_URL=f"sqlite:///{project}/old.sqlite3")
    shell = ["python", "manage.py", "shell", "--no-imports", "--command"]
    run(["python", "manage.py", "migrate"], project, env=env)
    run(["python", "manage.py", "migrate", "operations_api", "0001"], project, env=env)
    run([*shell, MAKE], project, env=env)
    run(["python", "manage.py", "migrate"], project, env=env)
    assert run([*shell, USE], project, env=env).splitlines()[-1] == "ann@example.com"
    assert "never expires  Nightly import" in run(["python", "manage.py", "apitoken", "list"], project, env=env)

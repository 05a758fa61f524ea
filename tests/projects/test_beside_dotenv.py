"""Development works beside the `.env` that the runbook tells to write, and each command prints the settings it uses."""

import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.environments import Environments, project_environment, run
from tests.support.rendering import question_choices

Render = Callable[..., Path]

# The README's command, without its prompts.
SUPERUSER = ["createsuperuser", "--noinput", "--email", "owner@example.com"]
PASSWORD = {"DJANGO_SUPERUSER_PASSWORD": "correct horse battery staple"}


@pytest.mark.parametrize("platform", question_choices("platform"))
def test_what_to_type_beside_the_runbooks_dotenv_is_said_and_works(
    render: Render, environments: Environments, platform: str
) -> None:
    project = render(platform=platform, database="postgresql" if platform == "heroku" else "sqlite", ci="none")
    env = {**project_environment(environments.install(project)), **PASSWORD}
    # The `.env` still has the example values.
    shutil.copy(project / ".env.example", project / ".env")
    refused = subprocess.run(
        ["python", "manage.py", *SUPERUSER], cwd=project, env=env, capture_output=True, text=True, check=False
    )
    assert refused.returncode == 3
    assert refused.stderr.startswith("Settings: config.settings.production, from .env")
    assert "Traceback" not in refused.stderr
    (told,) = re.findall("type: uv run (python manage.py .+)", refused.stderr)
    run(["python", "manage.py", "migrate", "--settings", "config.settings.development"], project, env=env)
    said = run(shlex.split(told), project, env=env)
    assert said.startswith("Settings: config.settings.development; .env is not read")
    assert "Superuser created" in said


def test_make_says_that_it_does_not_read_productions_dotenv(render: Render, environments: Environments) -> None:
    project = render(ci="none")
    shutil.copy(project / ".env.example", project / ".env")
    said = run(["make", "migrations"], project, env=environments.at_work(project))
    assert (
        "Settings: config.settings.development; .env is not read, because it is for config.settings.production" in said
    )


@pytest.mark.parametrize(
    ("line", "number"), [("SIGNUP_OPEN: s3cret", 2), ("\nLOG_LEVEL='s3cret", 3)], ids=["a colon", "an open quote"]
)
@pytest.mark.parametrize("command", [["python", "manage.py", "check"], ["gunicorn", "--check-config"]], ids=" ".join)
def test_a_line_that_cannot_be_read_stops_every_process_in_a_line(
    render: Render, environments: Environments, command: list[str], line: str, number: int
) -> None:
    project = render(ci="none")
    (project / ".env").write_text("# Ours\n" + line)
    done = subprocess.run(
        command,
        cwd=project,
        env=project_environment(environments.install(project)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert done.stdout.splitlines() == [
        "Not starting: 1 problem(s) in .env.",
        f"  .env, line {number}: not NAME=value, or a quote is not closed",
    ]

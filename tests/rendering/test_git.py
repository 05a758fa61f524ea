"""What git would take from a project is what was rendered and the lock: no secret, no database, no environment."""

from collections.abc import Callable
from pathlib import Path

from tests.support.environments import Environments, project_environment, run


def test_a_project_in_use_offers_git_no_secret_and_no_data(
    render: Callable[..., Path], environments: Environments
) -> None:
    project = render()
    rendered = {str(path.relative_to(project)) for path in project.rglob("*") if path.is_file()}
    env = project_environment(environments.install(project))
    # What working with a project leaves in it.
    for secret in (
        ".env",
        ".env.production",
        "server.key",
        "server.pem",
        "backup.dump",
        "site.log",
        "media/upload.png",
    ):
        (project / secret).parent.mkdir(exist_ok=True)
        (project / secret).write_text("SECRET_KEY=secret")
    run(["python", "-m", "venv", "--without-pip", ".venv"], project, env=env)
    run(["python", "manage.py", "migrate"], project, env=env)
    run(["python", "manage.py", "collectstatic", "--noinput"], project, env=env)
    run(["mypy", "manage.py"], project, env=env)
    run(["ruff", "check"], project, env=env)
    assert (project / "db.sqlite3").exists()

    run(["git", "init", "--quiet"], project)
    offered = run(["git", "add", "--all", "--dry-run"], project)
    assert {line.removeprefix("add '").removesuffix("'") for line in offered.splitlines()} == rendered | {"uv.lock"}

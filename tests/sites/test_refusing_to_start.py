"""Production refuses to start with wrong variables: one message with a line for each, exit code 3, no secret."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.environments import Environments, clean_environment, project_environment, run, uv
from tests.support.rendering import render
from tests.support.sites import Site

# The commands that start the project.
MANAGE = ["python", "manage.py", "migrate", "--noinput"]
GUNICORN = ["gunicorn"]
UWSGI = [
    "uwsgi",
    "--http-socket=127.0.0.1:0",
    "--wsgi-file=deploy/pythonanywhere_wsgi.py",
    "--need-app",
    "--die-on-term",
]

# A wrong value for each variable, with a secret written into it: "hunter2".
WRONG = {
    "SECRET_KEY": "hunter2-too-short",
    "SECRET_KEY_FALLBACKS": "hunter2-old",
    "ALLOWED_HOSTS": "https://www:hunter2@www.example.com",
    "CSRF_TRUSTED_ORIGINS": "https://user:hunter2@www.example.com",
    "DATABASE_URL": "postgres://user:hunter2/x@host:port/name",
    "DATABASE_DIRECT_URL": "postgres://user:hunter2/x@host:port/name",
    "DATABASE_TIMEOUT_SECONDS": "hunter2",
    "CONN_MAX_AGE": "hunter2",
    "MEDIA_ROOT": "relative/hunter2",
    "MAX_BODY_MB": "hunter2",
    "CACHE_URL": "redis://user:hunter2@host:port/0",
    "BACKUP_DIR": "hunter2",
    "BACKUP_KEEP": "hunter2",
    "CLEANUP_UPLOADS_INTERVAL_HOURS": "hunter2",
    "CLEANUP_UPLOADS_MIN_AGE_HOURS": "hunter2",
    "SECURE_SSL_REDIRECT": "hunter2",
    "SECURE_HSTS_SECONDS": "-1 hunter2",
    "SECURE_HSTS_INCLUDE_SUBDOMAINS": "hunter2",
    "SECURE_HSTS_PRELOAD": "hunter2",
    "SESSION_COOKIE_SECURE": "hunter2",
    "CSRF_COOKIE_SECURE": "hunter2",
    "TRUSTED_PROXY_COUNT": "hunter2",
    "SIGNUP_OPEN": "hunter2",
    "EMAIL_URL": "smtp://user:hunter2@host/path",
    "DEFAULT_FROM_EMAIL": "smtp://user:hunter2@mail.example.com",
    "LOG_LEVEL": "hunter2",
    "REQUEST_LOG_LEVEL": "hunter2",
    "LOG_FILE": "hunter2.log",
    "GUNICORN_THREADS": "hunter2",
    "PORT": "hunter2",
    "GUNICORN_TIMEOUT": "hunter2",
}


@pytest.fixture(scope="session")
def project(template: Path, tmp_path_factory: pytest.TempPathFactory, environments: Environments) -> Site:
    """A project whose shell has all three start commands."""
    home = tmp_path_factory.mktemp("refusing")
    folder = render(template, home / "project", platform="pythonanywhere", database="sqlite", project_slug="project")
    site = Site(folder, environments, f"sqlite:///{home / 'db.sqlite3'}")
    site.variables["HOME"] = str(home)
    return site


def refused(site: Site, command: list[str], **variables: str) -> list[str]:
    """Start the project, check that it refuses correctly, and return the problems that it lists."""
    env = site.environment(**variables)
    done = subprocess.run(
        command,
        cwd=site.project,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 3, said
    assert "Traceback" not in said
    assert said.count("Not starting:") == 1, said
    lines = done.stderr.splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("Not starting:"))
    return [line.strip() for line in lines[first + 1 :] if line.startswith("  ")]


@pytest.mark.parametrize("command", [MANAGE, GUNICORN, UWSGI], ids=["manage.py", "gunicorn", "uWSGI"])
def test_everything_that_is_wrong_is_said_at_once(project: Site, command: list[str]) -> None:
    problems = refused(project, command, **WRONG)
    assert [problem.partition(":")[0] for problem in problems] == list(WRONG)
    assert "hunter2" not in "".join(problems)


@pytest.mark.parametrize("command", [MANAGE, GUNICORN, UWSGI], ids=["manage.py", "gunicorn", "uWSGI"])
@pytest.mark.parametrize("value", ["", " "], ids=["empty", "blank"])
def test_what_is_required_and_empty_is_missing(project: Site, command: list[str], value: str) -> None:
    required = dict.fromkeys(("SECRET_KEY", "ALLOWED_HOSTS", "DATABASE_URL"), value)
    assert [problem.partition(". ")[0] for problem in refused(project, command, **required)] == [
        f"{name}: not set" for name in required
    ]


@pytest.mark.parametrize(("name", "value"), [("FORWARDED_ALLOW_IPS", "proxy"), ("WEB_CONCURRENCY", "two")])
def test_what_gunicorn_reads_before_any_file_of_ours_is_refused_by_what_runs_before_it(
    project: Site, name: str, value: str
) -> None:
    (problem,) = refused(project, MANAGE, **{name: value})
    assert problem.startswith(f"{name}: ")


def test_a_mail_server_needs_a_sender(project: Site) -> None:
    (problem,) = refused(project, ["python", "manage.py", "check"], EMAIL_URL="smtp://localhost")
    assert problem.startswith("DEFAULT_FROM_EMAIL: not set. EMAIL_URL needs it.")


@pytest.mark.parametrize("name", ["FORWARDED_ALLOW_IPS", "WEB_CONCURRENCY"])
def test_a_secret_in_a_variable_of_gunicorns_is_not_shown_by_what_runs_before_it(project: Site, name: str) -> None:
    assert "hunter2" not in "".join(refused(project, MANAGE, **{name: "hunter2"}))


def test_backups_that_visitors_could_read_are_refused_in_one_line(project: Site, tmp_path: Path) -> None:
    (problem,) = refused(project, GUNICORN, MEDIA_ROOT=str(tmp_path), BACKUP_DIR=str(tmp_path / "backups"))
    assert problem.startswith("BACKUP_DIR: the path is in MEDIA_ROOT, ")


@pytest.mark.parametrize("name", sorted(WRONG))
def test_each_variable_is_refused_by_itself(project: Site, name: str) -> None:
    (problem,) = refused(project, ["python", "manage.py", "check"], **{name: WRONG[name]})
    assert problem.startswith(f"{name}: ")
    assert "hunter2" not in problem


@pytest.mark.parametrize(
    "key",
    ["", "x" * 60, "django-insecure-" + "ab1" * 20, "change-me" * 8, "a" * 25 + "b" * 24],
    ids=lambda key: key[:16],
)
def test_a_key_that_can_be_guessed_is_refused(project: Site, key: str) -> None:
    (problem,) = refused(project, ["python", "manage.py", "check"], SECRET_KEY=key)
    assert "secrets.token_urlsafe(50)" in problem


def test_a_database_in_memory_is_refused_by_servers_and_not_by_a_build(project: Site) -> None:
    memory = {"DATABASE_URL": "sqlite:///:memory:"}
    for server in (GUNICORN, UWSGI):
        problems = refused(project, server, **memory)
        assert problems[0].startswith("DATABASE_URL: name a database that stays.")
    assert "no issues" in project.manage("check", **memory)


def test_static_files_that_were_not_collected_are_found_at_start(project: Site) -> None:
    assert refused(project, GUNICORN) == ["Run: python manage.py collectstatic --noinput"]
    assert refused(project, UWSGI) == ["Run: python manage.py collectstatic --noinput"]


def test_secrets_can_come_from_files(project: Site, tmp_path: Path) -> None:
    for name in ("SECRET_KEY", "DATABASE_URL", "EMAIL_URL"):
        value = {**project.variables, "EMAIL_URL": "smtp://localhost"}[name]
        (tmp_path / name).write_text(f"{value}\n")
    files = {f"{name}_FILE": str(tmp_path / name) for name in ("SECRET_KEY", "DATABASE_URL", "EMAIL_URL")}
    unset = dict.fromkeys(("SECRET_KEY", "DATABASE_URL", "EMAIL_URL"), "")
    said = project.manage("check", **files, **unset, DEFAULT_FROM_EMAIL="site@example.com")
    assert "no issues" in said
    (problem,) = refused(project, MANAGE, SECRET_KEY="", SECRET_KEY_FILE=str(tmp_path / "missing"))
    assert problem == "SECRET_KEY: SECRET_KEY_FILE names a file that cannot be read (No such file or directory)"
    (problem,) = refused(project, MANAGE, SECRET_KEY_FILE=str(tmp_path / "SECRET_KEY"))
    assert problem.startswith("SECRET_KEY: given twice")


def test_debug_cannot_be_switched_on_in_production(project: Site) -> None:
    code = "from django.conf import settings; print(settings.DEBUG)"
    command = ["python", "manage.py", "shell", "--no-imports", "--command", code]
    for value in ("true", "1"):
        env = project.environment(DEBUG=value, DJANGO_DEBUG=value)
        assert run(command, project.project, env=env).strip() == "False"


def test_development_refuses_where_its_tools_are_not_installed(render: Callable[..., Path], tmp_path: Path) -> None:
    folder = render()
    environment = tmp_path / "environment"
    sync = [uv(), "sync", "--quiet", "--no-default-groups"]
    run(sync, folder, env=clean_environment(UV_PROJECT_ENVIRONMENT=str(environment)))
    done = subprocess.run(
        [environment / "bin" / "python", "manage.py", "migrate"],
        cwd=folder,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert "Traceback" not in done.stderr
    assert "DJANGO_SETTINGS_MODULE: in production, set it to config.settings.production" in done.stderr
    assert not (folder / "db.sqlite3").exists()


def test_building_needs_no_real_variables_not_even_the_owners(
    render: Callable[..., Path], environments: Environments
) -> None:
    """The command from the image build works without any."""
    folder = render()
    dockerfile = (folder / "Dockerfile").read_text().replace("\\\n", "")
    (line,) = [line for line in dockerfile.splitlines() if "collectstatic --noinput" in line]
    command = ["sh", "-c", line.removeprefix("RUN ")]
    env = project_environment(environments.install(folder))
    # As the README says. The suite that the command deletes is no part of this.
    settings, project = folder / "config/settings/production.py", folder / "pyproject.toml"
    settings.write_text(
        settings.read_text().replace("\nenv.seal()", '\nSTRIPE_KEY = env.str("STRIPE_KEY")\nenv.seal()')
    )
    with pytest.raises(AssertionError, match=r"STRIPE_KEY: not set"):
        run(command, folder, env=env)
    variables = "" if "[tool.smoke.variables]" in project.read_text() else "\n[tool.smoke.variables]\n"
    project.write_text(f'{project.read_text()}{variables}STRIPE_KEY = "none"\n')
    run(command, folder, env=env)
    assert (folder / "staticfiles" / "staticfiles.json").exists()

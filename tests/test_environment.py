"""The environment contract: what is read, what is documented and what the shells set are the same variables."""

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from tests.support import rendering
from tests.support.rendering import combination_id, triple_combinations

Render = Callable[..., Path]

# Read by a library or by Django itself, and documented for what they do to the site.
READ_BY_OTHERS = {
    "DJANGO_SETTINGS_MODULE": "django.conf",
    "DJANGO_SUPERUSER_EMAIL": "createsuperuser",
    "DJANGO_SUPERUSER_PASSWORD": "createsuperuser",
}
# What the image says, what is for development, what compose.yaml alone reads, and what wants a disk that all machines have
# in common.
NOT_ON_A_SWARM = {
    *("DJANGO_SETTINGS_MODULE", "RUN_MIGRATIONS", "SENTRY_RELEASE", "TASKS_IN_WORKER"),
    *(
        "COMPOSE_PROFILES",
        "DEV_USER",
        "DOMAIN",
        "FLOWER_PORT",
        "HTTPS_PORT",
        "HTTP_PORT",
        "IMAGE",
        "REVISION",
        "SMOKE_IMAGE",
        "WEB_PORT",
        "WORKERS",
    ),
    *("DJANGO_SUPERUSER_EMAIL", "DJANGO_SUPERUSER_PASSWORD"),
    *("BACKUP_BUCKET", "BACKUP_DIR", "BACKUP_KEEP", "LOG_FILE", "MEDIA_ROOT"),
}
# Belong to the program that reads them, or are words of a message, and mean nothing to the site.
NOT_THE_SITES = {
    "ACME_SERVER",
    "API_TOKEN",
    "CELERY_BROKER",
    "CHECKED",
    "COMMIT",
    "DEBIAN_FRONTEND",
    "DEPLOY_FOLDER",
    "DEPLOY_KNOWN_HOSTS",
    "DEPLOY_SSH",
    "DEPLOY_SSH_KEY",
    "DEPLOY_TO",
    "DEPLOY_URL",
    "FAILED",
    "FLOWER_BASIC_AUTH",
    "GIT_TERMINAL_PROMPT",
    "HEAD",
    "HEROKU_API_KEY",
    "HEROKU_APP",
    "HOST",
    "HTTPS_SUFFIX",
    "HTTP_X_REAL_IP",
    "LANG",
    "LISTEN_FDS",
    "LISTEN_PID",
    "NAME",
    "NOPASSWD",
    "ON_ERROR_STOP",
    "PATH",
    "PGDATABASE",
    "PGHOST",
    "PGOPTIONS",
    "PGPASSWORD",
    "PGUSER",
    "POSTGRES_DB",
    "POSTGRES_PASSWORD_FILE",
    "POSTGRES_USER",
    "PYTEST_ADDOPTS",
    "PYTHONANYWHERE_API_TOKEN",
    "PYTHONANYWHERE_KNOWN_HOSTS",
    "PYTHONANYWHERE_SITE",
    "PYTHONANYWHERE_SSH",
    "PYTHONANYWHERE_SSH_KEY",
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONUNBUFFERED",
    "REGISTRY_PASSWORD",
    "REGISTRY_USER",
    "REMOTE_ADDR",
    "REDIS_URL",
    "SECRETS",
    "SENTRY_AUTH_TOKEN",
    "SENTRY_ORG",
    "SENTRY_PROJECT",
    "SSH_ORIGINAL_COMMAND",
    "TYPE_CHECKING",
    "UV_COMPILE_BYTECODE",
    "UV_ENV_FILE",
    "UV_LINK_MODE",
    "UV_NO_CACHE",
    "UV_PROJECT_ENVIRONMENT",
    "UV_PYTHON_DOWNLOADS",
    "UV_PYTHON_INSTALL_DIR",
}


def calls_that_read(project: Path) -> Iterator[tuple[str, ast.expr | None]]:
    """Each variable that the project's Python reads, with the default that it falls back to."""
    sources = [
        *project.glob("config/**/*.py"),
        *project.glob("apps/**/*.py"),
        *project.glob("operations/**/*.py"),
        project / "gunicorn.conf.py",
    ]
    for source in sources:
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.For) and isinstance(node.iter, ast.Tuple):
                # for name in ("PORT", …): env.count(name, …)
                yield from ((name, None) for name in map(variable, node.iter.elts) if name)
            if not isinstance(node, ast.Call) or not node.args or not (name := variable(node.args[0])):
                continue
            if ast.unparse(node.func).startswith("env.") or ast.unparse(node.func) in ("os.environ.get", "number"):
                rest = [*node.args[1:], *(keyword.value for keyword in node.keywords if keyword.arg == "default")]
                yield name, rest[0] if rest else None


def variable(node: ast.expr) -> str | None:
    """The variable that an expression names, if it names one."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and re.fullmatch("[A-Z][A-Z0-9_]+", node.value):
        return node.value
    return None


def variables_read(project: Path) -> set[str]:
    """What the project reads, be it in its own Python, a compose file or through a library."""
    compose = "".join(path.read_text() for path in project.glob("compose*.yaml"))
    entrypoint = "".join(path.read_text() for path in project.glob("docker-entrypoint.sh"))
    return (
        {name for name, _ in calls_that_read(project)}
        | set(READ_BY_OTHERS)
        | set(re.findall(r"(?<!\$)\$\{([A-Z][A-Z0-9_]+)", compose + entrypoint))
    )


def given_as_files(project: Path) -> set[str]:
    """The variables that a compose file sets to a secret's file, and an example of a `.env` therefore does not."""
    compose = "".join(path.read_text() for path in project.glob("compose.yaml"))
    return set(re.findall(r"^ +([A-Z][A-Z0-9_]+)_FILE: /run/secrets/", compose, re.MULTILINE)) - {"POSTGRES_PASSWORD"}


def documented(project: Path) -> dict[str, str]:
    """The variables in docs/environment.md, each with its default as written there."""
    rows = re.findall(
        r"^\| `([A-Z][A-Z0-9_]+)` \| .* \| ([^|]+) \|$", (project / "docs/environment.md").read_text(), re.MULTILINE
    )
    assert len(rows) == len(dict(rows)), "a variable is listed twice"
    return dict(rows)


def exampled(project: Path) -> dict[str, bool]:
    """The variables in .env.example, each with whether the line is in force."""
    rows = re.findall(r"^(# )?([A-Z][A-Z0-9_]+)=", (project / ".env.example").read_text(), re.MULTILINE)
    assert len(rows) == len({name for _, name in rows}), "a variable is listed twice"
    return {name: not comment for comment, name in rows} | dict.fromkeys(given_as_files(project), True)


def set_by_the_shell(project: Path) -> set[str]:
    """The variables that the platform's own files set or name."""
    names: set[str] = set()
    shell = ["Procfile", "app.json", "Dockerfile", "docker-entrypoint.sh", "compose.yaml", "compose.dev.yaml"]
    for path in [*(project / name for name in shell), *project.glob("deploy/**/*")]:
        if path.is_file():
            text = re.sub(r"^\s*#.*", "", path.read_text(), flags=re.MULTILINE)
            # Python's own names look like variables too.
            python = r"environ(?:\.\w+\(|\[)\"([A-Z][A-Z0-9_]{3,})|\"([A-Z][A-Z0-9_]{3,})(?:=|\":)"
            other = r"\$\{?([A-Z][A-Z0-9_]{3,})|\b([A-Z][A-Z0-9_]{3,})=|[\"\s]([A-Z][A-Z0-9_]{3,})\"?:"
            for match in re.finditer(python if path.suffix == ".py" else other, text):
                names.add(next(group for group in match.groups() if group))
    # LOG_FILE is a variable of its own, and no other's file.
    known = documented(project)
    return {name if name in known else name.removesuffix("_FILE") for name in names - NOT_THE_SITES}


def named_by_the_runbook(project: Path) -> set[str]:
    """The variables that the runbook sets, or tells of."""
    page = project / "docs/deploy.md"
    if not page.exists():
        return set()
    return set(re.findall(r"(?<![.\w])([A-Z][A-Z0-9_]{3,})(?==|`)", page.read_text())) - NOT_THE_SITES


@pytest.fixture(scope="module", params=triple_combinations(), ids=combination_id)
def project(request: pytest.FixtureRequest, template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that is read, for all tests of a combination of answers."""
    return rendering.render(template, tmp_path_factory.mktemp("environment") / "project", **request.param)


def test_what_is_read_is_documented_and_nothing_else_is(project: Path) -> None:
    assert set(documented(project)) == variables_read(project)


def test_the_example_lists_what_the_page_documents(project: Path) -> None:
    assert set(exampled(project)) == set(documented(project))


def test_the_example_has_in_force_what_is_required(project: Path) -> None:
    required = {name for name, default in documented(project).items() if default == "required"}
    in_force = {name for name, active in exampled(project).items() if active}
    assert in_force - given_as_files(project) == (required | {"DJANGO_SETTINGS_MODULE"}) - given_as_files(project)
    assert required <= in_force


def test_the_shell_and_the_runbook_name_nothing_that_the_page_does_not_document(project: Path) -> None:
    assert set_by_the_shell(project) | named_by_the_runbook(project) <= set(documented(project))


def test_a_swarm_passes_on_what_the_page_documents(project: Path) -> None:
    stack = project / "deploy/swarm.yaml"
    if stack.exists():
        passed = yaml.safe_load(stack.read_text())["x-site"]["environment"]
        assert set(documented(project)) - {name.removesuffix("_FILE") for name in passed} <= NOT_ON_A_SWARM


def test_what_compose_sets_itself_is_told_in_the_example(project: Path) -> None:
    compose = project / "compose.yaml"
    if compose.exists():
        given = yaml.safe_load(compose.read_text())["x-site"]["environment"]
        fixed = {name for name, value in given.items() if not name.endswith("_FILE") and f"${{{name}" not in value}
        (told,) = re.findall("^# compose.yaml itself sets (.*), whatever", (project / ".env.example").read_text(), re.M)
        assert set(re.findall(r"\w+_\w+|PORT", told)) == fixed


def test_defaults_are_documented_as_they_are(render: Render) -> None:
    project = render()
    page = documented(project)
    for source in ("config/settings/production.py", "gunicorn.conf.py"):
        for node in ast.walk(ast.parse((project / source).read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in (
                "env.flag",
                "env.number",
                "env.level",
                "number",
            ):
                first, *rest = [*node.args, *(keyword.value for keyword in node.keywords)]
                if name := variable(first):
                    default = str(ast.literal_eval(rest[0]))
                    written = page[name].strip("`")
                    assert written == (default.lower() if default in ("True", "False") else default), ast.unparse(node)

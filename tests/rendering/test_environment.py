"""Environment variables that are read, declared and set by the shells are the same.

They are declared in questions/variables.yml, which .env.example and docs/environment.md are made from.
"""

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from tests.support import rendering
from tests.support.rendering import combination_id, triple_combinations

Render = Callable[..., Path]

# Variables that a library or Django itself reads, documented because they affect the site.
READ_BY_OTHERS = {
    "DJANGO_SETTINGS_MODULE": "django.conf",
    "DJANGO_SUPERUSER_EMAIL": "createsuperuser",
    "DJANGO_SUPERUSER_PASSWORD": "createsuperuser",
}
# Variables of the image, of development, of compose.yaml alone, and those that need a disk that all machines share.
NOT_ON_A_SWARM = {
    *("DJANGO_SETTINGS_MODULE", "RUN_MIGRATIONS", "SENTRY_RELEASE", "TASKS_IN_WORKER", "TEST_DATABASE_URL"),
    *("DEBUG_TOOLBAR", "DEVELOPMENT_HOSTS", "GITHUB_CODESPACES_PORT_FORWARDING_DOMAIN"),
    *(
        "COMPOSE_PROFILES",
        "DEV_USER",
        "DOMAIN",
        "FLOWER_PORT",
        "HTTPS_PORT",
        "HTTP_PORT",
        "IMAGE",
        "MEMORY_LIMIT",
        "REVISION",
        "SMOKE_IMAGE",
        "WEB_PORT",
        "STACK_NAME",
        "WORKERS",
    ),
    *("DJANGO_SUPERUSER_EMAIL", "DJANGO_SUPERUSER_PASSWORD"),
    *("BACKUP_BUCKET", "BACKUP_DIR", "BACKUP_KEEP", "LOG_FILE", "MEDIA_ROOT"),
}
# Variables of other programs, and words in messages, which do not affect the site.
NOT_THE_SITES = {
    "ACME_SERVER",
    "API_TOKEN",
    "CELERY_BROKER",
    "CHECKED",
    "COMMIT",
    "COMPOSE_PROJECT_NAME",
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
    "IMAGE_RUNNER",
    "HTTP_X_REAL_IP",
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
    "SECRETS",
    "SENTRY_AUTH_TOKEN",
    "SENTRY_ORG",
    "SENTRY_PROJECT",
    "SSH_ORIGINAL_COMMAND",
    "UV_COMPILE_BYTECODE",
    "UV_ENV_FILE",
    "UV_LINK_MODE",
    "GITHUB_OUTPUT",
    "UV_NO_CACHE",
    "UV_PROJECT_ENVIRONMENT",
    "UV_PYTHON_DOWNLOADS",
    "UV_PYTHON_INSTALL_DIR",
}


def sources(project: Path) -> list[Path]:
    """Return the project's own Python files, without tests."""
    found = [path for folder in ("config", "apps", "operations") for path in (project / folder).rglob("*.py")]
    return [path for path in found if "tests" not in path.relative_to(project).parts] + [project / "gunicorn.conf.py"]


def calls_that_read(files: list[Path]) -> Iterator[tuple[str, ast.expr | None]]:
    """Yield the variables that Python files read, with their defaults."""
    for source in files:
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
    """Return the variable that an expression names, or None."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and re.fullmatch("[A-Z][A-Z0-9_]+", node.value):
        return node.value
    return None


def defaults(project: Path) -> dict[str, str]:
    """Return the defaults of variables in the code; production's, if development has another."""
    python = sources(project)
    development = [path for path in python if path.name == "development.py"]
    production = [path for path in python if path.name not in ("development.py", "test.py")]
    found = {
        name: str(node.value).lower() if isinstance(node.value, bool) else str(node.value)
        for name, node in calls_that_read(development + production)
        if isinstance(node, ast.Constant) and node.value not in (None, ..., "")
    }
    shell = [*project.glob("compose*.yaml"), *project.glob("docker-entrypoint.sh")]
    for path in shell:
        found |= dict(re.findall(r"(?<!\$)\$\{([A-Z][A-Z0-9_]+):-([^$}][^}]*)\}", path.read_text()))
    return found


def variables_read(project: Path) -> set[str]:
    """Return the variables that the project reads in its Python, in a compose file or through a library."""
    compose = "".join(path.read_text() for path in project.glob("compose*.yaml"))
    entrypoint = "".join(path.read_text() for path in project.glob("docker-entrypoint.sh"))
    return (
        {name for name, _ in calls_that_read(sources(project))}
        | set(READ_BY_OTHERS)
        # Compose sets these itself.
        | set(re.findall(r"(?<!\$)\$\{(?!COMPOSE_PROJECT_NAME)([A-Z][A-Z0-9_]+)", compose + entrypoint))
    )


class Row(NamedTuple):
    """A variable's row in docs/environment.md, as written there."""

    meaning: str
    default: str


class Example(NamedTuple):
    """A variable's entry in .env.example."""

    sentence: str
    in_force: bool
    # The file that sets it instead on Docker.
    file: str


def documented(project: Path) -> dict[str, Row]:
    """Return the variables in docs/environment.md."""
    lines = (project / "docs/environment.md").read_text().splitlines()
    # An unescaped "|" inside a cell would start another cell. The page's other table names what reads a variable.
    variables = [line for line in lines if re.match(r"\| `[A-Z][A-Z0-9_]*` \|", line)]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in variables]
    found = {name.strip("`"): Row(meaning, default) for name, meaning, default in rows}
    assert len(rows) == len(found), "a variable is listed twice"
    return found


def exampled(project: Path) -> dict[str, Example]:
    """Return the variables in .env.example."""
    variable = r"(?P<off># )?(?P<name>[A-Z][A-Z0-9_]+)=.*|# (?P<elsewhere>[A-Z][A-Z0-9_]+) is set in (?P<file>\S+)\."
    text = (project / ".env.example").read_text()
    rows = list(re.finditer(rf"^# (?P<sentence>.+)\n(?:{variable})$", text, re.MULTILINE))
    assert len(rows) == len(re.findall(rf"^(?:{variable})$", text, re.MULTILINE)), "a variable has no sentence"
    found = {
        row["name"] or row["elsewhere"]: Example(
            row["sentence"], in_force=bool(row["name"] and not row["off"]), file=row["file"] or ""
        )
        for row in rows
    }
    assert len(rows) == len(found), "a variable is listed twice"
    return found


def set_by_compose(project: Path) -> dict[str, str]:
    """Return the variables that compose.yaml sets regardless of `.env`, each with the file to change instead."""
    path = project / "compose.yaml"
    if not path.exists():
        return {}
    compose = yaml.safe_load(path.read_text())
    found = {}
    for name, value in compose["x-site"]["environment"].items():
        if name.endswith("_FILE"):
            found[name.removesuffix("_FILE")] = compose["secrets"][value.removeprefix("/run/secrets/")]["file"]
        elif f"${{{name}" not in value:
            found[name] = "compose.yaml"
    return found


def set_by_the_shell(project: Path) -> set[str]:
    """Return the variables that the platform's own files set or name."""
    names: set[str] = set()
    shell = ["Procfile", "app.json", "Dockerfile", "docker-entrypoint.sh", "compose.yaml", "compose.dev.yaml"]
    for path in [*(project / name for name in shell), *project.glob("deploy/**/*")]:
        if path.is_file():
            text = re.sub(r"^\s*#.*", "", path.read_text(), flags=re.MULTILINE)
            # Python's constants look like variables too.
            python = r"environ(?:\.\w+\(|\[)\"([A-Z][A-Z0-9_]{3,})|\"([A-Z][A-Z0-9_]{3,})(?:=|\":)"
            other = r"\$\{?([A-Z][A-Z0-9_]{3,})|\b([A-Z][A-Z0-9_]{3,})=|[\"\s]([A-Z][A-Z0-9_]{3,})\"?:"
            for match in re.finditer(python if path.suffix == ".py" else other, text):
                names.add(next(group for group in match.groups() if group))
    # LOG_FILE is a variable itself, and not the file with the value of LOG.
    known = documented(project)
    return {name if name in known else name.removesuffix("_FILE") for name in names - NOT_THE_SITES}


def named_by_the_runbook(project: Path) -> set[str]:
    """Return the variables that the runbook sets or mentions."""
    page = project / "docs/deploy.md"
    if not page.exists():
        return set()
    return set(re.findall(r"(?<![.\w])([A-Z][A-Z0-9_]{3,})(?==|`)", page.read_text())) - NOT_THE_SITES


@pytest.fixture(scope="module", params=triple_combinations(), ids=combination_id)
def project(request: pytest.FixtureRequest, template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project for all tests of a combination of answers, which do not change it."""
    return rendering.render(template, tmp_path_factory.mktemp("environment") / "project", **request.param)


def test_what_is_read_is_documented_and_nothing_else_is(project: Path) -> None:
    assert set(documented(project)) == variables_read(project)


def test_the_example_lists_what_the_page_documents(project: Path) -> None:
    assert set(exampled(project)) == set(documented(project))


def test_the_example_says_of_a_variable_what_the_page_says(project: Path) -> None:
    page = documented(project)
    for name, example in exampled(project).items():
        assert example.sentence.endswith("."), name
        assert page[name].meaning.startswith(example.sentence), name


def test_the_example_has_in_force_what_is_required(project: Path) -> None:
    required = {name for name, row in documented(project).items() if row.default == "required"}
    examples = exampled(project)
    in_force = {name for name, example in examples.items() if example.in_force}
    elsewhere = {name for name, example in examples.items() if example.file}
    assert in_force == (required | {"DJANGO_SETTINGS_MODULE"}) - elsewhere


def test_the_example_ends_with_what_every_project_has(project: Path) -> None:
    # An update could not merge an owner's appended lines with a section that is added or removed.
    lines = (project / ".env.example").read_text().splitlines()
    assert lines[-1] == "# GUNICORN_TIMEOUT=30"


def test_the_shell_and_the_runbook_name_nothing_that_the_page_does_not_document(project: Path) -> None:
    assert set_by_the_shell(project) | named_by_the_runbook(project) <= set(documented(project))


def test_a_swarm_passes_on_what_the_page_documents(project: Path) -> None:
    stack = project / "deploy/swarm.yaml"
    if stack.exists():
        passed = yaml.safe_load(stack.read_text())["x-site"]["environment"]
        assert set(documented(project)) - {name.removesuffix("_FILE") for name in passed} <= NOT_ON_A_SWARM


def test_the_example_says_which_file_sets_a_variable_with_compose(project: Path) -> None:
    told = {name: example.file for name, example in exampled(project).items() if example.file}
    assert told == set_by_compose(project)


def test_defaults_are_documented_as_they_are(project: Path) -> None:
    written = {name: row.default.strip("`") for name, row in documented(project).items()}
    code = defaults(project)
    assert {name: written[name] for name in code} == code


def test_the_answers_file_holds_no_variables(project: Path) -> None:
    assert "environment_variables" not in (project / ".copier-answers.yml").read_text()


def test_the_lists_of_exceptions_name_only_what_there_is(template: Path) -> None:
    files = (path for path in (template / "template").rglob("*") if path.is_file())
    words = set(re.findall(r"[A-Z][A-Z0-9_]+", "\n".join(path.read_bytes().decode(errors="replace") for path in files)))
    declared = set(re.findall(r"- name: ([A-Z0-9_]+)", (template / "questions/variables.yml").read_text()))
    assert words >= NOT_THE_SITES
    assert NOT_THE_SITES.isdisjoint(declared)
    assert NOT_ON_A_SWARM | set(READ_BY_OTHERS) <= declared

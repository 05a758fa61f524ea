"""Files are where people look for them: in the template by answer, in a project by the code's owner."""

import ast
import gzip
import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scripts import sizes
from tests.support.environments import run
from tests.support.rendering import (
    ROOT,
    Answers,
    combination_id,
    pairwise_combinations,
    question_choices,
    read_questions,
)

Render = Callable[..., Path]

MINIMAL = {"platform": "docker", "database": "sqlite", "tasks": "none", "extras": [], "ci": "none"}
# The maximum of lines that belong to the owner in a new project.
OWNERS_LINES = 2_500
# The maximum of files in a project with the default answers on Docker.
MOST_FILES = 157
# Bytes that a visitor's first page needs beside its HTML, at most, compressed.
MOST_STYLE = 6_000
# The maximum share of the template's lines with a Jinja statement.
MOST_CONDITIONS = 0.022
COPIER_YML_LINES = 250

# Modules that gunicorn, a person, a platform or pytest starts by name. pyproject.toml names those that mypy loads, and
# the Makefile others.
ENTRY_POINTS = ("manage", "gunicorn.conf", "config.wsgi", "config.celery")
# Modules that Django imports from each installed app, and those that it finds by their place.
OF_AN_APP = re.compile(
    r"\.(apps|admin|models|tasks|migrations(\.\w+)?|management\.commands\.\w+)$|^config\.settings\.\w+$"
)

# Three of them run in `make check`.
every_pair = pytest.mark.parametrize(
    "answers",
    [
        *pairwise_combinations()[:3],
        *(pytest.param(row, marks=pytest.mark.thorough) for row in pairwise_combinations()[3:]),
    ],
    ids=combination_id,
)


def modules(project: Path) -> dict[str, Path]:
    """Return the modules of a project's own Python by name, without tests."""
    found = [project / "manage.py", project / "gunicorn.conf.py"]
    found += [path for folder in ("apps", "config", "operations") for path in (project / folder).rglob("*.py")]
    named = {
        ".".join(path.relative_to(project).with_suffix("").parts).removesuffix(".__init__"): path for path in found
    }
    return {name: path for name, path in named.items() if ".tests" not in name and "__pycache__" not in name}


def names_in(source: str) -> Iterator[str]:
    """Yield the dotted names that a module imports or has in strings, as settings and URLs do."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from re.findall(r"\b(?:apps|config|operations)(?:\.\w+)+", node.value)


def reached(project: Path) -> set[str]:
    """Return the modules that can be reached from an entry point, an installed app, a command, a setting or a URL."""
    every = modules(project)
    plugins = tomllib.loads((project / "pyproject.toml").read_text())["tool"]["mypy"]["plugins"]
    entries = {*ENTRY_POINTS, *(name.removesuffix(".py").replace("/", ".") for name in plugins)}
    entries |= set(re.findall(r"python -m (operations[.\w]+)", (project / "Makefile").read_text()))
    to_read = [name for name in every if name in entries or OF_AN_APP.search(name)]
    seen: set[str] = set()
    while to_read:
        name = to_read.pop()
        if name in seen:
            continue
        seen.add(name)
        for found in names_in(every[name].read_text()):
            parts = found.split(".")
            to_read += [".".join(parts[:end]) for end in range(1, len(parts) + 1) if ".".join(parts[:end]) in every]
    return seen


@every_pair
def test_a_project_has_no_module_that_nothing_in_it_uses(render: Render, answers: Answers) -> None:
    project = render(**answers)
    assert set(modules(project)) - reached(project) == set()


def test_a_module_that_nothing_uses_is_found(render: Render) -> None:
    project = render(**MINIMAL)
    assert set(modules(project)) - reached(project) == set()
    (project / "operations/unused.py").write_text('"""Nobody asks for it."""\n')
    assert set(modules(project)) - reached(project) == {"operations.unused"}


@every_pair
def test_operations_imports_neither_the_owners_apps_nor_their_config(render: Render, answers: Answers) -> None:
    project = render(**answers)
    for path in (project / "operations").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            imported = []
            if isinstance(node, ast.Import):
                imported = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                imported = [node.module or ""]
            assert not [name for name in imported if name.split(".")[0] in ("apps", "config", "tests")], path


@pytest.mark.parametrize("platform", question_choices("platform"))
def test_an_owner_starts_with_little_code_and_nothing_of_operations_in_it(render: Render, platform: str) -> None:
    project = render(platform=platform)
    table = sizes.table(project)
    assert sum(table[folder][1] for folder in ("apps", "config", "tests")) <= OWNERS_LINES
    if platform == "docker":
        assert table["all"][0] <= MOST_FILES


def test_the_style_sheet_and_the_icon_are_small() -> None:
    sent = b"".join((ROOT / "template/static" / name).read_bytes() for name in ("site.css", "icon.svg"))
    assert len(gzip.compress(sent)) <= MOST_STYLE


def test_the_template_has_few_conditions_and_copier_yml_is_short() -> None:
    found, total = sizes.conditions()
    assert found / total <= MOST_CONDITIONS
    assert len(sizes.lines(ROOT / "copier.yml")) <= COPIER_YML_LINES


def test_the_page_on_sizes_is_what_is_counted(render: Render) -> None:
    counted = {name: sizes.table(render(**answers)) for name, answers in sizes.PROJECTS.items()}
    assert sizes.PAGE.read_text() == sizes.page(counted, sizes.conditions()), "run: make sizes"


def test_all_of_a_platform_is_in_its_folder_and_nothing_of_anothers() -> None:
    listed = run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "template"], ROOT)
    platforms = question_choices("platform")
    for name in filter(None, listed.split("\0")):
        folders = set(re.findall(r"\{\{(\w+)\}\}", name)) & set(platforms)
        assert len(folders) <= 1, f"{name} is two platforms'"
        named = {platform for platform in platforms if platform in Path(name).name and platform != "gunicorn"}
        assert named <= folders, f"{name} is not in the folder of the platform that it names"


def test_every_folder_of_an_answer_is_a_computed_answer_that_is_used() -> None:
    listed = run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "template"], ROOT)
    used = set(re.findall(r"\{\{(\w+)\}\}/", listed))
    said = read_questions(ROOT)
    declared = {
        name for name, question in said.items() if isinstance(question, dict) and "'.'" in str(question.get("default"))
    }
    assert used == declared

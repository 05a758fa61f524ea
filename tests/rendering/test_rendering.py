"""Every combination of answers renders a complete and clean project, with the same files where answers do not matter."""

import re
import shutil
from collections.abc import Callable
from functools import cache
from itertools import product
from pathlib import Path

import pytest
from jinja2 import Environment

from scripts import picker
from scripts.renders import ANSWERS_FILE, EXTRAS, SOURCE, Renders, asked_extras
from tests.support.environments import run
from tests.support.releases import rendered_path
from tests.support.rendered import assert_clean, files, parse, run_tool, texts
from tests.support.rendering import (
    ROOT,
    Answers,
    Once,
    combination_id,
    decisions,
    pairwise_combinations,
    possible_sets,
    question_choices,
    refused,
    triple_combinations,
)

Render = Callable[..., Path]

# Combinations that cover all pairs of decisions, for `make check`, and those that cover all triples. No file depends on more
# than three decisions.
every_combination = pytest.mark.parametrize(
    "answers",
    [
        *pairwise_combinations(),
        *(
            pytest.param(row, marks=pytest.mark.thorough)
            for row in triple_combinations()
            if row not in pairwise_combinations()
        ),
    ],
    ids=combination_id,
)

# The folders and files with the project's Python, which does not depend on the platform.
PLATFORM_FREE = ("config", "apps", "operations", "smoke", "tests", "gunicorn.conf.py")
# The maximum of files that an extra adds, if it is not 9.
MOST_FILES = {"htmx": 11, "api": 16, "mfa": 14}
PLATFORM_NAMES = re.compile(r"heroku|dyno|pythonanywhere|docker|systemd|nginx|uwsgi", re.IGNORECASE)


@cache
def plain_files() -> set[Path]:
    """Return the paths in projects of the files that Copier copies unchanged."""
    listed = run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "template"], ROOT)
    return {Path(rendered_path(name)) for name in listed.split("\0") if name and not name.endswith(".jinja")}


def not_copiers(name: Path) -> bool:
    """Return True if braces in a file are not Jinja's: in pages, workflows, and Python and text files that are not rendered."""
    return name.suffix in (".html", ".md", ".py", ".yml") and name in plain_files()


@every_combination
def test_every_file_is_whole_and_clean(render: Render, answers: Answers) -> None:
    project = render(**answers)
    for path in texts(project):
        text, name = path.read_text(), path.relative_to(project)
        parse(path)
        if path.suffix == ".html":
            assert not_copiers(name), f"{name} is templated, and its own braces are Jinja's"
        if not not_copiers(name):
            assert not re.search(r"\{\{|\{%|%\}", text), f"Jinja is left over in {name}"
        assert not re.search(r"[ \t]+$", text, re.MULTILINE), f"{name} has spaces at the end of a line"
        assert not re.search(r"\n\n\n\n|\A\n|\n\n\Z", text), f"{name} has a scar of blank lines"
        assert not text or text.endswith("\n"), f"{name} ends without a line end"
        if path.suffix != ".py":
            # Python in a page has two empty lines between classes, as usual.
            prose = re.sub("^```python\n.*?^```$", "(code)", text, flags=re.DOTALL | re.MULTILINE)
            assert "\n\n\n" not in prose, f"{name} has a scar of blank lines"
    assert not [path for path in project.rglob("*") if path.is_dir() and not any(path.iterdir())]
    # A project stays small enough to read completely, and each extra adds only a few files.
    assert len(files(project)) <= 165 + sum(MOST_FILES.get(extra, 9) for extra in answers["extras"])
    assert_clean(project)


@pytest.fixture(scope="session")
def picked(template: Path, once: Once) -> Path:
    """The data of the documentation's picker."""
    return once.get("picker", lambda folder: picker.write(Renders(template).files(), folder))


@pytest.mark.thorough
@pytest.mark.parametrize("answers", triple_combinations(), ids=combination_id)
def test_the_picker_shows_what_copier_renders(render: Render, template: Path, picked: Path, answers: Answers) -> None:
    project = render(**answers)
    shown = picker.read(picked, answers)
    # This file has the template's path.
    shown[ANSWERS_FILE] = str(shown[ANSWERS_FILE]).replace(SOURCE, str(template))
    rendered = {str(path.relative_to(project)): path.read_text() for path in texts(project)}
    # The data lacks some texts with three extras and more, but not with all.
    lacking = {path for path, text in shown.items() if text is None}
    assert len(lacking) < (len(shown) / 10 if 2 < len(answers["extras"]) < len(question_choices("extras")) else 1)
    assert {path: None if path in lacking else text for path, text in rendered.items()} == shown


def test_pages_are_formatted_and_linted(render: Render) -> None:
    # Pages do not depend on answers, so one project is enough.
    run_tool("djlint", "--check", "--lint", "--quiet", "templates", folder=render())


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("tasks", "database", "python_version"),
    [
        *product(question_choices("tasks"), question_choices("database"), ["3.13"]),
        ("none", "sqlite", "3.12"),
        ("celery", "postgresql", "3.14"),
    ],
)
def test_the_project_is_the_same_on_every_platform(
    render: Render, database: str, python_version: str, tasks: str
) -> None:
    """Platforms differ only in their shell: the project's Python is the same, byte for byte."""
    # Combine tasks with extras, so that both are rendered for all platforms.
    chosen = {"tasks": tasks, "extras": [] if tasks == "none" else question_choices("extras")}
    seen: dict[str, dict[str, bytes]] = {}
    for platform in question_choices("platform"):
        together = [("platform", platform), ("database", database), ("python_version", python_version)]
        if not refused(together):
            project = render(platform=platform, database=database, python_version=python_version, **chosen)
            names = [path for path in texts(project) if str(path.relative_to(project)).startswith(PLATFORM_FREE)]
            seen[platform] = {str(path.relative_to(project)): path.read_bytes() for path in names}
    first, *others = seen.values()
    assert first
    for other in others:
        assert other == first
    for name, content in first.items():
        assert not PLATFORM_NAMES.search(content.decode()), f"{name} knows a platform"


def test_the_template_is_formatted_where_it_lies(template: Path, tmp_path: Path) -> None:
    """Python that does not depend on answers is no .jinja file, and has docstrings throughout."""
    copy = tmp_path / "template"
    shutil.copytree(template / "template", copy)
    run_tool(
        "ruff",
        "check",
        "--isolated",
        "--quiet",
        "--select",
        "D1",
        "--ignore",
        "D104,D106,D107",
        "--exclude",
        "migrations,test_*.py",
        ".",
        folder=copy,
    )


def test_nothing_volatile_is_rendered(render: Render) -> None:
    """Two renders with the same answers are the same, so that an update changes only what a release changed."""
    once, again = render(), render()
    assert [path.relative_to(once) for path in files(once)] == [path.relative_to(again) for path in files(again)]
    for path in files(once):
        assert path.read_bytes() == (again / path.relative_to(once)).read_bytes()


@pytest.mark.parametrize(("size", "cover"), [(2, pairwise_combinations), (3, triple_combinations)])
def test_a_cover_has_every_possible_pair_or_triple(size: int, cover: Callable[[], list[Answers]]) -> None:
    met = [set(decisions(row)) for row in cover()]
    for together in possible_sets(size):
        assert any(together <= row for row in met), together
    # Two answers that Copier refuses are never together, and it refuses no others.
    assert not any({("platform", "heroku"), ("database", "sqlite")} <= row for row in met)


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ('{% if "s3" in extras %}{% elif "ai" not in extras %}{% endif %}', {"extras.s3", "extras.ai"}),
        ('{% if "s3" in extras or extras %}{% endif %}', set(EXTRAS)),
    ],
)
def test_a_text_depends_on_the_extras_that_it_asks_for(text: str, asked: set[str]) -> None:
    assert asked_extras(Environment(autoescape=True).parse(text)) == asked

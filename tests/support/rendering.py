"""Render the template for tests: in this process, with plain Copier and without `--trust`."""

import hashlib
import shutil
import subprocess
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from itertools import combinations, product
from math import prod
from pathlib import Path
from typing import Any

import copier
import jinja2
import yaml
from filelock import FileLock

ROOT = Path(__file__).resolve().parents[2]

# The files and folders of this repository that Copier reads.
TEMPLATE = ("copier.yml", "questions", "template")

# The answers that tests use if they do not name others.
ANSWERS = {"project_name": "Todo List", "platform": "docker"}


# The Jinja options that change how a template is compiled.
SYNTAX = (
    *("block_start_string", "block_end_string", "variable_start_string", "variable_end_string"),
    *("comment_start_string", "comment_end_string", "line_statement_prefix", "line_comment_prefix"),
    *("trim_blocks", "lstrip_blocks", "newline_sequence", "keep_trailing_newline"),
    *("undefined", "finalize", "autoescape", "optimized", "is_async"),
)


def template_copy(destination: Path) -> Path:
    """Copy the template's files that git knows or does not ignore to `destination`, and return it."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *TEMPLATE]
    listed = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).exists():
            (destination / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, destination / name)
    return destination


def render(template: Path, destination: Path, **answers: Any) -> Path:
    """Render the template with `answers`, and defaults for the rest; return `destination`."""
    copier.run_copy(str(template), destination, data={**ANSWERS, **answers}, defaults=True, quiet=True)
    return destination


def compiling_once(compile_template: Callable[..., Any]) -> Callable[..., Any]:
    """Return Jinja's `Environment.compile` with a cache.

    Copier compiles the same texts again for each file of each project, which takes half of the time of rendering.
    """
    remembered: dict[tuple[object, ...], Any] = {}

    def compile_once(environment: jinja2.Environment, source: str, *names: str | None, **options: bool) -> Any:
        # The compiled code also depends on the environment's class, its syntax, and its extensions, filters and tests.
        syntax = tuple(getattr(environment, name) for name in SYNTAX)
        called = (*environment.extensions, *environment.filters, *environment.tests)
        key = (type(environment), syntax, called, source, names, *sorted(options.items()))
        if key not in remembered:
            remembered[key] = compile_template(environment, source, *names, **options)
        return remembered[key]

    return compile_once


class Once:
    """Make folders once for all tests of a run, in a folder that their processes share."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder

    def get(self, key: object, make: Callable[[Path], object]) -> Path:
        """Return the folder for a key, which is told by its `repr`; `make` fills a new one.

        Tests must not change its files.
        """
        folder = self.folder / hashlib.sha256(repr(key).encode()).hexdigest()[:12]
        done = folder.with_suffix(".done")
        with FileLock(folder.with_suffix(".lock")):
            if not done.exists():
                # Start afresh after an attempt that failed.
                shutil.rmtree(folder, ignore_errors=True)
                make(folder)
                done.touch()
        return folder


def read_questions(template: Path) -> dict[str, Any]:
    """Return the content of copier.yml and of the files that it includes, in order."""

    class Loader(yaml.SafeLoader):
        """A YAML loader that knows Copier's `!include` tag."""

    Loader.add_constructor("!include", lambda _, node: template / str(node.value))
    said: dict[str, Any] = {}
    for part in yaml.load_all((template / "copier.yml").read_text(), Loader):
        said |= yaml.safe_load(part.read_text()) if isinstance(part, Path) else part
    return said


@cache
def question_choices(name: str) -> list[str]:
    """Return the choices of a question, in copier.yml's order."""
    choices = read_questions(ROOT)[name]["choices"]
    if isinstance(choices, dict):
        return [choice["value"] for choice in choices.values()]
    return list(choices)


# The questions with choices, in copier.yml's order. `extras` allows several.
CHOSEN = ("platform", "database", "tasks", "extras", "ci", "python_version")

Answers = dict[str, Any]


Decision = tuple[str, Any]

# Decisions that Copier refuses together.
REFUSED: list[set[Decision]] = [
    {("platform", "heroku"), ("database", "sqlite")},
    {("platform", "pythonanywhere"), ("python_version", "3.14")},
]


def number_of_combinations() -> int:
    """Return the number of combinations of answers that are accepted."""
    numbers = [len(question_choices(name)) if name != "extras" else 2 ** len(question_choices(name)) for name in CHOSEN]
    all_of_them = prod(numbers)
    platform, database, python_version = (
        len(question_choices(name)) for name in ("platform", "database", "python_version")
    )
    # Heroku refuses SQLite, and PythonAnywhere Python 3.14.
    return all_of_them - all_of_them // (platform * database) - all_of_them // (platform * python_version)


def decisions(answers: Answers) -> list[Decision]:
    """Return the single decisions: the answer to each question, and for each of `extras` whether it was chosen."""
    extras = [(extra, extra in answers["extras"]) for extra in question_choices("extras")]
    return [item for item in answers.items() if item[0] != "extras"] + extras


def possible_decisions() -> list[list[Decision]]:
    """Return the decisions between which each project chooses: a list for each question, and one for each of `extras`."""
    found: list[list[Decision]] = [
        [(name, value) for value in question_choices(name)] for name in CHOSEN if name != "extras"
    ]
    return found + [[(extra, True), (extra, False)] for extra in question_choices("extras")]


def refused(chosen: Iterable[Decision]) -> bool:
    """Return True if Copier refuses these decisions together."""
    return any(together <= set(chosen) for together in REFUSED)


def possible_sets(size: int) -> list[frozenset[Decision]]:
    """Return all sets of `size` decisions that one project can have."""
    groups = combinations(possible_decisions(), size)
    return [frozenset(each) for group in groups for each in product(*group) if not refused(each)]


@cache
def covering(size: int) -> list[Answers]:
    """Return a small list of combinations that covers all possible sets of `size` decisions.

    Each combination starts with the first set that no other has. Then it takes, question by question, the answer that
    adds most. So the time does not grow with the number of combinations.
    """
    missing = dict.fromkeys(possible_sets(size))
    rows = []
    while missing:
        row = list(next(iter(missing)))
        asked = {name for name, _ in row}
        for group in possible_decisions():
            if group[0][0] not in asked:
                allowed = [each for each in group if not refused([*row, each])]
                others = [frozenset(each) for each in combinations(row, size - 1)]
                row.append(max(allowed, key=lambda each: sum(other | {each} in missing for other in others)))
        for each in combinations(row, size):
            missing.pop(frozenset(each), None)
        rows.append(answers_for(dict(row)))
    return rows


def answers_for(decided: Mapping[str, Any]) -> Answers:
    """Return the answers to the questions with choices that these decisions are."""
    extras = [extra for extra in question_choices("extras") if decided[extra]]
    return {name: extras if name == "extras" else decided[name] for name in CHOSEN}


def pairwise_combinations() -> list[Answers]:
    """Return a small list of combinations that covers all possible pairs of decisions; tests install these."""
    return covering(2)


def triple_combinations() -> list[Answers]:
    """Return the same for three decisions, the most that one file depends on; tests render these."""
    return covering(3)


def combination_id(answers: Answers) -> str:
    """Return a combination's name for a test's id."""
    return "-".join("+".join(value) if isinstance(value, list) else value for value in answers.values() if value)

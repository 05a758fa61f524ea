"""Rendering the template, as every test does it: in this process, on plain Copier, without trust."""

import hashlib
import shutil
import subprocess
from collections.abc import Callable
from functools import cache
from heapq import heapify, heappop, heappush
from itertools import combinations, product
from pathlib import Path
from typing import Any

import copier
import jinja2
import yaml
from filelock import FileLock

ROOT = Path(__file__).resolve().parents[2]

# What Copier reads of this repository.
TEMPLATE = ("copier.yml", "questions", "template")

# The answers of a test that is not about them.
ANSWERS = {"project_name": "Todo List", "platform": "docker"}


# The options of Jinja by which a text means something else.
SYNTAX = (
    *("block_start_string", "block_end_string", "variable_start_string", "variable_end_string"),
    *("comment_start_string", "comment_end_string", "line_statement_prefix", "line_comment_prefix"),
    *("trim_blocks", "lstrip_blocks", "newline_sequence", "keep_trailing_newline"),
    *("undefined", "finalize", "autoescape", "optimized", "is_async"),
)


def template_copy(destination: Path) -> Path:
    """Copy what git would give a user of the template, and nothing that lies beside it, to `destination`."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *TEMPLATE]
    listed = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).exists():
            (destination / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, destination / name)
    return destination


def render(template: Path, destination: Path, **answers: Any) -> Path:
    """Render the template with `answers`, defaults for the rest; gives back `destination`."""
    copier.run_copy(str(template), destination, data={**ANSWERS, **answers}, defaults=True, quiet=True)
    return destination


def compiling_once(compile_template: Callable[..., Any]) -> Callable[..., Any]:
    """Jinja's `Environment.compile`, which remembers what it has made of a text.

    Copier asks it for the same texts again in each file of each project, which is half of the time that rendering takes.
    """
    remembered: dict[tuple[object, ...], Any] = {}

    def compile_once(environment: jinja2.Environment, source: str, *names: str | None, **options: bool) -> Any:
        # What else the code depends on: the class, the syntax, and what can be called.
        syntax = tuple(getattr(environment, name) for name in SYNTAX)
        called = (*environment.extensions, *environment.filters, *environment.tests)
        key = (type(environment), syntax, called, source, names, *sorted(options.items()))
        if key not in remembered:
            remembered[key] = compile_template(environment, source, *names, **options)
        return remembered[key]

    return compile_once


class Once:
    """What is the same for all tests of a run, made once in a folder that their processes share."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder

    def get(self, key: object, make: Callable[[Path], object]) -> Path:
        """The folder that belongs to a key, for whose representation it stands; `make` fills it where it is new.

        Nobody may change what is in it.
        """
        folder = self.folder / hashlib.sha256(repr(key).encode()).hexdigest()[:12]
        done = folder.with_suffix(".done")
        with FileLock(folder.with_suffix(".lock")):
            if not done.exists():
                # One that failed has left nothing to build on.
                shutil.rmtree(folder, ignore_errors=True)
                make(folder)
                done.touch()
        return folder


def read_questions(template: Path) -> dict[str, Any]:
    """Return what copier.yml says, with the files that it includes, in order."""

    class Loader(yaml.SafeLoader):
        """Knows Copier's tag for including a file."""

    Loader.add_constructor("!include", lambda _, node: template / str(node.value))
    said: dict[str, Any] = {}
    for part in yaml.load_all((template / "copier.yml").read_text(), Loader):
        said |= yaml.safe_load(part.read_text()) if isinstance(part, Path) else part
    return said


@cache
def question_choices(name: str) -> list[str]:
    """The values that can be chosen at a question, in copier.yml's order."""
    choices = read_questions(ROOT)[name]["choices"]
    if isinstance(choices, dict):
        return [choice["value"] for choice in choices.values()]
    return list(choices)


# The questions with a list of answers, in copier.yml's order; of `extras`, several can be chosen.
CHOSEN = ("platform", "database", "tasks", "extras", "ci", "python_version")

Answers = dict[str, Any]


def all_combinations() -> list[Answers]:
    """Every combination of the answers that are chosen from a list."""
    # Heroku refuses SQLite.
    choices = [question_choices(name) if name != "extras" else subsets(question_choices(name)) for name in CHOSEN]
    return [
        dict(zip(CHOSEN, values, strict=True)) for values in product(*choices) if values[:2] != ("heroku", "sqlite")
    ]


def subsets(items: list[str]) -> list[list[str]]:
    """Each selection of some of the items, from none to all."""
    return [list(chosen) for size in range(len(items) + 1) for chosen in combinations(items, size)]


def decisions(answers: Answers) -> list[tuple[str, Any]]:
    """What was decided, one by one: an answer a question, and of `extras` whether each was chosen."""
    extras = [(extra, extra in answers["extras"]) for extra in question_choices("extras")]
    return [item for item in answers.items() if item[0] != "extras"] + extras


@cache
def covering(size: int) -> list[Answers]:
    """Few combinations in which each `size` decisions that are possible together meet."""
    rows = all_combinations()
    met = [set(combinations(decisions(row), size)) for row in rows]
    missing, chosen = set().union(*met), []
    # What each would add at most: that never grows, so the first whose figure is up to date adds most.
    adds = [(-len(each), row) for row, each in enumerate(met)]
    heapify(adds)
    while missing:
        _, row = heappop(adds)
        now = len(met[row] & missing)
        if now >= -adds[0][0]:
            missing -= met[row]
            chosen.append(rows[row])
        else:
            heappush(adds, (-now, row))
    return chosen


def pairwise_combinations() -> list[Answers]:
    """Few combinations in which each two decisions that are possible together meet: those that are installed."""
    return covering(2)


def triple_combinations() -> list[Answers]:
    """The same for each three, which a file's conditions are about at most: those that are rendered."""
    return covering(3)


def combination_id(answers: Answers) -> str:
    """The name of a combination in a test's id."""
    return "-".join("+".join(value) if isinstance(value, list) else value for value in answers.values() if value)

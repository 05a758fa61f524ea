"""Rendering the template, as every test does it: in this process, on plain Copier, without trust."""

import shutil
import subprocess
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import copier
import yaml

ROOT = Path(__file__).resolve().parents[2]

# The answers of a test that is not about them.
ANSWERS = {"project_name": "Todo List", "platform": "docker"}


def template_copy(destination: Path) -> Path:
    """Copy what git would give a user of the template, and nothing that lies beside it, to `destination`."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "copier.yml", "template"]
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


def question_choices(name: str) -> list[str]:
    """The values that can be chosen at a question, in copier.yml's order."""
    choices = yaml.safe_load((ROOT / "copier.yml").read_text())[name]["choices"]
    if isinstance(choices, dict):
        return [choice["value"] for choice in choices.values()]
    return list(choices)


CHOSEN = ("platform", "database", "ci", "python_version")


def possible(answers: dict[str, str]) -> bool:
    """Whether the questions allow these answers together."""
    return (answers.get("platform"), answers.get("database")) != ("heroku", "sqlite")


def all_combinations() -> Iterator[dict[str, str]]:
    """Every combination of the answers that are chosen from a list."""

    def extended(answers: dict[str, str], names: tuple[str, ...]) -> Iterator[dict[str, str]]:
        if not names:
            yield answers
            return
        for value in question_choices(names[0]):
            yield from extended({**answers, names[0]: value}, names[1:])

    return (answers for answers in extended({}, CHOSEN) if possible(answers))


def pairwise_combinations() -> list[dict[str, str]]:
    """Few combinations in which each two answers that are possible together meet."""
    pairs = {combination_id(each): set(combinations(each.items(), 2)) for each in all_combinations()}
    by_id = {combination_id(each): each for each in all_combinations()}
    missing, chosen = set().union(*pairs.values()), []
    while missing:
        # The one that adds most, the first of them where several do.
        best = max(pairs, key=lambda name: len(pairs[name] & missing))
        missing -= pairs[best]
        chosen.append(by_id[best])
    return chosen


def combination_id(answers: dict[str, str]) -> str:
    """The name of a combination in a test's id."""
    return "-".join(answers.values())

"""Render all files of all projects, each file once for the answers that affect it.

There are a thousand combinations of answers, and Copier takes half a second for each. So each file is rendered once for
each combination of those answers that its own text and path ask for, in the environment of Jinja that Copier itself has.
tests/rendering/test_rendering.py compares what comes out with what Copier renders.
"""

import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import yaml
from copier._main import Worker
from jinja2 import Template, meta

from tests.support.rendering import ANSWERS, CHOSEN, question_choices, read_questions, subsets

Chosen = Mapping[str, Any]

# Copier's own variables that the template uses.
SOURCE = "https://github.com/copier-django/copier-django.git"
COPIER = SimpleNamespace(answers_file=".copier-answers.yml", data={}, dst_path=Path("project"))


def written(answer: Any) -> str:
    """Return an answer as one word; several extras are joined by commas."""
    return ",".join(answer) if isinstance(answer, list) else str(answer)


def possible(names: Iterable[str]) -> list[dict[str, Any]]:
    """Return all combinations of answers to these questions, without those that are refused."""
    names = list(names)
    choices = [subsets(question_choices(name)) if name == "extras" else question_choices(name) for name in names]
    every = [dict(zip(names, values, strict=True)) for values in product(*choices)]
    return [each for each in every if (each.get("platform"), each.get("database")) != ("heroku", "sqlite")]


@dataclass(frozen=True)
class File:
    """A file of projects.

    Attributes:
        questions: the questions that decide whether it exists, and its text.
        texts: its text by the answers to these questions, or None if it is not rendered.
    """

    questions: tuple[str, ...]
    texts: dict[tuple[str, ...], str | None]

    def text(self, chosen: Chosen) -> str | None:
        """Return its text in the project with these answers, or None if that project does not have it."""
        return self.texts[tuple(written(chosen[name]) for name in self.questions)]


class Renders:
    """The projects of a template.

    Args:
        template: the folder of copier.yml.
        typed: the answers to questions without choices; defaults for the rest.
    """

    def __init__(self, template: Path, typed: Mapping[str, str] = ANSWERS) -> None:
        self.template = template
        self.typed = {name: answer for name, answer in typed.items() if name not in CHOSEN}
        self.questions = read_questions(template)
        with tempfile.TemporaryDirectory() as folder, Worker(str(template), Path(folder)) as worker:
            jinja = worker.jinja_env

        @cache
        def compiled(source: str) -> tuple[Template, frozenset[str]]:
            return jinja.from_string(source), self._names(source, jinja.parse)

        @cache
        def deciding(name: str) -> frozenset[str]:
            if name in CHOSEN:
                return frozenset({name})
            if name == "_copier_answers":
                return frozenset(CHOSEN)
            if name in self.typed or name not in self.questions:
                return frozenset()
            return self.deciding(str(self.questions[name]["default"]))

        self._compiled = compiled
        self._deciding = deciding
        self._values: dict[tuple[str, ...], Any] = {}

    def _names(self, source: str, parse: Callable[[str], Any]) -> frozenset[str]:
        """Return the variables that a text uses, with those of the files that it includes."""
        tree = parse(source)
        included = [str(name) for name in meta.find_referenced_templates(tree)]
        others = [self._names((self.template / name).read_text(), parse) for name in included]
        return frozenset(meta.find_undeclared_variables(tree)).union(*others)

    def deciding(self, *sources: str) -> frozenset[str]:
        """Return the questions whose answers affect these texts."""
        names = frozenset[str]().union(*(self._compiled(source)[1] for source in sources))
        return frozenset[str]().union(*(self._deciding(name) for name in names))

    def filled(self, source: str, chosen: Chosen) -> str:
        """Return a text, rendered with these answers."""
        template, names = self._compiled(source)
        return template.render({name: self.value(name, chosen) for name in names})

    def value(self, name: str, chosen: Chosen) -> Any:
        """Return the value of a question or a computed answer, as Copier computes it."""
        if name in CHOSEN:
            return chosen[name]
        if name == "_copier_conf":
            return COPIER
        if name == "_copier_answers":
            return self.answers(chosen)
        if name in self.typed or name not in self.questions:
            return self.typed.get(name, "")
        key = (name, *(written(chosen[each]) for each in sorted(self._deciding(name))))
        if key not in self._values:
            question = self.questions[name]
            text = self.filled(str(question["default"]), chosen)
            # The loader in C reads the list of variables ten times as fast, in a hundredth of a second.
            self._values[key] = yaml.load(text, yaml.CSafeLoader) if question["type"] == "yaml" else text
        return self._values[key]

    def answers(self, chosen: Chosen) -> dict[str, Any]:
        """Return the answers that a project saves: those to the questions that are asked."""
        asked = {
            name: self.value(name, chosen)
            for name, question in self.questions.items()
            if not name.startswith("_")
            and question.get("when") is not False
            and self.filled(str(question.get("when", True)), chosen) == "True"
        }
        return {**asked, "_src_path": SOURCE}

    def files(self, name: str = "") -> dict[str, File]:
        """Return the files of all projects whose names begin like this, by their paths in a project."""
        found: dict[str, list[File]] = {}
        for source in sorted((self.template / "template").rglob(f"{name}*")):
            # A compiled catalogue of translations is not text.
            if source.is_file() and source.suffix != ".mo":
                for path, file in self._rendered(source):
                    found.setdefault(path, []).append(file)
        return {path: joined(found[path]) for path in sorted(found)}

    def _rendered(self, source: Path) -> list[tuple[str, File]]:
        """Return a template file's paths in projects, and its text at each."""
        path = str(source.relative_to(self.template / "template"))
        text, fixed = source.read_text(), not path.endswith(".jinja")
        path = path.removesuffix(".jinja")
        names = sorted(self.deciding(path) if fixed else self.deciding(path, text), key=CHOSEN.index)
        by_path: dict[str, dict[tuple[str, ...], str | None]] = {}
        for chosen in possible(names):
            parts = [self.filled(part, chosen) for part in Path(path).parts]
            if all(parts):
                key = tuple(written(chosen[name]) for name in names)
                by_path.setdefault(str(Path(*parts)), {})[key] = text if fixed else self.filled(text, chosen)
        keys = [tuple(written(chosen[name]) for name in names) for chosen in possible(names)]
        return [(each, File(tuple(names), {key: texts.get(key) for key in keys})) for each, texts in by_path.items()]


def joined(files: list[File]) -> File:
    """Return the file that several template files render, each for other answers, with only the questions that matter."""
    names = sorted({name for file in files for name in file.questions}, key=CHOSEN.index)
    texts: dict[tuple[str, ...], str | None] = {}
    for chosen in possible(names):
        said = [text for file in files if (text := file.text(chosen)) is not None]
        texts[tuple(written(chosen[name]) for name in names)] = said[0] if said else None
    for name in list(names):
        at = names.index(name)
        less: dict[tuple[str, ...], set[str | None]] = {}
        for key, text in texts.items():
            less.setdefault((*key[:at], *key[at + 1 :]), set()).add(text)
        if all(len(said) == 1 for said in less.values()):
            names.remove(name)
            texts = {key: said.pop() for key, said in less.items()}
    return File(tuple(names), texts)

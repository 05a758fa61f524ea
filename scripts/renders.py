"""Render all files of all projects, each file once for the answers that affect it.

There are thousands of combinations of answers, and Copier takes half a second for each. So each file is rendered once for
each combination of those decisions that its own text and path ask for, in the environment of Jinja that Copier itself has.
Of the extras, each is a decision of its own: a text that asks for `"s3" in extras` depends on that one alone.
tests/rendering/test_rendering.py compares what comes out with what Copier renders.
"""

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import combinations, product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import yaml
from copier._main import Worker
from jinja2 import Template, meta, nodes

from tests.support.rendering import ANSWERS, CHOSEN, question_choices, read_questions

Chosen = Mapping[str, Any]
Key = tuple[str, ...]

# Copier's own variables that the template uses.
SOURCE = "https://github.com/copier-django/copier-django.git"
COPIER = SimpleNamespace(answers_file=".copier-answers.yml", data={}, dst_path=Path("project"))
# The file with the answers says in this line which extras are chosen, and nothing else in it depends on them.
ANSWERS_FILE, NO_EXTRAS = ".copier-answers.yml", "extras: []\n"

# All decisions, in the order of the questions. Each of the extras is one: `extras.s3` is "s3" or "".
EXTRAS = {f"extras.{extra}": extra for extra in question_choices("extras")}
DECISIONS = tuple(each for name in CHOSEN for each in (EXTRAS if name == "extras" else [name]))


def written(answer: Any) -> str:
    """Return an answer as one word; several extras are joined by commas."""
    return ",".join(answer) if isinstance(answer, list) else str(answer)


def key(names: Iterable[str], chosen: Chosen) -> Key:
    """Return the answers to these decisions, a word each."""
    return tuple(
        str(chosen[name]) if name not in EXTRAS else EXTRAS[name] if EXTRAS[name] in chosen["extras"] else ""
        for name in names
    )


def in_order(names: Iterable[str]) -> Key:
    """Return decisions without repetitions, in the order of the questions."""
    return tuple(sorted(set(names), key=DECISIONS.index))


def few(extras: list[str]) -> Iterator[list[str]]:
    """Yield the sets of at most two of these extras, and the set of all."""
    for size in sorted({0, 1, 2, len(extras)}):
        yield from map(list, combinations(extras, size))


def subsets(extras: list[str]) -> Iterator[list[str]]:
    """Yield all sets of these extras, from the empty one to that of all."""
    for size in range(len(extras) + 1):
        yield from map(list, combinations(extras, size))


def possible(names: Iterable[str], sets: Callable[[list[str]], Iterable[list[str]]] = few) -> list[dict[str, Any]]:
    """Return the combinations of answers to these decisions, without those that are refused.

    Args:
        names: the decisions.
        sets: the sets of extras that are combined with the other answers.
    """
    names = list(names)
    extras = [EXTRAS[name] for name in names if name in EXTRAS]
    others = [name for name in names if name not in EXTRAS]
    choices = [question_choices(name) for name in others]
    every = [dict(zip(others, values, strict=True)) for values in product(*choices)]
    allowed = [each for each in every if (each.get("platform"), each.get("database")) != ("heroku", "sqlite")]
    return [{**each, "extras": chosen} for each in allowed for chosen in sets(extras)]


@dataclass(frozen=True)
class File:
    """A file of projects.

    Attributes:
        path: its path in a project.
        placed: the decisions on whether a project has it.
        places: the answers to them with which a project has it.
        questions: the decisions that its text depends on.
        texts: its text by the answers to them, with at most two of the extras that it depends on or with all of them.
    """

    path: str
    placed: Key
    places: frozenset[Key]
    questions: Key
    texts: Mapping[Key, str]

    def text(self, chosen: Chosen) -> str | None:
        """Return its text in the project with these answers, or None if that project does not have it.

        Raises:
            KeyError: the text depends on more of the chosen extras than it is rendered for.
        """
        if key(self.placed, chosen) not in self.places:
            return None
        text = self.texts[key(self.questions, chosen)]
        return with_extras(text, chosen["extras"]) if self.path == ANSWERS_FILE else text


def with_extras(text: str, extras: list[str]) -> str:
    """Return the text of the file with the answers, for a project with these extras."""
    return text.replace(NO_EXTRAS, "".join(["extras:\n", *(f"- {each}\n" for each in extras)])) if extras else text


@dataclass(frozen=True)
class Source:
    """A file of the template.

    Attributes:
        text: what it says.
        fixed: True if it is copied as it is.
        placed: the decisions on its path in a project.
        places: its path by the answers to them; None where it is left out.
        questions: the decisions that its text depends on.
    """

    text: str
    fixed: bool
    placed: Key
    places: Mapping[Key, str | None]
    questions: frozenset[str]

    def is_at(self, path: str, chosen: Chosen) -> bool:
        """Return True if it renders the file with this path in the project with these answers."""
        return self.places[key(self.placed, chosen)] == path


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
            if name in DECISIONS:
                return frozenset({name})
            if name == "_copier_answers":
                return frozenset(DECISIONS).difference(EXTRAS)
            if name in self.typed or name not in self.questions:
                return frozenset()
            return self.deciding(str(self.questions[name]["default"]))

        self._compiled = compiled
        self._deciding = deciding
        self._values: dict[tuple[str, ...], Any] = {}

    def _names(self, source: str, parse: Callable[[str], Any]) -> frozenset[str]:
        """Return the variables that a text uses, with those of the files that it includes, and of extras those it asks for."""
        tree = parse(source)
        included = [str(name) for name in meta.find_referenced_templates(tree)]
        others = [self._names((self.template / name).read_text(), parse) for name in included]
        names = set(meta.find_undeclared_variables(tree))
        if "extras" in names:
            names = names - {"extras"} | asked_extras(tree)
        return frozenset(names).union(*others)

    def deciding(self, *sources: str) -> frozenset[str]:
        """Return the decisions that affect these texts."""
        names = frozenset[str]().union(*(self._compiled(source)[1] for source in sources))
        return frozenset[str]().union(*(self._deciding(name) for name in names))

    def filled(self, source: str, chosen: Chosen) -> str:
        """Return a text, rendered with these answers."""
        template, names = self._compiled(source)
        variables = {name.partition(".")[0] for name in names}
        return template.render({name: self.value(name, chosen) for name in variables})

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
        place = (name, *key(in_order(self._deciding(name)), chosen))
        if place not in self._values:
            question = self.questions[name]
            text = self.filled(str(question["default"]), chosen)
            # The loader in C reads the list of variables ten times as fast, in a hundredth of a second.
            self._values[place] = yaml.load(text, yaml.CSafeLoader) if question["type"] == "yaml" else text
        return self._values[place]

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
        found: dict[str, list[Source]] = {}
        for path in sorted((self.template / "template").rglob(f"{name}*")):
            # A compiled catalogue of translations is not text.
            if path.is_file() and path.suffix != ".mo":
                source = self._source(path)
                for place in {place for place in source.places.values() if place}:
                    found.setdefault(place, []).append(source)
        return {path: self._file(path, found[path]) for path in sorted(found)}

    def _source(self, path: Path) -> Source:
        """Return a file of the template."""
        text, fixed = path.read_text(), path.suffix != ".jinja"
        name = Path(str(path.relative_to(self.template / "template")).removesuffix(".jinja"))
        placed = in_order(self.deciding(str(name)))
        places = {}
        for chosen in possible(placed, subsets):
            parts = [self.filled(part, chosen) for part in name.parts]
            places[key(placed, chosen)] = str(Path(*parts)) if all(parts) else None
        return Source(text, fixed, placed, places, frozenset() if fixed else self.deciding(text))

    def _file(self, path: str, sources: list[Source]) -> File:
        """Return the file that sources of the template render, each for other answers."""
        placed = in_order(name for source in sources for name in source.placed)
        places = {key(placed, each) for each in possible(placed, subsets) if any(s.is_at(path, each) for s in sources)}
        questions = in_order({*placed, *(name for source in sources for name in source.questions)})
        texts = {}
        for chosen in possible(questions):
            for source in sources:
                if source.is_at(path, chosen):
                    texts[key(questions, chosen)] = source.text if source.fixed else self.filled(source.text, chosen)
                    break
        return File(path, placed, frozenset(places), *without_idle(questions, texts))


def asked_extras(tree: nodes.Template) -> set[str]:
    """Return the decisions on extras that a text asks for, as in `"s3" in extras`; all of them if it asks otherwise."""
    asked = [
        f"extras.{compared.expr.value}"
        for compared in tree.find_all(nodes.Compare)
        if isinstance(compared.expr, nodes.Const)
        and [(each.op in ("in", "notin"), getattr(each.expr, "name", "")) for each in compared.ops]
        == [(True, "extras")]
    ]
    mentions = [name for name in tree.find_all(nodes.Name) if name.name == "extras"]
    return set(asked) if len(asked) == len(mentions) else set(EXTRAS)


def without_idle(names: Key, texts: dict[Key, str]) -> tuple[Key, dict[Key, str]]:
    """Return decisions and texts without the decisions that do not matter where the file is there."""
    for name in names:
        at = names.index(name)
        less: dict[Key, set[str]] = {}
        for each, text in texts.items():
            less.setdefault((*each[:at], *each[at + 1 :]), set()).add(text)
        if all(len(said) == 1 for said in less.values()):
            names = (*names[:at], *names[at + 1 :])
            texts = {each: said.pop() for each, said in less.items()}
    return names, texts

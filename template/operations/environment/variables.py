"""Read environment variables one by one, and collect what is wrong with them.

Not with a library: environs loads marshmallow, and that would be a quarter of each command's time to start.
"""

import json
from collections.abc import Callable
from functools import partial
from typing import Any

NOT_SET = "not set."


class EnvError(ValueError):
    """Say what is wrong with a variable's value, and what to write instead. Never repeat the value: it may be a secret."""


def parts(text: str, subcast: Callable[[str], Any] = str) -> list[Any]:
    """Return the parts of a comma-separated text, each passed through `subcast`."""
    return [subcast(part.strip()) for part in text.split(",") if part.strip()]


def plain(parser: Callable[..., Any], problem: str, text: Any, **options: Any) -> Any:
    """Return what a parser of Python's own makes of the text; a default that is no text stays as it is.

    Raises:
        EnvError: with `problem`, if the parser raises ValueError.
    """
    try:
        return parser(text, **options) if isinstance(text, str) else text
    except ValueError:
        raise EnvError(problem) from None


# A project's own settings may read variables by these.
PLAIN = {
    "str": partial(plain, str, ""),
    "int": partial(plain, int, "not a whole number. Example: 3"),
    "float": partial(plain, float, "not a number. Example: 0.5"),
    "list": partial(plain, parts, "not a list of such values, separated by commas"),
    "json": partial(plain, json.loads, 'not JSON. Example: {"name": 1}'),
}


class Variables:
    """Read variables by parsers: `env.count("WEB_CONCURRENCY", 2)` passes the text, or the default, to the parser `count`.

    Problems are collected. A value that is missing or malformed reads as None.
    """

    def __init__(self) -> None:
        self.problems: dict[str, list[str]] = {}
        self._sealed = False
        self._parsers = dict[str, Callable[..., Any]](PLAIN)

    def add_parser(self, name: str, parser: Callable[..., Any]) -> None:
        """Read variables by `parser` from now on where `env.name(…)` is called.

        Args:
            name: the name.
            parser: a function of the text, or of the default, and of further arguments by name. It raises EnvError.
        """
        self._parsers[name] = parser

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Return what reads a variable by the parser of this name.

        Raises:
            AttributeError: there is no such parser.
        """
        parsers = self.__dict__.get("_parsers", {})
        if name not in parsers:
            known = ", ".join(sorted(parsers))
            raise AttributeError(f"no parser is called {name!r}. Add it with env.add_parser, or use one of {known}")
        return partial(self._read, parsers[name])

    def _read(self, parser: Callable[..., Any], name: str, default: Any = ..., **options: Any) -> Any:
        if self._sealed:
            raise RuntimeError(f"{name} is read below env.seal(), which reports what is wrong. Move the line above it")
        value = self.value(name, default)
        if value is ...:
            self.problem(**{name: NOT_SET})
            return None
        try:
            return parser(value, **options)
        except EnvError as error:
            self.problem(**{name: str(error)})
            return None

    def value(self, name: str, default: Any) -> Any:
        """Return the text of a variable, or the default where it is not set."""
        raise NotImplementedError

    def problem(self, **reasons: str) -> None:
        """Refuse variables whose values are valid alone, but not with others: `problem(LOG_FILE="…")`."""
        for name, reason in reasons.items():
            self.problems.setdefault(name, []).append(reason)

    def seal(self) -> None:
        """Stop reading variables."""
        self._sealed = True

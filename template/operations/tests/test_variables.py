"""A project's own settings read variables by name, and a problem is told in a line."""

from typing import Any

import pytest

from operations.environment import Environment


@pytest.fixture
def env() -> Environment:
    """What settings call `env`."""
    return Environment()


@pytest.mark.parametrize(
    ("parser", "options", "text", "value"),
    [
        ("str", {}, " as it is ", " as it is "),
        ("int", {}, " -3 ", -3),
        ("float", {}, "0.5", 0.5),
        ("bool", {}, "yes", True),
        ("list", {}, "a, b,,c", ["a", "b", "c"]),
        ("list", {"subcast": int}, "1,2", [1, 2]),
        ("json", {}, '{"a": [1]}', {"a": [1]}),
    ],
)
def test_a_variable_is_read_by_the_parser_that_is_named(
    env: Environment, monkeypatch: pytest.MonkeyPatch, parser: str, options: dict[str, Any], text: str, value: Any
) -> None:
    monkeypatch.setenv("OF_MY_OWN", text)
    assert getattr(env, parser)("OF_MY_OWN", **options) == value
    env.seal()


@pytest.mark.parametrize(
    ("parser", "default"), [("str", None), ("int", 3), ("bool", False), ("list", []), ("json", {})]
)
def test_a_variable_that_is_not_set_has_its_default(env: Environment, parser: str, default: Any) -> None:
    assert getattr(env, parser)("OF_MY_OWN", default) == default
    assert getattr(env, parser)("OF_MY_OWN", default=default) == default
    env.seal()


@pytest.mark.parametrize("parser", ["int", "float", "bool", "list", "json"])
def test_a_value_that_does_not_fit_is_refused_without_being_shown(
    env: Environment, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], parser: str
) -> None:
    monkeypatch.setenv("OF_MY_OWN", "s3cret")
    options = {"subcast": int} if parser == "list" else {}
    assert getattr(env, parser)("OF_MY_OWN", **options) is None
    with pytest.raises(SystemExit):
        env.seal()
    said = capsys.readouterr().err
    assert "OF_MY_OWN: n" in said
    assert "s3cret" not in said


def test_a_required_variable_that_nobody_set_is_named(env: Environment, capsys: pytest.CaptureFixture[str]) -> None:
    env.str("OF_MY_OWN")
    with pytest.raises(SystemExit):
        env.seal()
    assert capsys.readouterr().err.splitlines()[1] == "  OF_MY_OWN: not set."


def test_a_parser_can_be_added_and_an_unknown_one_is_named_with_those_that_there_are(env: Environment) -> None:
    env.add_parser("shout", lambda text: text.upper())
    assert env.shout("OF_MY_OWN", "hello") == "HELLO"
    with pytest.raises(AttributeError, match=r"no parser is called 'dict'.*\bint, json\b"):
        env.dict("OF_MY_OWN")


def test_a_variable_that_is_read_too_late_is_an_error(env: Environment) -> None:
    env.seal()
    with pytest.raises(RuntimeError, match=r"Move the line above it"):
        env.str("OF_MY_OWN", "")

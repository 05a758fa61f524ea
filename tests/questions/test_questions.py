"""Answers are refused with the reason and an example, or appear correctly everywhere."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import copier
import pytest
from jinja2 import Template

from tests.support.copying import copy
from tests.support.environments import run
from tests.support.questions import ASKED, CHOSEN, SHOWN, TYPED, answers_of, question_id
from tests.support.rendered import assert_whole_and_clean
from tests.support.rendering import ANSWERS, question_choices
from tests.support.terminal import COLUMNS

Render = Callable[..., Path]

# The platform for which a question is asked.
PLATFORM_OF = {"domain": "gunicorn", "heroku_app": "heroku", "pythonanywhere_user": "pythonanywhere"}


# The columns before a question or a choice at the prompt.
MARK = 3


class Refused(NamedTuple):
    """An answer, and the reason in its message, without the question's name and the example."""

    question: str
    answer: str
    why: str


REFUSED = [
    Refused("project_name", "", '"" is empty'),
    Refused("project_name", "   ", '"   " is empty'),
    Refused("project_name", "\u3000\u200d", "is empty"),
    Refused("project_name", "\u3164", "is empty"),
    Refused("project_name", "\u2800 \u115f\ufe0f\U000e0100", "is empty"),
    Refused("project_name", "Todo\nList", r'"Todo\nList" holds a line break'),
    Refused("project_name", "Todo List\n", r'"Todo List\n" holds a line break'),
    Refused("project_name", "Todo\tList", r'"Todo\tList" holds'),
    Refused("project_name", "Todo\x00", r'"Todo\u0000" holds'),
    Refused("project_name", "Todo\x1b[31m", r'"Todo\u001b[31m" holds'),
    Refused("project_name", "Todo\u2028List", r'"Todo\u2028List" holds'),
    Refused("project_name", "Todo\u202eList", r'"Todo\u202eList" holds'),
    Refused("project_name", "Todo\udc80", r'"Todo\udc80" holds'),
    Refused("project_name", "Todo ", '"Todo " starts or ends with one'),
    Refused("project_name", " Todo", '" Todo" starts or ends with one'),
    Refused("project_name", "Todo\u00a0", r'"Todo\u00a0" starts or ends with one'),
    Refused("project_name", "x" * 101, f'"{"x" * 39}…" has 101'),
    Refused("project_name", "x" * 200, f'"{"x" * 39}…" has 200'),
    Refused("project_slug", "", '"" does not'),
    Refused("project_slug", "Todo-List", '"Todo-List" does not'),
    Refused("project_slug", "todo_list", '"todo_list" does not'),
    Refused("project_slug", "todo list", '"todo list" does not'),
    Refused("project_slug", "todo.list", '"todo.list" does not'),
    Refused("project_slug", "2do", '"2do" does not'),
    Refused("project_slug", "todo--list", '"todo--list" does not'),
    Refused("project_slug", "-todo", '"-todo" does not'),
    Refused("project_slug", "todo-", '"todo-" does not'),
    Refused("project_slug", "todo\n", r'"todo\n" does not'),
    Refused("project_slug", "café", '"café" does not'),
    Refused("project_slug", "日本語", '"日本語" does not'),
    Refused("project_slug", "{{ 7*7 }}", '"{{ 7*7 }}" does not'),
    Refused("project_slug", "x;id", '"x;id" does not'),
    Refused("project_slug", "x" * 31, f'"{"x" * 31}" has 31'),
    Refused("project_slug", "x" * 5000, f'"{"x" * 39}…" has 5000'),
    Refused("project_slug", "pg-stats", '"pg-stats" starts with pg-'),
    *(
        Refused("project_slug", slug, f'"{slug}" is the name of a package, database, user or folder')
        for slug in ("click", "django", "postgres", "psycopg-binary", "root", "template0", "www-data", "nginx", "null")
    ),
    Refused("domain", "", '"" does not'),
    Refused("domain", "https://example.com", '"https://example.com" does not'),
    Refused("domain", "example.com:8000", '"example.com:8000" does not'),
    Refused("domain", "example.com/path", '"example.com/path" does not'),
    Refused("domain", "user@example.com", '"user@example.com" does not'),
    Refused("domain", "Example.com", '"Example.com" does not'),
    Refused("domain", "my_site.example.com", '"my_site.example.com" does not'),
    Refused("domain", "*.example.com", '"*.example.com" does not'),
    Refused("domain", "192.0.2.1", '"192.0.2.1" does not'),
    Refused("domain", "[2001:db8::1]", '"[2001:db8::1]" does not'),
    Refused("domain", "localhost", '"localhost" does not'),
    Refused("domain", "example.com.", '"example.com." does not'),
    Refused("domain", ".example.com", '".example.com" does not'),
    Refused("domain", "example..com", '"example..com" does not'),
    Refused("domain", "-a.example.com", '"-a.example.com" does not'),
    Refused("domain", "example.c", '"example.c" does not'),
    Refused("domain", "example.com\n", r'"example.com\n" does not'),
    Refused("domain", "example.com; return 200", '"example.com; return 200" does not'),
    Refused("domain", f"{'a' * 64}.example.com", f'"{"a" * 59}…" does not'),
    Refused("domain", "a." * 117 + "de", f'"{"a." * 29}a…" has 236'),
    Refused("domain", "müller.example", '"müller.example" does not'),
    Refused("heroku_app", "", '"" does not'),
    Refused("heroku_app", "ab", '"ab" does not'),
    Refused("heroku_app", "a" * 31, f'"{"a" * 31}" does not'),
    Refused("heroku_app", "Todo-list", '"Todo-list" does not'),
    Refused("heroku_app", "todo_list", '"todo_list" does not'),
    Refused("heroku_app", "2do", '"2do" does not'),
    Refused("heroku_app", "-todo", '"-todo" does not'),
    Refused("heroku_app", "todo-", '"todo-" does not'),
    Refused("heroku_app", "todo-list\n", r'"todo-list\n" does not'),
    Refused("heroku_app", "todo.herokuapp.com", '"todo.herokuapp.com" does not'),
    Refused("pythonanywhere_user", "", '"" does not'),
    Refused("pythonanywhere_user", "todo_list", '"todo_list" does not'),
    Refused("pythonanywhere_user", "todo-list", '"todo-list" does not'),
    Refused("pythonanywhere_user", "me@example.com", '"me@example.com" does not'),
    Refused("pythonanywhere_user", "../root", '"../root" does not'),
    Refused("pythonanywhere_user", "zoë", '"zoë" does not'),
    Refused("pythonanywhere_user", "todo\n", r'"todo\n" does not'),
    Refused("pythonanywhere_user", "a" * 31, f'"{"a" * 31}" does not'),
]

# One in five runs in `make check`.
EACH_REFUSED = [
    pytest.param(
        refused,
        id=f"{refused.question}-{question_id(refused.answer)}",
        marks=() if number % 5 == 0 else pytest.mark.thorough,
    )
    for number, refused in enumerate(REFUSED)
]

ACCEPTED = [
    ("project_slug", "x"),
    ("project_slug", "x1"),
    ("project_slug", "a-1-b2"),
    ("project_slug", "x" * 30),
    ("domain", "example.com"),
    ("domain", "a.b-c.1d.example"),
    ("domain", "xn--mller-kva.xn--p1ai"),
    ("domain", f"{'a' * 63}.example.com"),
    ("domain", "a." * 116 + "com"),
    ("heroku_app", "abc"),
    ("heroku_app", "a-1-" * 7 + "bc"),
    ("pythonanywhere_user", "x"),
    ("pythonanywhere_user", "ToDo2"),
    ("pythonanywhere_user", "a" * 30),
]


def on_its_platform(question: str, answer: str) -> dict[str, str]:
    """Return answers with which `question` is asked."""
    return {"platform": PLATFORM_OF.get(question, "docker"), question: answer}


def example_in(message: str) -> str:
    """Return the example that a validator's message gives."""
    found = re.search(r"(?:like|use) (Todo List|[a-z0-9.-]+)(?: \(|\Z)", message)
    assert found, f"no example in: {message}"
    return found[1]


@pytest.mark.parametrize("refused", EACH_REFUSED)
def test_a_bad_answer_is_refused_with_the_reason_and_an_example(
    questions: Path, render: Render, tmp_path: Path, refused: Refused
) -> None:
    with pytest.raises(ValueError, match=rf"\AValidation error for question '{refused.question}': ") as refusal:
        render(**on_its_platform(refused.question, refused.answer))
    message = str(refusal.value)
    assert refused.why in message
    assert message.isprintable(), "it is more than one line, or what was typed reaches the terminal raw"
    # A terminal cuts the message off at the end of the line, so it starts with the reason and an example.
    # tests/questions/test_copying.py sees each of these starts in a terminal.
    start = message.split(" (")[0]
    assert len(start) <= COLUMNS
    example = example_in(start)
    reasons = {shown.replace(example_in(shown), example) for shown in SHOWN[refused.question].values()}
    assert start.split("': ")[1] in reasons
    assert not any(tmp_path.iterdir()), "something was written"
    answers_of(questions, **on_its_platform(refused.question, example))


def test_a_name_of_signs_that_nobody_sees_is_refused(questions: Path) -> None:
    """Perl, which comes with git, knows Unicode's list of invisible characters, except those with a width."""
    program = "for (0..0x10ffff) { print qq($_ ) if chr =~ /[\\p{Default_Ignorable_Code_Point}\\p{Space}]/ }"
    listed = run(["perl", "-e", program], questions).split()
    unseen = [chr(int(number)) for number in listed if chr(int(number)).isprintable()]
    assert len(unseen) > 250
    with pytest.raises(ValueError, match="enter a name, like Todo List"):
        answers_of(questions, project_name="".join([*unseen, "\u2800", "\U0001d159"]))


@pytest.mark.thorough
@pytest.mark.parametrize(("question", "answer"), ACCEPTED, ids=question_id)
def test_a_good_answer_renders_a_clean_project(render: Render, question: str, answer: str) -> None:
    assert_whole_and_clean(render(**on_its_platform(question, answer)))


@pytest.mark.parametrize("question", CHOSEN)
def test_a_choice_that_is_not_offered_is_refused_with_those_that_are(
    render: Render, tmp_path: Path, question: str
) -> None:
    unknown = "nomad"
    with pytest.raises(ValueError, match=f"Invalid choice for '{question}': '{unknown}' is not in ") as refusal:
        render(**{question: [unknown] if ASKED[question].get("multiselect") else unknown})
    for choice in question_choices(question):
        assert f"'{choice}'" in str(refusal.value)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("platform", "question", "answer", "reason"),
    [
        ("heroku", "database", "sqlite", "Heroku keeps no files: use postgresql"),
        ("pythonanywhere", "python_version", "3.14", "PythonAnywhere has no 3.14 yet: use 3.13"),
    ],
)
def test_what_a_platform_cannot_do_is_refused_with_the_reason(
    render: Render, tmp_path: Path, platform: str, question: str, answer: str, reason: str
) -> None:
    with pytest.raises(ValueError, match=f"Invalid choice for '{question}': {reason}"):
        render(**{"platform": platform, question: answer})
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("question", ["project_name", "platform"])
def test_what_has_no_default_is_required(template: Path, tmp_path: Path, question: str) -> None:
    given = {name: answer for name, answer in ANSWERS.items() if name != question}
    with pytest.raises(ValueError, match=f'Question "{question}" is required'):
        copier.run_copy(str(template), tmp_path / "project", given, defaults=True, quiet=True)
    assert not any(tmp_path.iterdir())


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("question", "answer"),
    [*{refused.question: refused.answer for refused in REFUSED}.items(), ("project_name", "Todo\nList")],
    ids=question_id,
)
def test_a_refusal_on_the_command_line_ends_with_the_message(
    template: Path, tmp_path: Path, question: str, answer: str
) -> None:
    done = copy(template, tmp_path / "project", on_its_platform(question, answer))
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"ValueError: Validation error for question '{question}': ")
    assert example_in(last)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("question", ASKED)
def test_a_question_is_one_sentence_on_one_line(question: str) -> None:
    sentence = ASKED[question]["help"]
    assert re.fullmatch(r"[A-Z].+\?", sentence)
    assert not re.search(r"[.?!] ", sentence)
    assert MARK + len(sentence) <= COLUMNS


@pytest.mark.parametrize("question", CHOSEN)
def test_a_choice_fits_its_line(question: str) -> None:
    for choice in ASKED[question]["choices"]:
        # Some say more on one platform.
        for platform in question_choices("platform"):
            assert MARK + len(Template(choice).render(platform=platform)) <= COLUMNS


@pytest.mark.parametrize("question", TYPED)
def test_what_is_typed_is_validated(question: str) -> None:
    assert ASKED[question]["validator"]
    assert question in {refused.question for refused in REFUSED}

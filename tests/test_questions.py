"""Answers are refused with the reason and an example, or are said right wherever they appear."""

# Names in any script, and such as look like addresses and paths.
# ruff: noqa: RUF001, S104, S108

import ast
import itertools
import re
import shutil
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import copier
import pytest
import yaml

from tests.support.copying import copy
from tests.support.environments import Environments, project_environment, run, uv
from tests.support.rendered import assert_clean, assert_whole_and_clean, files, parse
from tests.support.rendering import ANSWERS, ROOT, pairwise_combinations, question_choices
from tests.support.terminal import COLUMNS

Render = Callable[..., Path]

QUESTIONS = {
    name: question
    for name, question in yaml.safe_load((ROOT / "copier.yml").read_text()).items()
    if not name.startswith("_")
}
ASKED = {name: question for name, question in QUESTIONS.items() if question.get("when") is not False}
CHOSEN = [name for name, question in ASKED.items() if "choices" in question]
TYPED = [name for name in ASKED if name not in CHOSEN]

# The platform on which a question is asked.
PLATFORM_OF = {"domain": "gunicorn", "heroku_app": "heroku", "pythonanywhere_user": "pythonanywhere"}

# What stands before a question, or before a choice, at the prompt.
MARK = 3

# All that a language might take for its own, in one name.
HOSTILE = """O'Neil & "Sons" #1: {{ 7*7 }} {% raw %} {# x #} <b>*site*</b> \\ $(id) %s ${HOME} `ls` &amp; 日本 ☕"""

ACCEPTED_NAMES = {
    "quotes": """O'Neil & "Sons": a #1 site""",
    "jinja expression": "{{ 7*7 }}",
    "jinja statement": "{% raw %}",
    "jinja comment": "{# x #}",
    "accents": "naïve café ☕",
    "number": "3.10",
    "yaml true": "yes",
    "yaml null": "null",
    "yaml tilde": "~",
    "yaml document": "---",
    "yaml alias": "*site",
    "yaml mapping": "key: value # comment",
    "html": "<script>alert(1)</script>",
    "html entity": "a &amp; b",
    "backslash": "a\\b",
    "last backslash": "C:\\",
    "escapes": "\\n \\u0041 \\N{BULLET}",
    "three double quotes": '"""',
    "three single quotes": "'''",
    "shell": "$(id) `id` ${HOME}",
    "percent": "%s %(name)s",
    "format": "{site_name}",
    "markdown": "*bold* _x_ [l](u)",
    "markdown heading": "## Two ##",
    "comment": "x # noqa # fmt: off",
    "address": "0.0.0.0",
    "path": "/tmp/../etc",
    "typographic": "Ben’s – “Blog”",
    "right to left": "שלום עולם",
    "arabic": "مرحبا بالعالم",
    "japanese": "日本語",
    "cyrillic": "Осень",
    "joined emoji": "Chef 👩‍🍳",
    "unbreakable space": "Café\u00a0!",
    "wide space": "私の\u3000サイト",
    "decomposed": "cafe\u0301",
    "folded": "a" * 79 + "   " + "b" * 18,
    "one": "x",
    "100": "x" * 100,
    "100 words": "a " * 49 + "bc",
    "100 quotes": "'\"" * 50,
    "100 backslashes": "\\" * 100,
    "100 wide": "語" * 100,
    # Too long for a line with the variable's name and short enough for one without.
    "55 wide": "語" * 55,
    "109": "x" * 92 + "\\" * 8,
}


class Refused(NamedTuple):
    """An answer, and what the message says of it beside the question's name and an example."""

    question: str
    answer: str
    why: str


REFUSED = [
    Refused("project_name", "", '"" is empty'),
    Refused("project_name", "   ", '"   " is empty'),
    Refused("project_name", "\u3000\u200d", "is empty"),
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
    Refused("project_slug", "pg-stats", '"pg-stats" does: PostgreSQL keeps'),
    *(
        Refused("project_slug", slug, f'"{slug}" is what a package, database, user or folder is called')
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
    Refused("domain", "a." * 126 + "de", f'"{"a." * 29}a…" does not'),
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

ACCEPTED = [
    ("project_slug", "x"),
    ("project_slug", "x1"),
    ("project_slug", "a-1-b2"),
    ("project_slug", "x" * 30),
    ("domain", "example.com"),
    ("domain", "a.b-c.1d.example"),
    ("domain", "xn--mller-kva.xn--p1ai"),
    ("domain", f"{'a' * 63}.example.com"),
    ("domain", "a." * 125 + "com"),
    ("heroku_app", "abc"),
    ("heroku_app", "a-1-" * 7 + "bc"),
    ("pythonanywhere_user", "x"),
    ("pythonanywhere_user", "ToDo2"),
    ("pythonanywhere_user", "a" * 30),
]

# Names whose slug is easily made wrong, and the one that it shall be.
SLUGS = {
    "Todo List": "todo-list",
    "O'Neil & Sons": "oneil-sons",
    "Ben’s Blog": "bens-blog",
    "naïve café ☕": "naive-cafe",
    "re\u0301sume\u0301": "resume",
    "Ænima Œuvre": "aenima-oeuvre",
    "Straße Þórður": "strasse-thordur",
    "Đặng Thị": "dang-thi",
    "ŁÓDŹ İstanbul": "lodz-istanbul",
    "ＡＢＣ": "abc",
    "日本語": "my-site",
    "3.10": "my-site",
    "☕": "my-site",
    "3D Prints": "site-3d-prints",
    "PG Stats": "site-pg-stats",
    "django": "django-site",
    "www data": "www-data-site",
    "Yes!": "yes-site",
    "Systemd Timesync": "systemd-timesync-site",
    "a" * 29 + " b": "a" * 29,
    "C:\\Users": "c-users",
    "-- x --": "x",
}

# Beginnings, middles and ends of names, each of which has gone wrong in some program.
PIECES = (
    *(
        "",
        "x",
        "Todo List",
        "3",
        "2024 ",
        "é",
        "ß",
        "ŋ",
        "Ω",
        "日本",
        "☕",
        "👩‍🍳",
        "\u0301",
        "'",
        '"',
        "\\",
        "\\U0001f600",
    ),
    *("-", "_", "  ", "pg ", "PG-", "Django", "template", "null", "{{ 7*7 }}", "\\N{LATIN SMALL LETTER A}", "𝓐", "ﬁ"),
    *("a" * 24 + " ", "b" * 29, "c" * 30 + "-", "www", "data"),
)

NAME_TESTS = """
import html

import pytest
from django.conf import settings
from django.core.mail import EmailMessage
from django.test import Client
from django.urls import reverse

NAME = {name!a}


def test_pages_say_the_name_and_never_its_tags(client: Client) -> None:
    page = client.get("/").content.decode()
    assert page.count(html.escape(NAME)) >= 3
    assert NAME not in page


@pytest.mark.django_db
def test_mails_say_the_name_in_their_subject(client: Client, mailoutbox: list[EmailMessage]) -> None:
    password = "correct horse battery staple"
    data = {{"email": "visitor@example.com", "password1": password, "password2": password}}
    client.post(reverse("account_signup"), data)
    assert mailoutbox[0].subject.startswith(f"[{{NAME}}] ")
    assert mailoutbox[0].message().as_bytes()
"""


def question_id(value: object) -> str:
    """An answer in a test's id, in letters that every log can hold."""
    return ascii(value)[1:-1] if len(ascii(value)) < 40 else f"{ascii(value)[1:20]} {len(str(value))}"


@pytest.fixture(scope="module")
def questions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A template with this one's questions and no files, for answers alone."""
    folder = tmp_path_factory.mktemp("questions")
    (folder / "template").mkdir()
    shutil.copy(ROOT / "copier.yml", folder)
    return folder


def answers_of(questions: Path, **data: Any) -> dict[str, Any]:
    """What the questions make of `data`."""
    asked = copier.run_copy(str(questions), questions / "nowhere", {**ANSWERS, **data}, defaults=True, quiet=True)
    return dict(asked.answers.user)


def on_its_platform(question: str, answer: str) -> dict[str, str]:
    """Answers with which `question` is asked."""
    return {"platform": PLATFORM_OF.get(question, "docker"), question: answer}


def example_in(message: str) -> str:
    """The example that a validator's message gives."""
    found = re.search(r"like (.+?)(?: \(|, and )", message)
    assert found, f"no example in: {message}"
    return found[1]


def unescaped(markdown: str) -> str:
    """What a line of Markdown says, where each sign that means something is escaped."""
    assert not re.search(r"(?<!\\)(?:\\\\)*(?:[*_`\[\]<>$]|&#?\w+;)", markdown), f"not escaped: {markdown}"
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", markdown)


def names_said(project: Path) -> dict[str, object]:
    """The site's name as each file of a project says it, read as its language reads it."""
    site = ast.parse((project / "config/settings/site.py").read_text()).body[-1]
    assert isinstance(site, ast.Assign)
    said = {
        ".copier-answers.yml": parse(project / ".copier-answers.yml")["project_name"],
        "README.md": unescaped((project / "README.md").read_text().splitlines()[0].removeprefix("# ")),
        "config/settings/site.py": ast.literal_eval(site.value),
        "pyproject.toml": parse(project / "pyproject.toml")["project"]["description"],
    }
    if (project / "app.json").exists():
        said["app.json"] = parse(project / "app.json")["description"]
    return said


# ------------------------------------------------------------------- names


@pytest.mark.parametrize("name", ACCEPTED_NAMES.values(), ids=ACCEPTED_NAMES)
def test_a_name_is_said_right_wherever_it_appears(render: Render, name: str) -> None:
    project = render(project_name=name, platform="heroku")
    assert_clean(project, "config/settings/site.py")
    for file, said in names_said(project).items():
        assert said == name, f"{file} says {said!r}"


@pytest.mark.parametrize("platform", question_choices("platform"))
def test_a_name_appears_where_it_is_known_to_and_nowhere_else(render: Render, platform: str) -> None:
    project = render(project_name=HOSTILE, platform=platform)
    assert_whole_and_clean(project)
    said = names_said(project)
    assert set(said.values()) == {HOSTILE}
    assert {str(path.relative_to(project)) for path in files(project) if "Neil" in path.read_text()} == said.keys()


def test_answers_render_the_same_project_again(template: Path, render: Render, tmp_path: Path) -> None:
    project = render(project_name=HOSTILE)
    answers = parse(project / ".copier-answers.yml")
    again = tmp_path / "again"
    copier.run_copy(
        str(template), again, {name: answer for name, answer in answers.items() if name in ASKED}, quiet=True
    )
    assert {path.relative_to(again): path.read_bytes() for path in files(again)} == {
        path.relative_to(project): path.read_bytes() for path in files(project)
    }


def test_a_project_with_a_hostile_name_passes_its_own_tests(render: Render, environments: Environments) -> None:
    project = render(project_name=HOSTILE)
    (project / "tests/test_name.py").write_text(NAME_TESTS.format(name=HOSTILE))
    run(["pytest", "--quiet"], project, env=project_environment(environments.install(project)))


# ------------------------------------------------------------------- slugs


@pytest.mark.parametrize(("name", "slug"), SLUGS.items(), ids=question_id)
def test_the_slug_comes_from_the_name(questions: Path, name: str, slug: str) -> None:
    assert answers_of(questions, project_name=name)["project_slug"] == slug


def test_the_slug_of_every_name_is_valid(questions: Path) -> None:
    asking = copier.run_copy(str(questions), questions / "nowhere", ANSWERS, defaults=True, quiet=True)
    compiled = asking.jinja_env.from_string
    name_refusal = compiled(QUESTIONS["project_name"]["validator"])
    slug_from_name = compiled(QUESTIONS["slug_from_name"]["default"])
    slug_refusal = compiled(QUESTIONS["project_slug"]["validator"])
    reserved_slugs = asking.answers.user["reserved_slugs"]
    accepted = 0
    for pieces in itertools.product(PIECES, PIECES, ("", " ", "b" * 29)):
        name = "".join(pieces)
        if not name_refusal.render(project_name=name).strip():
            accepted += 1
            slug = slug_from_name.render(project_name=name, reserved_slugs=reserved_slugs)
            refusal = slug_refusal.render(project_slug=slug, reserved_slugs=reserved_slugs).strip()
            assert not refusal, f"the slug of {name!r}: {refusal}"
            assert yaml.safe_load(slug) == slug
    assert accepted > 2000


def test_no_slug_is_the_name_of_a_package_that_a_project_needs(render: Render, questions: Path) -> None:
    reserved = answers_of(questions)["reserved_slugs"].split()
    needs: dict[str, Path] = {}
    for answers in pairwise_combinations():
        project = render(**answers)
        settings = parse(project / "pyproject.toml")
        needs[repr((settings["project"]["dependencies"], settings["dependency-groups"]))] = project
    for project in needs.values():
        run([uv(), "lock", "--quiet", "--python", sys.executable], project)
        packages = {package["name"] for package in tomllib.loads((project / "uv.lock").read_text())["package"]}
        missing = packages - {parse(project / "pyproject.toml")["project"]["name"]} - set(reserved)
        assert not missing, f"put these into copier.yml's reserved_slugs: {sorted(missing)}"


def test_no_slug_is_a_user_or_group_that_debian_is_born_with(questions: Path) -> None:
    reserved = answers_of(questions)["reserved_slugs"].split()
    for accounts in Path("/usr/share/base-passwd").glob("*.master"):
        names = {line.split(":")[0] for line in accounts.read_text().splitlines()}
        assert {name for name in names if not name.startswith("_")} <= set(reserved)


def test_reserved_slugs_are_listed_in_order() -> None:
    lists = re.split(r"\{#.*?#\}", QUESTIONS["reserved_slugs"]["default"])
    assert [words.split() for words in lists] == [sorted(words.split()) for words in lists]
    every = " ".join(lists).split()
    assert len(set(every)) == len(every)


# ------------------------------------------------------- refused, or accepted


@pytest.mark.parametrize("refused", REFUSED, ids=lambda refused: f"{refused.question}-{question_id(refused.answer)}")
def test_a_bad_answer_is_refused_with_the_reason_and_an_example(
    questions: Path, render: Render, tmp_path: Path, refused: Refused
) -> None:
    with pytest.raises(ValueError, match=rf"\AValidation error for question '{refused.question}': must ") as refusal:
        render(**on_its_platform(refused.question, refused.answer))
    message = str(refusal.value)
    assert refused.why in message
    assert message.isprintable(), "it is more than one line, or what was typed reaches the terminal raw"
    rule = re.split(r"[,(]", message)[0]
    assert len(rule) <= COLUMNS, "the prompt cuts a message off where the terminal ends"
    assert not any(tmp_path.iterdir()), "something was written"
    answers_of(questions, **on_its_platform(refused.question, example_in(message)))


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


def test_sqlite_on_heroku_is_refused_with_the_reason(render: Render, tmp_path: Path) -> None:
    reason = "Heroku loses its disk at each restart, and SQLite's file with it; choose postgresql"
    with pytest.raises(ValueError, match=f"Invalid choice for 'database': {reason}"):
        render(platform="heroku", database="sqlite")
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("question", ["project_name", "platform"])
def test_what_has_no_default_is_required(template: Path, tmp_path: Path, question: str) -> None:
    given = {name: answer for name, answer in ANSWERS.items() if name != question}
    with pytest.raises(ValueError, match=f'Question "{question}" is required'):
        copier.run_copy(str(template), tmp_path / "project", given, defaults=True, quiet=True)
    assert not any(tmp_path.iterdir())


# ---------------------------------------------------------- on the command line


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
    assert last.startswith(f"ValueError: Validation error for question '{question}': must ")
    assert example_in(last)
    assert not any(tmp_path.iterdir())


# ------------------------------------------------------------------- helps


@pytest.mark.parametrize("question", ASKED)
def test_a_question_is_one_sentence_on_one_line(question: str) -> None:
    sentence = ASKED[question]["help"]
    assert re.fullmatch(r"[A-Z].+\?", sentence)
    assert not re.search(r"[.?!] ", sentence)
    assert MARK + len(sentence) <= COLUMNS


@pytest.mark.parametrize("question", CHOSEN)
def test_a_choice_fits_its_line(question: str) -> None:
    for choice in ASKED[question]["choices"]:
        assert MARK + len(choice) <= COLUMNS


@pytest.mark.parametrize("question", TYPED)
def test_what_is_typed_is_validated(question: str) -> None:
    assert ASKED[question]["validator"]
    assert question in {refused.question for refused in REFUSED}

"""The site's name appears correctly in each file, whatever characters it has."""

# Names in several scripts, and names that look like addresses and paths.
# ruff: noqa: RUF001, S104, S108

import ast
import re
from collections.abc import Callable
from pathlib import Path

import copier
import pytest

from tests.support.environments import Environments, project_environment, run
from tests.support.questions import ASKED
from tests.support.rendered import assert_clean, assert_whole_and_clean, files, parse, texts
from tests.support.rendering import question_choices

Render = Callable[..., Path]

# A name with the special characters of all file formats.
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
    # Too long for one line with the variable's name, and short enough without it.
    "55 wide": "語" * 55,
    "109": "x" * 92 + "\\" * 8,
}

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


def unescaped(markdown: str) -> str:
    """Return the text of a line of Markdown whose special characters are escaped."""
    assert not re.search(r"(?<!\\)(?:\\\\)*(?:[*_`\[\]<>$]|&#?\w+;)", markdown), f"not escaped: {markdown}"
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", markdown)


def names_said(project: Path) -> dict[str, object]:
    """Return the site's name from each file of a project, parsed by the file's format."""
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
    assert {str(path.relative_to(project)) for path in texts(project) if "Neil" in path.read_text()} == said.keys()


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
    env = project_environment(environments.install(project))
    run(["pytest", "--quiet"], project, env=env)
    # And one that is safe on a page, and looks like what tests of pages look for.
    (project / "config/settings/site.py").write_text('SITE_NAME = "javascript:alert(1) onclick= Traceback"\n')
    run(["pytest", "--quiet", "tests/test_pages.py"], project, env=env)

"""Make the documentation's pages from the template: the questions, the runbooks, and what is tested."""

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from scripts.picker import choices, label
from scripts.renders import Chosen, File, Renders, written
from tests.support.releases import RELEASES
from tests.support.rendering import (
    CHOSEN,
    number_of_combinations,
    pairwise_combinations,
    question_choices,
    triple_combinations,
)

# The default answers, on the demonstration's platform.
DEFAULTS: dict[str, Any] = {
    "platform": "docker",
    "database": "postgresql",
    "tasks": "none",
    "extras": [],
    "ci": "github",
    "python_version": "3.13",
}
PLATFORMS = {"heroku": "Heroku", "pythonanywhere": "PythonAnywhere", "docker": "Docker", "gunicorn": "gunicorn"}
# Files that contain the answers, and so differ with each.
ALWAYS = {".copier-answers.yml"}


def picked(words: str, chosen: Chosen, file: str = "README.md", *, up: str = "") -> str:
    """Return a link to the picker with these answers and a file.

    Zensical looks for a page of the name that a link has before its `#`, query included. So the query is the link's title
    until scripts/docs.py puts it where it belongs.
    """
    query = urlencode({name: written(answer) for name, answer in {**chosen, "file": file}.items()}, safe="/,")
    return f'[{words}]({up}picker.md "?{query}")'


def project(files: Mapping[str, File], chosen: Chosen) -> dict[str, str]:
    """Return the files of a project by path."""
    return {path: text for path, file in files.items() if (text := file.text(chosen)) is not None}


def quoted(names: Iterable[str]) -> str:
    """Return names as code, in one line."""
    return ", ".join(f"`{name}`" for name in names)


def variables(renders: Renders, chosen: Chosen) -> set[str]:
    """Return the environment variables that a project reads."""
    sections = renders.value("environment_variables", chosen)
    return {variable["name"] for section in sections for variable in section["variables"]}


def packages(renders: Renders, chosen: Chosen) -> set[str]:
    """Return the packages that these answers add to a project."""
    return set(renders.value("packages", chosen).split("\n")) - {""}


def change(renders: Renders, files: Mapping[str, File], chosen: Chosen, usual: Chosen) -> list[str]:
    """Return the changes in a project with another answer, one line for each kind."""
    then, now = project(files, usual), project(files, chosen)
    both = (then.keys() & now.keys()) - ALWAYS
    said = {
        "Adds": sorted(now.keys() - then.keys()),
        "Leaves out": sorted(then.keys() - now.keys()),
        "Changes": sorted(path for path in both if then[path] != now[path]),
        "Needs the packages": sorted(
            package.partition(">")[0].partition("<")[0]
            for package in packages(renders, chosen) - packages(renders, usual)
        ),
        "Reads the variables": sorted(variables(renders, chosen) - variables(renders, usual)),
    }
    return [f"- {words} {quoted(names)}" for words, names in said.items() if names]


def questions(renders: Renders, files: Mapping[str, File]) -> str:
    """Return the page with all questions, and the changes that each answer makes."""
    lines = [
        "# Questions",
        "",
        "Everything that Copier asks, in its order. What an answer changes is compared with a project on Docker that has the default for all",
        f"others; the [picker](picker.md) shows each of the {number_of_combinations():,} combinations. `copier update` can change every answer later:",
        "[switching](switching.md).",
    ]
    asked = {
        name: question
        for name, question in renders.questions.items()
        if not name.startswith("_") and question.get("when") is not False
    }
    for name, question in asked.items():
        lines += ["", f"## `{name}`", "", f"**{question['help']}**"]
        if name not in CHOSEN:
            lines += ["", *typed(renders, name, question)]
            continue
        for value, text in choices(question):
            chosen = {**DEFAULTS, name: [value] if name == "extras" else value}
            lines += ["", f"### {label(text)}: `{value}`", ""]
            rest = text.removeprefix(label(text)).lstrip(": ")
            rest = rest.removeprefix("(").removesuffix(")") if rest.startswith("(") else rest
            if rest:
                lines += [f"{rest[0].upper()}{rest[1:]}.", ""]
            if chosen == DEFAULTS:
                lines.append("This is what the other answers are compared with.")
            else:
                lines += change(renders, files, chosen, DEFAULTS)
            lines += ["", picked("See its files", chosen)]
    return "\n".join(lines) + "\n"


def typed(renders: Renders, name: str, question: Mapping[str, Any]) -> list[str]:
    """Return the description of a question with a typed answer."""
    lines = []
    platforms = [
        each
        for each in question_choices("platform")
        if renders.filled(str(question.get("when", True)), {"platform": each}) == "True"
    ]
    if len(platforms) < len(PLATFORMS):
        lines.append(f"Asked on {' and '.join(PLATFORMS[each] for each in platforms)}.")
    if "default" in question:
        default = renders.filled(str(question["default"]), {**DEFAULTS, "platform": platforms[0]})
        lines.append(f"For a project called Todo List, Enter takes `{default}`.")
    rules = re.findall(
        r"\((?:\{\{ shown \}\}|\{\{ .+? \}\}) does not match: (.+?)\)$", question.get("validator", ""), re.MULTILINE
    )
    lines += [f"What is accepted: {rule}." for rule in rules]
    if "choices" in question:
        lines += ["", *(f"- `{value}`: {text.partition(': ')[2] or text}" for value, text in choices(question))]
    if name == "project_name":
        lines.append("Any text of one line, of at most 100 characters. The only question without a default.")
    return lines


def runbook(files: Mapping[str, File], platform: str) -> str:
    """Return a platform's runbook as a page: docs/deploy.md of a project with the default answers."""
    chosen = {**DEFAULTS, "platform": platform}
    text = files["docs/deploy.md"].text(chosen) or ""
    title, _, rest = text.partition("\n")
    note = (
        f"This is `docs/deploy.md` of a project called Todo List, with PostgreSQL and no background tasks. Yours says what your answers need: "
        f"{picked('read it with other answers', chosen, 'docs/deploy.md', up='../')}. The tests run its commands as they are written."
    )

    def outside(found: re.Match[str]) -> str:
        """Replace a link to another file of the project by a link to the picker."""
        return picked(found[1], chosen, os.path.normpath(Path("docs", found[2])), up="../")

    rest = re.sub(r"\[([^]]+)\]\((?!https?://|#|mailto:)([^)#\s]+)(?:#[^)]*)?\)", outside, rest)
    return f"---\ntitle: {PLATFORMS[platform]}\n---\n\n{title}\n\n!!! note\n    {note}\n{rest}"


def blocks(text: str) -> int:
    """Return the number of command blocks in a runbook."""
    return len(re.findall(r"^```bash$", text, re.MULTILINE))


def figures(files: Mapping[str, File], root: Path) -> str:
    """Return a table of what is tested, counted in this repository."""
    runbooks = {name: files["docs/deploy.md"].text({**DEFAULTS, "platform": name}) or "" for name in PLATFORMS}
    functions = [
        re.findall(r"^def test_\w+", path.read_text(), re.MULTILINE) for path in sorted(root.glob("tests/*/test_*.py"))
    ]
    switches = len(PLATFORMS) * (len(PLATFORMS) - 1)
    rows = {
        "Combinations of answers that are possible": f"{number_of_combinations():,}",
        "of them rendered and linted, so that each three answers meet": len(triple_combinations()),
        "of them installed and tested, so that each two answers meet": len(pairwise_combinations()),
        "Releases that an update is replayed from": len(RELEASES),
        "Moves from one platform to another": switches,
        **{f"Blocks of commands in the runbook of {PLATFORMS[name]}": blocks(text) for name, text in runbooks.items()},
        "Tests of the template, many with several cases": sum(map(len, functions)),
    }
    return "\n".join(
        ["| what | how many |", "| --- | ---: |", *(f"| {name} | {count} |" for name, count in rows.items())]
    )

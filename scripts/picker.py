"""Write the data of the documentation's picker: the files and their texts for each combination of answers.

`files.json` lists the files, and the decisions on whether a project has each; the one at place 7 has what it says in
`7.json`. Its versions have most lines in common, so it holds each line once, and a version is a list of ranges of lines. A
text that depends on many extras is there with at most two of them and with all; picker.js says what to do about the others.
"""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from scripts.renders import ANSWERS_FILE, Chosen, File, key, with_extras

Ranges = list[list[int]]


def ranges(text: str, lines: dict[str, int]) -> Ranges:
    """Return the positions of a text's lines in the list of all lines, as pairs of first and last; append new lines."""
    found: Ranges = []
    for line in text.split("\n"):
        at = lines.setdefault(line, len(lines))
        if found and found[-1][1] == at:
            found[-1][1] = at + 1
        else:
            found.append([at, at + 1])
    return found


def write(files: Mapping[str, File], folder: Path) -> None:
    """Write the files of all projects into a folder, which is made."""
    folder.mkdir(parents=True)
    listed = []
    for place, (path, file) in enumerate(files.items()):
        versions: dict[str, int] = {}
        at = {"|".join(answers): versions.setdefault(text, len(versions)) for answers, text in file.texts.items()}
        listed.append({"path": path, "by": file.placed, "at": sorted("|".join(each) for each in file.places)})
        lines: dict[str, int] = {}
        said = [ranges(text, lines) for text in versions]
        write_json(folder / f"{place}.json", {"by": file.questions, "at": at, "lines": list(lines), "versions": said})
    write_json(folder / "files.json", listed)


def write_json(path: Path, content: object) -> None:
    """Write a JSON file."""
    path.write_text(json.dumps(content, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")


def read(folder: Path, chosen: Chosen) -> dict[str, str | None]:
    """Return the files of one project by path, as picker.js puts them together; None for a text that the data lacks."""
    found: dict[str, str | None] = {}
    for place, listed in enumerate(json.loads((folder / "files.json").read_text())):
        if "|".join(key(listed["by"], chosen)) in listed["at"]:
            file = json.loads((folder / f"{place}.json").read_text())
            at = file["at"].get("|".join(key(file["by"], chosen)))
            found[listed["path"]] = None if at is None else shown(file, at, listed["path"], chosen)
    return found


def shown(file: Mapping[str, Any], at: int, path: str, chosen: Chosen) -> str:
    """Return a version of a file's text."""
    text = "\n".join(line for first, last in file["versions"][at] for line in file["lines"][first:last])
    return with_extras(text, chosen["extras"]) if path == ANSWERS_FILE else text


def label(choice: str) -> str:
    """Return a choice's name, without its description."""
    return choice.partition(":")[0].partition(" (")[0]


def choices(question: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return a question's choices, each value with its text, without what only one platform's prompt says."""
    offered = question["choices"]
    if isinstance(offered, list):
        return [(each, each) for each in offered]
    return [(each["value"], re.sub(r"\{\{.*?\}\}", "", text)) for text, each in offered.items()]


def form(questions: Mapping[str, Any], names: Iterable[str]) -> str:
    """Return the HTML form of the picker's page."""
    parts = []
    for name in names:
        question = questions[name]
        kind = "checkbox" if question.get("multiselect") else "radio"
        default = question.get("default") or ("docker" if name == "platform" else "")
        boxes = [
            f'<label><input type="{kind}" name="{name}" value="{value}"{" checked" if value == default else ""}> '
            f'<span title="{text}">{label(text)}</span></label>'
            for value, text in choices(question)
        ]
        legend = question["help"].replace('"', "&quot;")
        parts.append(f"<fieldset><legend>{legend}</legend>{''.join(boxes)}</fieldset>")
    return "\n".join(parts)

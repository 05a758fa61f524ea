"""The table of who reads a variable's value in which way, in a project's docs/environment.md, and values to try it with."""

from collections.abc import Callable, Mapping
from pathlib import Path

# Gives the variables that a program reads of lines `NAME=text`; a name that it cannot read is missing.
Reader = Callable[[Mapping[str, str]], Mapping[str, str]]

# Twelve values that some reader takes apart.
VALUES = {
    "DOLLAR": "pa$Sword9",
    "BRACES": "a${HOME}b",
    "COMMAND": "a$(id)b`id`c",
    "SINGLE": "it's",
    "DOUBLE": 'say "hi"',
    "QUOTED": "'all of it'",
    "HASH": "a#b",
    "COMMENT": "a #b",
    "SPACES": " a  b ",
    "LINES": "a\nb",
    "BACKSLASHES": "a\\b\\n\\\\c",
    "REST": "a=b;c&d|e%s!*{{f}}\u00fc\u2615",
}
# What the page calls harmless, with each sign that it names.
PLAIN = "Az09._-:/@%2F+,="
# What stands in the table's columns, without quotes around it.
BARE = {
    "`$`": ["pa$Sword9", "a${HOME}b"],
    "`'`, `\"` inside": ["it's", 'a"b'],
    "` #`": ["a #b"],
    "spaces inside": ["a b"],
    "`\\`": ["a\\b"],
}
# How the last column tells its reader to write any value.
QUOTED: dict[str, Callable[[str], str]] = {
    "`'…'` with `\\'` and `\\\\`": lambda value: "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'",
    "`'…'` with `\\'` and `\\`": lambda value: "'" + value.replace("'", "\\'") + "'",
    "`'…'` with `'\\''` and `\\`": lambda value: "'" + value.replace("'", "'\\''") + "'",
    '`"…"` with `\'`, `\\"` and `\\\\`': lambda value: '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"',
    "as they are, without quotes": lambda value: value,
}


def told(project: Path) -> dict[str, dict[str, str]]:
    """What the table says of each reader, by the columns' heads."""
    lines = (project / "docs/environment.md").read_text().splitlines()
    (first,) = [number for number, line in enumerate(lines) if line.startswith("| where, and who reads it |")]
    heads = cells(lines[first])[1:]
    table = {}
    for line in lines[first + 2 :]:
        if not line.startswith("|"):
            break
        name, *found = cells(line)
        table[name] = dict(zip(heads, found, strict=True))
    assert set(heads) - {"to write `'` and `\\`"} == set(BARE)
    return table


def cells(line: str) -> list[str]:
    """The cells of a line of a table."""
    return [cell.strip() for cell in line.strip("|").split(" | ")]


def assert_read_as_told(row: Mapping[str, str], read: Reader) -> None:
    """See that a reader does with values what a row of the table says, and what the rules above the table say of all."""
    quoted = QUOTED[row["to write `'` and `\\`"]]
    texts = {name: quoted(value) for name, value in VALUES.items()}
    wanted = dict(VALUES)
    texts["PLAIN"] = wanted["PLAIN"] = PLAIN
    if "without" not in row["to write `'` and `\\`"]:
        for name, value in VALUES.items():
            if not set(value) & {"'", "\\"}:
                texts[f"SIMPLY_{name}"], wanted[f"SIMPLY_{name}"] = f"'{value}'", value
    bare = {
        f"BARE_{number}_{index}": (column, value)
        for number, (column, values) in enumerate(BARE.items())
        for index, value in enumerate(values)
    }
    found = read({**texts, **{name: value for name, (_, value) in bare.items()}})
    assert {name: found.get(name) for name in wanted} == wanted
    kept = {name: found.get(name) == value for name, (_, value) in bare.items()}
    assert kept == {name: row[column] == "kept" for name, (column, _) in bare.items()}

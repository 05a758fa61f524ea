"""Read the table in a project's docs/environment.md of how each program reads values, and test it with difficult values."""

from collections.abc import Callable, Mapping
from pathlib import Path

# A reader takes lines `NAME=text` and returns the variables, without those that it cannot read.
Reader = Callable[[Mapping[str, str]], Mapping[str, str]]

# Twelve values that some reader changes.
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
# A value with all characters that the page calls harmless.
PLAIN = "Az09._-:/@%2F+,="
# The table's columns, without the quotes around values.
BARE = {
    "`$`": ["pa$Sword9", "a${HOME}b"],
    "`'`, `\"` inside": ["it's", 'a"b'],
    "` #`": ["a #b"],
    "spaces inside": ["a b"],
    "`\\`": ["a\\b"],
}
# Functions that write a value as the last column says.
QUOTED: dict[str, Callable[[str], str]] = {
    "`'…'` with `\\'` and `\\\\`": lambda value: "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'",
    "`'…'` with `\\'` and `\\`": lambda value: "'" + value.replace("'", "\\'") + "'",
    "`'…'` with `'\\''` and `\\`": lambda value: "'" + value.replace("'", "'\\''") + "'",
    '`"…"` with `\'`, `\\"` and `\\\\`': lambda value: '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"',
    "as they are, without quotes": lambda value: value,
}


def told(project: Path) -> dict[str, dict[str, str]]:
    """Return the table's row for each reader, by the columns' headings."""
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
    """Return the cells of a table's line."""
    return [cell.strip() for cell in line.strip("|").split(" | ")]


def assert_read_as_told(row: Mapping[str, str], read: Reader) -> None:
    """Assert that a reader reads values as its row in the table says, and as the rules above the table say."""
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

"""Read and lint a rendered project."""

import ast
import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import yaml

# Stricter rules for the template's own code, in addition to a project's rules for its owner's code.
HOUSE_RULES = (
    "--extend-select=A,ARG,B,BLE,C4,DJ,DTZ,E,F,I,LOG,N,PERF,PIE,PT,PTH,RET,RUF,S,SIM,T20,UP,W",
    # The template's code runs on each Python that projects may choose.
    "--target-version=py312",
    # The formatter decides the length of lines, and Django's classes have many lists as class attributes.
    "--ignore=E501,RUF012,S101",
    "--extend-per-file-ignores="
    # A project's name may be in any script, and may look like an address or a path.
    "config/settings/site.py:RUF001,config/settings/site.py:S104,config/settings/site.py:S108,"
    "deploy/*:S603,deploy/*:S607,deploy/*:T201,smoke/*:S603,"
    "tests/*:S105,tests/*:S106,operations/tests/*:S105,operations/tests/*:S106",
)


def files(project: Path) -> list[Path]:
    """Return a project's files, without those that tools left."""
    return sorted(
        path for path in project.rglob("*") if path.is_file() and not {"__pycache__", ".ruff_cache"} & set(path.parts)
    )


def texts(project: Path) -> list[Path]:
    """Return a project's files without the compiled catalogues of translations, which are not text."""
    return [path for path in files(project) if path.suffix != ".mo"]


def parse(path: Path) -> Any:
    """Parse a file by its suffix; raise the parser's error if it is malformed."""
    text = path.read_text()
    match path.suffix or path.name:
        case ".py":
            return ast.parse(text)
        case ".toml":
            return tomllib.loads(text)
        case ".json":
            return json.loads(text)
        case ".yaml" | ".yml":
            return yaml.safe_load(text)
        case _:
            return text


def run_tool(*command: str, folder: Path) -> None:
    """Run a program of this environment; if it fails, its output is the message."""
    program = Path(sys.prefix, "bin", command[0])
    done = subprocess.run([program, *command[1:]], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def assert_clean(project: Path, path: str = ".") -> None:
    """Assert that ruff finds nothing at a project's path, by the project's rules and by the template's own."""
    run_tool("ruff", "check", "--quiet", path, folder=project)
    run_tool("ruff", "check", "--quiet", *HOUSE_RULES, path, folder=project)
    run_tool("ruff", "format", "--quiet", "--check", path, folder=project)


def assert_whole_and_clean(project: Path) -> None:
    """Assert that all files of a project parse, and that ruff finds nothing."""
    for path in texts(project):
        parse(path)
    assert_clean(project)

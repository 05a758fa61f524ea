"""Reading a rendered project, and asking the linters what they think of it."""

import ast
import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import yaml

# Beside a project's own rules, which find bugs in its owner's code, what the template asks of its own.
HOUSE_RULES = (
    "--extend-select=A,ARG,B,BLE,C4,DJ,DTZ,E,F,I,LOG,N,PERF,PIE,PT,PTH,RET,RUF,S,SIM,T20,UP,W",
    # How long a line is, the formatter decides; and Django's classes are full of lists that nobody changes.
    "--ignore=E501,RUF012,S101",
    "--extend-per-file-ignores="
    # A name in any script, like any address or path, is a name.
    "config/settings/site.py:RUF001,config/settings/site.py:S104,config/settings/site.py:S108,"
    "deploy/*:S603,deploy/*:S607,deploy/*:T201,smoke/*:S603,"
    "tests/*:S105,tests/*:S106,operations/tests/*:S105,operations/tests/*:S106",
)


def files(project: Path) -> list[Path]:
    """The files of a project, apart from what running a tool left beside them."""
    return sorted(
        path for path in project.rglob("*") if path.is_file() and not {"__pycache__", ".ruff_cache"} & set(path.parts)
    )


def parse(path: Path) -> Any:
    """What a file says in its own language; raises if it does not speak it."""
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
    """Run one of this environment's programs; what it prints is the failure."""
    program = Path(sys.prefix, "bin", command[0])
    done = subprocess.run([program, *command[1:]], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def assert_clean(project: Path, path: str = ".") -> None:
    """Ruff has nothing to say of what lies at a path of a project, neither by its rules nor by the template's own."""
    run_tool("ruff", "check", "--quiet", path, folder=project)
    run_tool("ruff", "check", "--quiet", *HOUSE_RULES, path, folder=project)
    run_tool("ruff", "format", "--quiet", "--check", path, folder=project)


def assert_whole_and_clean(project: Path) -> None:
    """Every file of a project parses, and ruff has nothing to say."""
    for path in files(project):
        parse(path)
    assert_clean(project)

"""Reading a rendered project, and asking the linters what they think of it."""

import ast
import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import yaml


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
    """Ruff has nothing to say of what lies at a path of a project."""
    run_tool("ruff", "check", "--quiet", path, folder=project)
    run_tool("ruff", "format", "--quiet", "--check", path, folder=project)


def assert_whole_and_clean(project: Path) -> None:
    """Every file of a project parses, and ruff has nothing to say."""
    for path in files(project):
        parse(path)
    assert_clean(project)

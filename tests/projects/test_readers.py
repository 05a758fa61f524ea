"""Each program reads special characters as a project's docs/environment.md says.

Those that need a machine of their own are tried beside what else is there: compose, systemd, Heroku, PythonAnywhere.
"""

import json
import re
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.support.environments import Environments, project_environment, run, uv
from tests.support.readers import PLAIN, assert_read_as_told, told
from tests.support.rendering import question_choices, render

# Reads each file of one line separately, because a line can affect the next ones.
OURS = """
import json, sys
from pathlib import Path
from operations.environment import Environment, read_dotenv

def lines(path):
    try:
        return read_dotenv(path)
    except SystemExit:
        return {}

def file(path):
    import os
    os.environ["VALUE_FILE"] = str(path)
    return {path.name: Environment().str("VALUE")}

reads = {"lines": lines, "file": file}[sys.argv[1]]
found = {}
for path in sorted(Path(sys.argv[2]).iterdir()):
    found |= reads(path)
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def project(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose page lists the most readers."""
    return render(template, tmp_path_factory.mktemp("readers") / "project", platform="gunicorn")


def ours(project: Path, environments: Environments, folder: Path, how: str) -> Callable[..., Mapping[str, str]]:
    """Return the readers in the project's own code: `.env` by "lines", NAME_FILE by "file"."""
    env = project_environment(environments.install(project))

    def read(texts: Mapping[str, str]) -> Mapping[str, str]:
        for name, text in texts.items():
            (folder / name).write_text(f"{name}={text}\n" if how == "lines" else f"{text}\n")
        found: dict[str, str] = json.loads(run(["python", "-c", OURS, how, str(folder)], project, env=env))
        return found

    return read


def by_itself(command: list[str], folder: Path, **variables: str) -> Callable[..., Mapping[str, str]]:
    """Return the readers of single lines, each a command that prints its environment; {} is replaced by the file's path."""

    def read(texts: Mapping[str, str]) -> Mapping[str, str]:
        found = {}
        for name, text in texts.items():
            path = folder / name
            path.write_text(f"{name}={text}\n")
            told = [part.replace("{}", str(path)) for part in command]
            env = {"HOME": str(folder), "PATH": "/usr/bin:/bin", **{key: str(path) for key in variables}}
            done = subprocess.run(told, cwd=folder, env=env, capture_output=True, text=True, check=False)
            printed = dict(line.split("=", 1) for line in done.stdout.split("\0") if line)
            if name in printed:
                found[name] = printed[name]
        return found

    return read


def test_manage_py_and_the_server_read_dotenv_as_the_page_says(
    project: Path, environments: Environments, tmp_path: Path
) -> None:
    row = told(project)["`.env`: `manage.py` and the server"]
    assert_read_as_told(row, ours(project, environments, tmp_path, "lines"))


def test_a_variable_in_a_file_is_read_as_the_page_says(
    project: Path, environments: Environments, tmp_path: Path
) -> None:
    assert_read_as_told(told(project)["a file: `NAME_FILE`"], ours(project, environments, tmp_path, "file"))


def test_a_shell_reads_as_the_page_says(project: Path, tmp_path: Path) -> None:
    row = told(project)["a shell: `source .env`, `export NAME=…`"]
    assert_read_as_told(row, by_itself(["sh", "-c", "set -a; . {}; exec env -0"], tmp_path))


def test_uv_reads_as_the_page_says(project: Path, tmp_path: Path) -> None:
    command = [uv(), "run", "--quiet", "--offline", "--no-project", "env", "-0"]
    assert_read_as_told(told(project)["`UV_ENV_FILE`: uv"], by_itself(command, tmp_path, UV_ENV_FILE=""))


@pytest.mark.parametrize("platform", question_choices("platform"))
def test_secrets_are_made_of_letters_digits_and_dashes(render: Callable[..., Path], platform: str) -> None:
    """The pages make secrets only with commands whose output has only these characters."""
    project = render(platform=platform)
    pages = "".join(path.read_text() for path in [*project.glob("docs/*.md"), project / "Makefile"])
    makers = set(
        re.findall(r"secrets\.\w+\(\d*\)|/dev/u?random[^;&\n)]*[^;&\n) ]|openssl rand[^;\n]*|pwgen[^;\n]*", pages)
    )
    assert makers <= {
        "secrets.token_urlsafe(32)",
        "secrets.token_urlsafe(50)",
        "/dev/urandom | base64 | tr '+/' '-_' | tr -d '\\n'",
        "/dev/urandom | base64 | tr '+/' '-_' | tr -d '\\n' >secrets/secret_key",
    }
    assert "secrets.token_urlsafe(50)" in makers
    # A token of 50 bytes does not end in = either.
    code = "import secrets; print(*(secrets.token_urlsafe(50) for _ in range(100)))"
    keys = run(["python3", "-c", code], project).split()
    assert all(re.fullmatch(r"[\w-]{67}", key, re.ASCII) for key in keys)
    assert set("_-") <= set(PLAIN)

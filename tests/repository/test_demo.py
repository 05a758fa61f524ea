"""`make demo` renders a project, serves it, prints its URL, and stops at Ctrl-C."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from tests.support.environments import clean_environment, uv
from tests.support.rendering import ROOT
from tests.support.servers import HANGS, Running, eventually, running

COMPILERS = re.compile(r"(^|-)(cc|c89|c99|gcc|g\+\+|c\+\+|clang|clang\+\+|tcc|ld|rustc|cargo|uv)(-[\d.]+)?$")


def demo(**variables: str) -> dict[str, str]:
    """Return the environment variables of `make demo` in a user's shell."""
    return clean_environment(UV=uv(), **variables)


def address_of(server: Running) -> str:
    """Wait for the demonstration's URL, and return it."""
    said = re.compile(r"Serving at (http://127\.0\.0\.1:\d+/)")

    def is_over() -> bool:
        return said.search(server.output()) is not None or server.process.poll() is not None

    # On a slow network, the download of the packages may take ten times as long as any other wait.
    any(eventually(is_over) for _ in range(10))
    found = said.search(server.output())
    assert found, server.output()
    return found[1]


def test_the_demonstration_serves_a_fresh_project_and_leaves_it(tmp_path: Path) -> None:
    # Characters that have a meaning in shells, URLs and format strings.
    folder = tmp_path / "todo #1 (50%)?"
    env = demo(DEST=str(folder))
    with running(["make", "demo"], ROOT, env, tmp_path / "log") as server:
        address = address_of(server)
        # The URL is printed only when the site answers.
        answer = requests.get(address, timeout=HANGS)
        assert (answer.status_code, "Todo List" in answer.text) == (200, True)
        # Ctrl-C reaches make too, which then ends by the signal.
        assert server.stop(signal.SIGINT) == -signal.SIGINT
    assert f"The project is in {folder}" in server.output()
    assert (folder / "manage.py").exists()
    with pytest.raises(requests.ConnectionError):
        requests.get(address, timeout=HANGS)


def test_a_new_clone_needs_no_compiler_and_says_at_once_what_it_does(clone: Path, tmp_path: Path) -> None:
    """Run with empty caches, and without a compiler."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for program in Path("/usr/bin").iterdir():
        if not COMPILERS.search(program.name):
            (programs / program.name).symlink_to(program)
    # These tests' own interpreter. Behind a link, one that was moved would not find its standard library.
    (programs / "python3").unlink(missing_ok=True)
    (programs / "python3").write_text(f'#!/bin/sh\nexec {sys.base_prefix}/bin/python3.13 "$@"\n')
    (programs / "python3").chmod(0o755)
    env = demo(DEST=str(tmp_path / "todo"), UV_CACHE_DIR=str(tmp_path / "cache"), CC="false", CXX="false")
    env = {**env, "PATH": str(programs), "UV": ""}
    with running(["make", "demo"], clone, env, tmp_path / "log") as server:
        assert eventually(lambda: bool(server.output()))
        # Printed before anything is installed.
        assert server.output().startswith("Installing")
        address_of(server)
    said = server.output()
    assert [word for word in ("Installing Copier", "Rendering", "$ uv sync", "Serving") if word not in said] == []
    assert "pytest" not in {path.name for path in clone.glob(".cache/demo/lib/python*/site-packages/*")}
    assert not (clone / ".venv").exists()
    assert "WARNING: This is a development server" not in said


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"PLATFORM": "mainframe"}, "'mainframe' is not in ['heroku', 'pythonanywhere', 'docker', 'gunicorn']"),
        ({"DEST": str(ROOT)}, "is there already and not empty"),
        ({"RUN": "fast"}, "RUN=fast is nothing that can be run"),
        ({"RUN": "real", "PLATFORM": "heroku"}, "make demo PLATFORM=docker RUN=real"),
        # No engine listens at this address.
        ({"RUN": "real", "DOCKER_HOST": "tcp://127.0.0.1:9"}, "RUN=real needs"),
    ],
)
def test_a_demonstration_that_cannot_be_says_why(variables: dict[str, str], said: str) -> None:
    done = subprocess.run(
        ["make", "demo"], cwd=ROOT, env=demo(**variables), capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert said in done.stderr
    assert "Traceback" not in done.stderr

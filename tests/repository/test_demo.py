"""`make demo` renders a project, serves it, says where, and stops at Ctrl-C."""

import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
import requests

from tests.support.environments import clean_environment, uv
from tests.support.rendering import ROOT
from tests.support.servers import HANGS, PATIENCE, running


def demo(**variables: str) -> dict[str, str]:
    """The environment of `make demo` as a user's shell has it."""
    return clean_environment(UV=uv(), **variables)


def test_the_demonstration_serves_a_fresh_project_and_leaves_it(tmp_path: Path) -> None:
    # Signs that a shell, a URL and a format string would take for their own.
    folder = tmp_path / "todo #1 (50%)?"
    env = demo(DEST=str(folder))
    with running(["make", "demo"], ROOT, env, tmp_path / "log") as server:
        deadline = time.monotonic() + 4 * PATIENCE
        while not (found := re.search(r"Serving at (http://127\.0\.0\.1:\d+/)", server.output())):
            assert server.process.poll() is None, server.output()
            assert time.monotonic() < deadline, server.output()
            time.sleep(0.1)
        server.wait_until_it_answers(found[1])
        answer = requests.get(found[1], timeout=HANGS)
        assert (answer.status_code, "Todo List" in answer.text) == (200, True)
        # Ctrl-C reaches make too, which then ends by it.
        assert server.stop(signal.SIGINT) == -signal.SIGINT
    assert f"The project is in {folder}" in server.output()
    assert (folder / "manage.py").exists()
    with pytest.raises(requests.ConnectionError):
        requests.get(found[1], timeout=HANGS)


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"PLATFORM": "mainframe"}, "'mainframe' is not in ['heroku', 'pythonanywhere', 'docker', 'gunicorn']"),
        ({"DEST": str(ROOT)}, "is there already and not empty"),
    ],
)
def test_a_demonstration_that_cannot_be_says_why(variables: dict[str, str], said: str) -> None:
    done = subprocess.run(
        ["make", "demo"], cwd=ROOT, env=demo(**variables), capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert said in done.stderr
    assert "Traceback" not in done.stderr

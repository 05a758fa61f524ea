"""A test that cannot run here is named in one line, and fails if CI is set."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.rendering import ROOT

CANNOT_RUN = """
import pytest

def test_in_a_browser():
    pytest.skip("no Chromium")
"""
# Other ways to skip a test: by a mark, and in a fixture.
OTHERWISE = (
    """
import pytest

@pytest.mark.skipif(True, reason="no Chromium")
def test_in_a_browser():
    pass
""",
    """
import pytest

@pytest.fixture
def browser():
    pytest.skip("no Chromium")

def test_in_a_browser(browser):
    pass
""",
)


@pytest.mark.parametrize(
    ("ci", "code", "said"),
    [
        ("", 0, "left out 1: no Chromium. To add what is missing: sudo scripts/install-machine"),
        ("true", 1, "test_in_a_browser cannot run here, and CI is set: no Chromium"),
    ],
)
@pytest.mark.parametrize("text", [CANNOT_RUN, *OTHERWISE], ids=["by itself", "by a mark", "by a fixture"])
def test_what_cannot_run_is_said_or_fails(tmp_path: Path, ci: str, code: int, said: str, text: str) -> None:
    (tmp_path / "test_it.py").write_text(text)
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-c", os.devnull, "--rootdir", tmp_path, tmp_path],
        cwd=ROOT,
        env={**own, "CI": ci, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert said in done.stdout

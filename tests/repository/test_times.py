"""A test run prints where its time went, including the programs that tests start."""

import json
import os
import subprocess
import sys
from pathlib import Path

from scripts.test_times import page
from tests.support.environments import clean_environment
from tests.support.rendering import ROOT

TESTS = """
import subprocess, sys
import pytest

@pytest.mark.parametrize("number", range(25))
def test_many(number):
    if number == 7:
        # Counting takes processor time on any machine.
        subprocess.run([sys.executable, "-c", "for _ in range(20_000_000): pass"], check=True)
"""


def test_the_slowest_come_first_with_what_processors_did_for_them(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(TESTS)
    options = ["-p", "tests.conftest", "-c", os.devnull, "--rootdir", str(tmp_path), "--numprocesses=2"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(tmp_path)],
        cwd=ROOT,
        env=clean_environment(TEST_TIMES=str(tmp_path / "times"), PYTHONPATH=str(ROOT)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    first = lines[next(number for number, line in enumerate(lines) if "the 20 slowest of 25" in line) + 1]
    _, processor, name = first.split()
    assert name == "test_it.py::test_many[7]"
    assert float(processor) > 0

    figures = (tmp_path / "times").read_text()
    assert len(json.loads(figures)["tests"]) == 25
    text = page(figures.splitlines()[-1])
    assert "25 tests took" in text
    assert text.index("| test_it.py::test_many[7] |") < text.index("| test_it.py::test_many[1] |")

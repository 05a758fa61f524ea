"""Tests that run each night only are named in one table, which says where their promise is tested at each change."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.run_tests import main
from tests.nightly import NIGHTLY, Nightly, each_answer, is_nightly, matches
from tests.sites.test_smoke_finds_faults import BREAKS, TOGETHER
from tests.support.environments import clean_environment
from tests.support.left_out import EACH_CHANGE
from tests.support.rendering import ROOT, combination_id, decisions, pairwise_combinations
from tests.support.workflows import github_workflow


def collected(*paths: str, each_change: str) -> list[str]:
    """Return the IDs of the tests that a run would run, below tests/."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "--quiet", *paths],
        cwd=ROOT,
        env=clean_environment(**{EACH_CHANGE: each_change}),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return re.findall(r"^tests/(.+::.+)$", done.stdout, re.MULTILINE)


def test_each_row_of_the_table_is_about_tests_and_names_one_that_stays() -> None:
    modules = sorted(
        {f"tests/{part.partition('::')[0]}" for row in NIGHTLY for part in (row.tests, row.instead) if part}
    )
    tests = collected(*modules, each_change="")
    stay = collected(*modules, each_change="1")
    assert [test for test in tests if not is_nightly(f"tests/{test}")] == stay
    for row in NIGHTLY:
        assert any(matches(row, test) for test in tests), row
        assert not row.instead or any(test.startswith(row.instead) for test in stay), row


def test_at_each_change_each_answer_is_tested() -> None:
    every = {item for row in pairwise_combinations() for item in map(str, decisions(row))}
    stay = [row for row in pairwise_combinations() if combination_id(row) in each_answer()]
    assert {item for row in stay for item in map(str, decisions(row))} == every
    assert len(stay) < len(pairwise_combinations()) / 2


def test_at_each_change_each_check_of_the_smoke_suite_fails_once() -> None:
    found = [BREAKS[fault].check for faults in TOGETHER.values() for fault in faults]
    assert sorted(found) == sorted({fault.check for fault in BREAKS.values()})


def test_a_bracket_in_the_table_is_a_bracket() -> None:
    assert matches(Nightly("a.py::test[x]"), "a.py::test[x]")
    assert not matches(Nightly("a.py::test[x]"), "a.py::testx")


@pytest.mark.parametrize(("options", "nightly"), [((), False), (("--all",), True), (("tests/sites",), True)])
def test_all_tests_run_if_they_are_asked_for(
    monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], nightly: bool
) -> None:
    asked: list[bool] = []

    def run(_: list[str], *, nightly: bool) -> int:
        asked.append(nightly)
        return 0

    monkeypatch.setattr("scripts.run_tests.run", run)
    monkeypatch.setattr("scripts.run_tests.check_the_machine", lambda: None)
    monkeypatch.setattr(sys, "argv", ["run_tests", *options])
    assert main() == 0
    assert asked == [nightly]


def test_the_workflow_runs_all_each_night_before_a_release_and_by_label() -> None:
    workflow = github_workflow(ROOT, "test.yml")
    triggers = workflow["on"]
    (step,) = [step for step in workflow["jobs"]["level"]["steps"] if step.get("name") == "Test"]
    assert "schedule" in triggers
    assert "labeled" in triggers["pull_request"]["types"]
    for reason in ("inputs.all", "github.event_name == 'schedule'", "'all tests'"):
        assert reason in step["env"]["ALL"]
    assert github_workflow(ROOT, "release.yml")["jobs"]["test"]["with"] == {"all": True}


def test_ci_run_runs_the_tests_of_each_change() -> None:
    assert Path(ROOT, ".ci/run").read_text().rstrip().endswith("\nmake test")

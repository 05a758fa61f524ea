"""A new project and each request cost little time."""

import re
import shutil
from pathlib import Path

import pytest

from benchmarks import commands, copying, page
from benchmarks.first_page import one_run
from benchmarks.request_line import measured
from benchmarks.sites import Answer
from tests.support.rendering import template_copy
from tests.support.sites import Site


def test_the_request_id_and_line_cost_little_beside_a_bare_request(site: Site) -> None:
    # A ratio, since microseconds depend on the machine: 1.8 where nothing else runs, 2.3 beside eight busy processes.
    assert measured(site.bin / "python", site.project, rounds=300)["ratio"] <= 2.8


def test_the_benchmark_goes_the_way_to_the_first_page(tmp_path: Path) -> None:
    """The times are measured by `make benchmark`, on an idle machine."""
    assert set(one_run(tmp_path / "project", template_copy(tmp_path / "template"))) == {"render", "first page"}


def test_the_benchmark_of_copies_compares_all_three_in_one_run(tmp_path: Path) -> None:
    said = copying.report(copying.measured(tmp_path, runs=1))
    assert re.findall(r"(?m)^\| (\w+) \|", said) == ["command", "copy", "plain", "update"]
    assert "copy / plain = " in said
    # Both templates write the same files, but for the one with the answers.
    rendered = {path.name for path in (tmp_path / "project").rglob("*") if path.is_file() and ".git/" not in str(path)}
    assert rendered - {path.name for path in (tmp_path / "plain/template").rglob("*")} == {".copier-answers.yml"}


def test_the_benchmark_of_an_owners_commands_runs_them_all(tmp_path: Path) -> None:
    """The goals are for an idle machine."""
    template = template_copy(tmp_path / "template")
    seen = commands.Owner(tmp_path / "work", template).round(0)
    assert seen.keys() == commands.WANTED.keys()


def test_a_goal_that_is_missed_is_told() -> None:
    said = commands.report({"`make lint`": [(6, 7), (7, 9), (6, 7.5)], "`make test`": [(20, 19), (20, 21), (19, 20)]})
    assert "| `make lint` | 6.0 (6.0 to 7.0) | 7.5 (7.0 to 9.0) | 8 | met |" in said
    assert "| `make test` | 20.0 (19.0 to 20.0) | 20.0 (19.0 to 21.0) | 8 | **missed** |" in said


def test_figures_have_a_place_on_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = Path(shutil.copy(page.PAGE, tmp_path))
    monkeypatch.setattr(page, "PAGE", copy)
    for name in ("copying", "first page", "commands", "sites", "workers", "accounts", "tasks", "apps"):
        page.write(name, f"figures of {name}")
        assert f"figures of {name}\n" in copy.read_text()
    with pytest.raises(ValueError, match="has 0 places for another, not one"):
        page.write("another", "")


def test_a_comparison_shows_each_site_with_its_spread() -> None:
    answers = {
        ("ours", "home"): [Answer(100, 1, 3), Answer(300, 2, 9), Answer(200, 1.5, 5)],
        ("bare", "health"): [Answer(1000, 0.5, 1)],
    }
    said = page.sites(answers, {"ours": [30], "bare": [10]}, {"ours": [0.5, 0.7, 0.6], "bare": [0.1]})
    assert "| ours | 200 (100 to 300) |  |" in said
    assert "| ours | 1.5 / 5.0 |  |" in said
    assert "| ours | 30 (30 to 30) | 0.60 (0.50 to 0.70) |" in said

"""A new project and each request cost little time."""

from pathlib import Path

from benchmarks import copying
from benchmarks.first_page import one_run
from benchmarks.request_line import measured
from tests.support.rendering import template_copy
from tests.support.sites import Site


def test_the_request_id_and_line_cost_little_beside_a_bare_request(site: Site) -> None:
    # A ratio, since microseconds depend on the machine. Where they are 77, the ratio is 1.84.
    assert measured(site.bin / "python", site.project, rounds=60)["ratio"] <= 2.2


def test_the_benchmark_goes_the_way_to_the_first_page(tmp_path: Path) -> None:
    """The times are measured by `make benchmark`, on an idle machine."""
    assert set(one_run(tmp_path / "project", template_copy(tmp_path / "template"))) == {"render", "first page"}


def test_the_benchmark_of_copies_compares_all_three_in_one_run(tmp_path: Path) -> None:
    said = copying.report(copying.measured(tmp_path, runs=1))
    assert [line.split()[0] for line in said.splitlines()] == ["copy", "plain", "update", "copy"]
    # Both templates write the same files, but for the one with the answers.
    rendered = {path.name for path in (tmp_path / "project").rglob("*") if path.is_file() and ".git/" not in str(path)}
    assert rendered - {path.name for path in (tmp_path / "plain/template").rglob("*")} == {".copier-answers.yml"}

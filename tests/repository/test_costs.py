"""What a new project and each request cost stays small."""

from pathlib import Path

import pytest

from benchmarks.first_page import one_run
from benchmarks.request_line import measured
from tests.support.rendering import template_copy
from tests.support.sites import Site

pytestmark = pytest.mark.alone


def test_the_request_id_and_line_cost_little_beside_a_bare_request(site: Site) -> None:
    # A ratio, since microseconds say more of the machine: on one where they cost 77, the ratio is 1.84.
    assert measured(site.bin / "python", site.project)["ratio"] <= 2.2


def test_a_new_project_shows_its_first_page_soon(tmp_path: Path) -> None:
    """The aim is 6 s and about 1 s; twice that, for machines that are slower."""
    template = template_copy(tmp_path / "template")
    seconds = one_run(tmp_path / "project", template)
    assert seconds["first page"] <= 12
    assert seconds["render"] <= 3

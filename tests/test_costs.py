"""What the project adds to each request stays small."""

from benchmarks.request_line import measured
from tests.support.sites import Site


def test_the_request_id_and_line_cost_at_most_60_microseconds(site: Site) -> None:
    # The fastest rounds: what else this machine does only adds to the others.
    assert measured(site.bin / "python", site.project)["fastest"] <= 60

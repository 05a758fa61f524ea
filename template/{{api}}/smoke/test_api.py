"""Check the API. Its row is in the table with those of test_site.py."""

from django.conf import settings

from smoke.server import Site
from smoke.visitors import Visitor, told


def test_errors_of_the_api_are_json(site: Site) -> None:
    visitor = Visitor(site)
    with visitor.session:
        answer = visitor.get(f"{settings.API_PATH}no-such-path", {"Authorization": "Bearer wrong"}, expect=404)
    kind = answer.headers.get("Content-Type", "")
    assert kind.startswith("application/json"), f"{told(answer)}, as {kind}"
    assert answer.json().get("request_id") == answer.headers.get("X-Request-ID"), f"{told(answer)}: {answer.text[:300]}"
    assert "no-store" in answer.headers.get("Cache-Control", ""), f"{told(answer)}, and caches may keep it"

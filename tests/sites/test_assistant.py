"""A project with a language model answers its users, and a model that hangs does not block other pages."""

import json
import secrets
import threading
from pathlib import Path

import pytest

from stand_ins.services import says, stand_in
from tests.support.environments import Environments
from tests.support.rendering import render
from tests.support.servers import HANGS, eventually
from tests.support.sites import Site
from tests.support.visitors import Answer, Visitor

PASSWORD = "correct horse battery staple"
STAND_IN = "No language model has answered."
KEY = "hunter2"


@pytest.fixture(scope="module")
def assisted_site(template: Path, tmp_path_factory: pytest.TempPathFactory, environments: Environments) -> Site:
    """A site with the assistant, served by one worker of four threads."""
    project = render(template, tmp_path_factory.mktemp("ai") / "project", platform="gunicorn", extras=["ai"])
    site = Site(project, environments, "sqlite:///db.sqlite3")
    site.variables |= {"WEB_CONCURRENCY": "1", "GUNICORN_THREADS": "4", "TRUSTED_PROXY_COUNT": "1"}
    site.prepare()
    return site


def member(site: Site) -> Visitor:
    """Return a visitor with a new account and an IP address of their own."""
    visitor = Visitor(site.port, **{"X-Forwarded-For": f"2001:db8:{secrets.token_hex(2)}::1"})
    address = f"{secrets.token_hex(6)}@example.com"
    assert visitor.post("/accounts/signup/", email=address, password1=PASSWORD, password2=PASSWORD).status == 302
    return visitor


def test_a_member_is_answered_and_the_key_stays_here(assisted_site: Site, tmp_path: Path) -> None:
    with stand_in() as provider:
        provider.answer = says(200, json.dumps({"choices": [{"message": {"content": "Forty-two."}}]}).encode())
        variables = {"AI_PROVIDER_URL": provider.url, "AI_API_KEY": KEY, "AI_MODEL": "large"}
        with assisted_site.started(tmp_path / "log", **variables):
            page = member(assisted_site).post("/assistant/", prompt="What is it?")
            assert (page.status, "Forty-two." in page.text, STAND_IN in page.text) == (200, True, False)
            assert assisted_site.get("/assistant/").headers["Location"] == "/accounts/login/?next=/assistant/"
        assert provider.requests[0].headers["Authorization"] == f"Bearer {KEY}"
        assert KEY not in (tmp_path / "log").read_text()


def test_a_model_that_hangs_keeps_nobody_else_waiting(assisted_site: Site, tmp_path: Path) -> None:
    with stand_in() as provider:
        provider.answer = provider.hang
        variables = {"AI_PROVIDER_URL": provider.url, "AI_API_KEY": KEY, "AI_MODEL": "large"}
        with assisted_site.started(tmp_path / "log", **variables, AI_TIMEOUT_SECONDS="8"):
            pages: list[Answer] = []
            members = [member(assisted_site) for _ in range(6)]

            def ask(visitor: Visitor) -> None:
                pages.append(visitor.post("/assistant/", prompt="What is it?"))

            asking = [threading.Thread(target=ask, args=[each]) for each in members]
            for thread in asking:
                thread.start()
            # More users ask than the worker has threads. It goes on serving, because the others are refused at once.
            assert eventually(lambda: len(pages) == 4)
            assert assisted_site.get("/health/").status_code == 200
            assert assisted_site.get("/").status_code == 200
            assert len(pages) == 4
            for thread in asking:
                thread.join(HANGS)
        assert [(page.status, STAND_IN in page.text) for page in pages] == [(200, True)] * 6
        assert len(provider.requests) == 2
        assert "Traceback" not in (tmp_path / "log").read_text()

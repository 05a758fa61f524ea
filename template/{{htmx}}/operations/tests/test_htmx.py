"""Check what the site does for requests of htmx."""

from io import BytesIO
from typing import Any

import pytest
from django.http import FileResponse, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.test import RequestFactory
from pytest_django import Settings

from operations.htmx import HtmxMiddleware

HTMX = {"HX-Request": "true", "HX-Current-URL": "http://testserver/todo/?page=2"}


def answer(response: HttpResponseBase, **headers: str) -> Any:
    """Return what becomes of a view's response."""
    request: Any = RequestFactory().post("/todo/7/", headers={**headers})

    def view(_: Any) -> Any:
        return response

    return HtmxMiddleware(view)(request)


@pytest.fixture(autouse=True)
def login(settings: Settings) -> None:
    """Have the login where the tests expect it."""
    settings.LOGIN_URL = "/login/"


def test_a_redirect_is_the_browsers() -> None:
    seen = HttpResponseRedirect("/todo/")
    seen.set_cookie("kept", "yes")
    moved = answer(seen, **HTMX)
    assert (moved.status_code, moved.headers["HX-Redirect"]) == (200, "/todo/")
    assert "Location" not in moved.headers
    assert moved.cookies["kept"].value == "yes"


@pytest.mark.parametrize("headers", [{}, {**HTMX, "HX-Boosted": "true"}], ids=["no htmx", "boosted"])
def test_other_redirects_stay(headers: dict[str, str]) -> None:
    assert answer(HttpResponseRedirect("/todo/"), **headers).headers["Location"] == "/todo/"


@pytest.mark.parametrize(
    ("current", "leads_to"),
    [
        ("http://testserver/todo/?page=2", "/login/?next=%2Ftodo%2F%3Fpage%3D2"),
        ("https://evil.example/todo/", "/login/?next=/todo/7/"),
        ("", "/login/?next=/todo/7/"),
        ("http://[", "/login/?next=/todo/7/"),
    ],
)
def test_a_login_leads_back_to_the_page_and_to_no_other_site(current: str, leads_to: str) -> None:
    moved = answer(HttpResponseRedirect("/login/?next=/todo/7/"), **{**HTMX, "HX-Current-URL": current})
    assert moved.headers["HX-Redirect"] == leads_to


def test_a_file_is_sent_as_it_is() -> None:
    sent = answer(FileResponse(BytesIO(b"a file")), **HTMX)
    assert b"".join(sent.streaming_content) == b"a file"


def test_caches_keep_parts_and_pages_apart() -> None:
    for headers in ({}, HTMX):
        assert answer(HttpResponse(headers={"Vary": "Cookie"}), **headers).headers["Vary"] == "Cookie, HX-Request"

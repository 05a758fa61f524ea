"""Define fixtures of the tests of operations/. They use pages of their own, so that you can change the project's.

tests/conftest.py imports some of them.
"""

import json
import logging
import os
import runpy
import tomllib
from collections.abc import Callable, Iterator
from contextlib import suppress
from io import StringIO
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
from django.apps import apps
from django.conf import settings
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import get_token
from django.test import Client, override_settings
from django.urls import include, path

from operations.logs import JsonLines

# The template's MIDDLEWARE, beside what is in operations/.
SHIPPED = {
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django.middleware.csp.ContentSecurityPolicyMiddleware",
    "allauth.account.middleware.AccountMiddleware",
}


def page(request: HttpRequest) -> HttpResponse:
    """Answer, and look up the user only if somebody is logged in."""
    if request.session.session_key:
        str(request.user)
    logging.getLogger("page").warning("from the middle of it")
    return HttpResponse("A page")


def cookies(request: HttpRequest) -> HttpResponse:
    """Set both cookies of the site."""
    request.session["kept"] = True
    return HttpResponse(get_token(request))


def fails(request: HttpRequest) -> HttpResponse:  # noqa: ARG001 - which every view takes
    """Raise."""
    raise RuntimeError("a detail that is nobody's business")


# This module's URLs.
urlpatterns = [
    path("", page),
    path("cookies/", cookies),
    path("fails/", fails),
    path("", include("operations.urls")),
]
# Only if the project has the admin.
if apps.is_installed("django.contrib.admin"):
    urlpatterns.append(path("admin/", admin.site.urls))


def error(status: int) -> Callable[..., HttpResponse]:
    """Return a view that answers with a status."""
    return lambda *_, **__: HttpResponse(status=status)


handler400, handler404, handler429, handler500 = error(400), error(404), error(429), error(500)


def shipped() -> dict[str, Any]:
    """Return settings for English, a meaningless site name, and only the template's middleware."""
    middleware = [each for each in settings.MIDDLEWARE if each in SHIPPED or each.startswith("operations.")]
    return {"LANGUAGE_CODE": "en", "SITE_NAME": "Site", "MIDDLEWARE": middleware}


@pytest.fixture
def as_shipped() -> Iterator[None]:
    """Use these settings."""
    with override_settings(**shipped()):
        yield


@pytest.fixture(autouse=True, scope="module")
def pages() -> Iterator[None]:
    """Serve these pages, whatever else the site has. Not for each test, since the URLs would be read again."""
    with override_settings(ROOT_URLCONF=__name__, **shipped()):
        yield


@pytest.fixture(autouse=True)
def not_counted(request: pytest.FixtureRequest) -> None:
    """Leave coverage out of these tests: it makes them slower, and counts only the code of your own apps."""
    request.node.add_marker("no_cover")


@pytest.fixture
def client() -> Client:
    """Return a browser that gets errors as responses."""
    return Client(raise_request_exception=False)


@pytest.fixture(autouse=True)
def empty_cache() -> None:
    """Give each test an empty cache, because login attempts are counted there."""
    cache.clear()


@pytest.fixture
def production_environment() -> dict[str, str]:
    """Return the variables that production requires."""
    project = tomllib.loads((settings.BASE_DIR / "pyproject.toml").read_text())
    return {
        **project["tool"]["smoke"].get("variables", {}),
        "DJANGO_SETTINGS_MODULE": "config.settings.production",
        "SECRET_KEY": "0123456789-abcdefghijklmnopqrstuvwxyz-ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        "ALLOWED_HOSTS": "www.example.com",
        "DATABASE_URL": "sqlite:///nothing.sqlite3",
    }


@pytest.fixture
def production(production_environment: dict[str, str]) -> Callable[..., SimpleNamespace]:
    """Return a function that loads production settings with more variables: `production(LOG_LEVEL="DEBUG").LOGGING`."""

    def read(**variables: str) -> SimpleNamespace:
        with mock.patch.dict(os.environ, {**production_environment, **variables}, clear=True):
            return SimpleNamespace(**runpy.run_module("config.settings.production"))

    return read


@pytest.fixture
def member(db: None) -> Any:  # noqa: ARG001 - asks for the database
    """Return a person who has an account."""
    return get_user_model()._default_manager.create(email="member@example.com")


@pytest.fixture
def log_lines() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """Return a function that returns the lines logged so far, in production's format: `log_lines()`."""
    written = StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(JsonLines())
    logging.getLogger().addHandler(handler)
    yield lambda: [json.loads(line) for line in written.getvalue().splitlines()]
    logging.getLogger().removeHandler(handler)


@pytest.fixture
def own_logging() -> Iterator[None]:
    """Let the test configure logging, and restore it afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    logging.captureWarnings(capture=False)
    for handler in set(root.handlers) - set(handlers):
        # What a full disk did not take is lost, and only the second time does the handler close its lock.
        with suppress(OSError):
            handler.close()
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)

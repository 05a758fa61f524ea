"""What every test can ask for."""

import json
import logging
import os
import runpy
import tomllib
from collections.abc import Callable, Iterator
from io import StringIO
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
from allauth.account.models import EmailAddress
from django.conf import settings
from django.core.cache import cache
from django.test import Client

from apps.accounts.models import User
from apps.operations.logs import JsonLines
from apps.pages.views import HomeView


@pytest.fixture(autouse=True)
def empty_cache() -> None:
    """A cache that no other test has written to: attempts to log in are counted there."""
    cache.clear()


@pytest.fixture
def password() -> str:
    """The member's password."""
    return "correct horse battery staple"


@pytest.fixture
def member(db: None, password: str) -> User:  # noqa: ARG001 - asks for the database
    """A person who has an account, and has confirmed its address."""
    user = User.objects.create_user("member@example.com", password)
    EmailAddress.objects.create(user=user, email=user.email, primary=True, verified=True)
    return user


@pytest.fixture
def member_client(member: User) -> Client:
    """The browser of a member who is logged in."""
    client = Client()
    client.force_login(member)
    return client


@pytest.fixture
def production_environment() -> dict[str, str]:
    """The variables that production cannot do without."""
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
    """Production's settings in that environment and more: `production(LOG_LEVEL="DEBUG").LOGGING`."""

    def read(**variables: str) -> SimpleNamespace:
        with mock.patch.dict(os.environ, {**production_environment, **variables}, clear=True):
            return SimpleNamespace(**runpy.run_module("config.settings.production"))

    return read


@pytest.fixture
def broken_home(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home page whose view raises."""

    def fail(*_: object) -> None:
        raise RuntimeError("a detail that is nobody's business")

    monkeypatch.setattr(HomeView, "get", fail)
    client.raise_request_exception = False


@pytest.fixture
def log_lines() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """The lines that the site has logged so far, as production writes them: `log_lines()`."""
    written = StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(JsonLines())
    logging.getLogger().addHandler(handler)
    yield lambda: [json.loads(line) for line in written.getvalue().splitlines()]
    logging.getLogger().removeHandler(handler)


@pytest.fixture
def own_logging() -> Iterator[None]:
    """Logging that the test may configure; it is put back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    logging.captureWarnings(capture=False)
    for handler in set(root.handlers) - set(handlers):
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)

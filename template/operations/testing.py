"""Fixtures for the tests of operations/ and of the project: a conftest.py that imports one has it."""

import os
import runpy
import tomllib
from collections.abc import Callable
from types import SimpleNamespace
from unittest import mock

import pytest
from django.conf import settings
from django.core.cache import cache

__all__ = ["empty_cache", "production", "production_environment"]


@pytest.fixture(autouse=True)
def empty_cache() -> None:
    """Give each test a cache that no other has written to: attempts to log in are counted there."""
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
    """Return what reads production's settings in that environment and more: `production(LOG_LEVEL="DEBUG").LOGGING`."""

    def read(**variables: str) -> SimpleNamespace:
        with mock.patch.dict(os.environ, {**production_environment, **variables}, clear=True):
            return SimpleNamespace(**runpy.run_module("config.settings.production"))

    return read

"""Check that the cache uses the database while Redis does not answer."""

import logging
import socket
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest
from django.core.cache import CacheHandler, caches
from django.core.cache.backends.redis import RedisCache

from operations.caches import BREAKERS, RedisElseDatabaseCache

CACHE = "operations.caches.RedisElseDatabaseCache"


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch) -> Iterator[RedisElseDatabaseCache]:
    """Return a cache in a Redis that is not running, with the tests' own cache as its fallback."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"redis://127.0.0.1:{server.getsockname()[1]}/0"
    monkeypatch.setattr("operations.caches.caches", {"database": caches["default"]})
    handler = CacheHandler({"default": {"BACKEND": CACHE, "LOCATION": url, "OPTIONS": {"fallback": "database"}}})
    cache = handler["default"]
    assert isinstance(cache, RedisElseDatabaseCache)
    yield cache
    del BREAKERS[url]


def test_what_redis_does_not_take_the_other_cache_keeps(
    cache: RedisElseDatabaseCache, caplog: pytest.LogCaptureFixture
) -> None:
    cache.set("name", "kept", 60)
    cache.set_many({"one": 1, "two": 2})
    assert cache.get("name") == "kept"
    assert cache.incr("one") == 2
    assert cache.get_many(["one", "two"]) == {"one": 2, "two": 2}
    assert not cache.add("name", "other")
    assert cache.touch("name", 60)
    assert "name" in cache
    cache.delete_many(["one"])
    assert cache.delete("two")
    cache.clear()
    assert cache.get("name", "nothing") == "nothing"
    # One line per outage, not one per call.
    assert len(caplog.records) == 1
    assert "Redis does not answer" in caplog.text


def test_redis_is_asked_again_after_a_pause(
    cache: RedisElseDatabaseCache, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    cache.set("name", "in the other")
    monkeypatch.setattr(RedisCache, "get", lambda *_: "in Redis")
    assert cache.get("name") == "in the other"
    cache.breaker.next_try = 0
    assert cache.get("name") == "in Redis"
    assert caplog.messages[-1] == "Redis answers again"
    assert cache.get("name") == "in Redis"
    assert len(caplog.records) == 2


def test_production_caches_where_it_is_told(production: Callable[..., SimpleNamespace]) -> None:
    assert list(production().CACHES) == ["default"]
    assert production().CACHES["default"]["BACKEND"].endswith("DatabaseCache")
    told = production(CACHE_URL="redis://localhost:6379/1").CACHES
    assert (told["default"]["BACKEND"], told["default"]["LOCATION"]) == (CACHE, "redis://localhost:6379/1")
    # The fallback must be a cache that all processes share.
    assert told[told["default"]["OPTIONS"]["fallback"]]["BACKEND"].endswith("db.DatabaseCache")

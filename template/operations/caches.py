"""Cache in Redis, and in the database while Redis does not answer."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from django.core.cache import caches
from django.core.cache.backends.redis import RedisCache
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.retry import Retry

log = logging.getLogger(__name__)

# Seconds to wait for a connection and for an answer. A healthy Redis needs a thousandth of it.
PATIENCE = 0.5
# Seconds after which one request tries a failed Redis again. The others use the fallback meanwhile.
PAUSE = 10.0


class Breaker:
    """Remember that a server failed, for all threads of this process (a circuit breaker)."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.failed = False
        self.next_try = 0.0

    def lets_through(self) -> bool:
        """Return whether to ask the server now: always while it is healthy, else once every PAUSE seconds."""
        if not self.failed:
            return True
        with self.lock:
            if time.monotonic() < self.next_try:
                return False
            self.next_try = time.monotonic() + PAUSE
            return True

    def note(self, error: Exception | None) -> None:
        """Record the outcome of a call, and log one line when it changed."""
        if error is None and not self.failed:
            return
        with self.lock:
            before, self.failed = self.failed, error is not None
            self.next_try = time.monotonic() + PAUSE
        if error is not None and not before:
            log.warning("Redis does not answer; caching in the database meanwhile: %s", error)
        elif error is None and before:
            log.warning("Redis answers again")


BREAKERS: dict[str, Breaker] = {}


def either(name: str) -> Callable[..., Any]:
    """Return the cache method `name` that asks Redis, or the fallback if Redis fails."""

    def method(self: "RedisElseDatabaseCache", *args: Any, **kwargs: Any) -> Any:
        if self.breaker.lets_through():
            try:
                answer = getattr(RedisCache, name)(self, *args, **kwargs)
            except RedisError as error:
                self.breaker.note(error)
            else:
                self.breaker.note(None)
                return answer
        return getattr(caches[self.fallback], name)(*args, **kwargs)

    return method


class RedisElseDatabaseCache(RedisCache):
    """Cache in Redis; while Redis is down or hangs, use the cache that OPTIONS["fallback"] names.

    The two caches share no entries. Rate limits start again in the fallback, so a Redis outage gives somebody who
    guesses passwords one more round of tries, and no third.
    """

    def __init__(self, server: str, params: dict[str, Any]) -> None:
        options = {**params.get("OPTIONS", {})}
        self.fallback: str = options.pop("fallback")
        self.breaker = BREAKERS.setdefault(server, Breaker())
        # Retry once when a restart of Redis has closed the connection, but not after a timeout.
        retry = Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,))
        bounds = {"socket_connect_timeout": PATIENCE, "socket_timeout": PATIENCE, "retry": retry}
        super().__init__(server, {**params, "OPTIONS": {**bounds, **options}})

    # The other methods of Django's cache call these.
    add = either("add")
    get = either("get")
    set = either("set")
    touch = either("touch")
    delete = either("delete")
    get_many = either("get_many")
    has_key = either("has_key")
    incr = either("incr")
    set_many = either("set_many")
    delete_many = either("delete_many")
    clear = either("clear")

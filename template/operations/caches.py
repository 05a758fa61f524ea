"""A cache in Redis that goes on in the database while Redis does not answer."""

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

# Seconds for a connection and for an answer: a Redis that is well takes a thousandth of it.
PATIENCE = 0.5
# Seconds after which a Redis that failed is asked again, by one request, while the others go on without it.
PAUSE = 10.0


class Breaker:
    """Remembers that a server failed, for all threads of this process."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.failed = False
        self.next_try = 0.0

    def lets_through(self) -> bool:
        """Whether the server should be asked now: always while it is well, else once a PAUSE."""
        if not self.failed:
            return True
        with self.lock:
            if time.monotonic() < self.next_try:
                return False
            self.next_try = time.monotonic() + PAUSE
            return True

    def note(self, error: Exception | None) -> None:
        """Take in how it went; one line in the log where that has changed."""
        if error is None and not self.failed:
            return
        with self.lock:
            before, self.failed = self.failed, error is not None
            self.next_try = time.monotonic() + PAUSE
        if error is not None and not before:
            log.warning("Redis does not answer, and the database is the cache meanwhile: %s", error)
        elif error is None and before:
            log.warning("Redis answers again")


BREAKERS: dict[str, Breaker] = {}


def either(name: str) -> Callable[..., Any]:
    """The method `name` of a cache: asked of Redis, and of the fallback where Redis fails."""

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
    """Django's cache in Redis; while Redis is down or hangs, the cache that OPTIONS["fallback"] names.

    The two know nothing of each other: what was counted in the one counts anew in the other, so that an
    outage of Redis gives a guesser of passwords a second round of tries, and no third.
    """

    def __init__(self, server: str, params: dict[str, Any]) -> None:
        options = {**params.get("OPTIONS", {})}
        self.fallback: str = options.pop("fallback")
        self.breaker = BREAKERS.setdefault(server, Breaker())
        # A connection that a restart of Redis has cut is replaced; an answer that took too long is not waited for twice.
        retry = Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,))
        bounds = {"socket_connect_timeout": PATIENCE, "socket_timeout": PATIENCE, "retry": retry}
        super().__init__(server, {**params, "OPTIONS": {**bounds, **options}})

    # What the rest of Django's cache is made of.
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

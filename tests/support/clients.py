"""Clients that ask a site without a pause, while something is done to it."""

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import requests

# Seconds that an answer may take, and that a client waits before it asks again.
PATIENCE = 60
PAUSE = 0.2


@dataclass
class Answers:
    """What the clients were told.

    Attributes:
        counts: how often each status came, or each kind of failure.
        slowest: seconds that the slowest answer took.
    """

    counts: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0

    @property
    def failed(self) -> Counter[str]:
        """What was no good answer."""
        return Counter({what: count for what, count in self.counts.items() if what not in ("200", "403")})


@contextlib.contextmanager
def clients(number: int, session: Callable[[], requests.Session], url: str) -> Iterator[Answers]:
    """Let clients ask until the end of the block.

    Every second one sends a form, for which nobody may ask a second time in its place. It has no token, so that 403
    is the good answer to it.
    """
    answers, lock, over = Answers(), threading.Lock(), threading.Event()

    def ask(posts: bool) -> None:
        while not over.is_set():
            began = time.monotonic()
            # A connection each: what is looked at is the site, and not how it keeps one open.
            with session() as visitor:
                try:
                    path = f"{url}/accounts/login/" if posts else f"{url}/"
                    method = visitor.post if posts else visitor.get
                    answer = method(path, headers={"Connection": "close"}, timeout=PATIENCE, allow_redirects=False)
                    said = str(answer.status_code)
                except requests.RequestException as error:
                    said = type(error).__name__
            with lock:
                answers.counts[said] += 1
                answers.slowest = max(answers.slowest, time.monotonic() - began)
            time.sleep(PAUSE)

    threads = [threading.Thread(target=ask, args=(bool(each % 2),)) for each in range(number)]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        over.set()
        for thread in threads:
            thread.join()

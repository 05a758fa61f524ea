"""Tasks of running the site."""

from django.core.cache import cache
from django.tasks import task

from apps.operations.cleanup import clean_up

# Seconds for which an answer can be seen.
KEPT = 300


def cache_key(key: str) -> str:
    """Where the answer that is known by a key is put."""
    return f"task-answer-{key}"


@task
def answer(key: str) -> None:
    """Say under a key that tasks are done."""
    cache.set(cache_key(key), "done", timeout=KEPT)


@task
def clean_up_site() -> None:
    """Delete expired sessions, results of old tasks, and uploads that no row names."""
    clean_up()

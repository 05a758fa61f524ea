"""What a site gathers and nobody needs any more."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from django.apps import apps
from django.conf import settings
from django.core.cache import cache
from django.core.files.storage import Storage, default_storage
from django.core.management import call_command
from django.db.models import FileField
from django.tasks import task_backends
from django.utils import timezone

log = logging.getLogger("cleanup")

# A scheduler is late by some minutes now and then, and the next round shall not wait for the one after.
SLACK = timedelta(minutes=10)
# How long it can be seen what became of a task.
RESULTS_KEPT = timedelta(days=7)


class UploadsError(Exception):
    """The store of the uploads does not do what it is asked for."""


def due() -> bool:
    """Whether CLEANUP_UPLOADS_INTERVAL_HOURS have passed since this was last asked and true."""
    interval = timedelta(hours=settings.CLEANUP_UPLOADS_INTERVAL_HOURS) - SLACK
    return cache.add("cleanup", "done", timeout=interval.total_seconds())


def not_done() -> None:
    """Let it be due again: the run failed."""
    cache.delete("cleanup")


def clean_up(*, dry_run: bool = False) -> list[str]:
    """Delete expired sessions, results of tasks that are over, and uploads that no row names.

    Args:
        dry_run: delete nothing.

    Returns:
        The names of the uploads that were deleted, or would be.

    Raises:
        UploadsError: the store of the uploads failed; sessions and results are deleted all the same.
    """
    if not dry_run:
        call_command("clearsessions")
        backend = task_backends["default"]
        if hasattr(backend, "forget"):
            backend.forget(RESULTS_KEPT)
    names = unused_uploads(default_storage, timedelta(hours=settings.CLEANUP_UPLOADS_MIN_AGE_HOURS))
    if not dry_run:
        with asking_the_store():
            for name in names:
                default_storage.delete(name)
        log.info("cleaned up: %s uploads deleted", len(names))
    return names


@contextmanager
def asking_the_store() -> Iterator[None]:
    """Give what a store raises in the block, which is different for each kind of store, one name."""
    try:
        yield
    except Exception as error:
        raise UploadsError(f"the store of the uploads failed: {type(error).__name__}: {error}") from error


def unused_uploads(storage: Storage, age: timedelta) -> list[str]:
    """The names of stored files that no file field of the database holds, and that are older than `age`.

    Where no model has a file field nothing says what is used, and nothing is unused.

    Raises:
        UploadsError: the store failed.
    """
    fields = [
        (model, field)
        for model in apps.get_models(include_auto_created=True)
        for field in model._meta.get_fields()
        if isinstance(field, FileField)
    ]
    if not fields:
        return []
    before = timezone.now() - age
    # What is stored is listed first: what joins after that is not looked at.
    with asking_the_store():
        unused = set(files(storage))
    for model, field in fields:
        unused.difference_update(model._base_manager.values_list(field.attname, flat=True).iterator())
    # A store of objects is asked once more for each age, so only for those few.
    with asking_the_store():
        return sorted(name for name in unused if storage.get_modified_time(name) < before)


def files(storage: Storage, folder: str = "") -> Iterator[str]:
    """The names of all files of a storage."""
    try:
        folders, names = storage.listdir(folder)
    except FileNotFoundError:
        # Nothing was uploaded yet.
        return
    yield from (f"{folder}{name}" for name in names if name)
    for name in folders:
        yield from files(storage, f"{folder}{name}/")

"""Delete expired sessions, old task results, and uploaded files no longer referenced in the database.

`manage.py cleanup --dry-run` lists unused uploads, and `--uploads LIST` deletes those in a list. When in doubt, a file
is kept. A file counts as unused only if all of these are true:

- It is in the default storage, in the folder of a file field (`upload_to`). A field whose `upload_to` is empty or a
  function has no folder of its own. Backups, static files and files of other storages do not count.
- Its name is one that Django gives to uploads. No row has it as its file, and it is not derived from a row's file, like
  a thumbnail.
- No text in the database contains its name, as rich text contains the names of its pictures.
- It is older than CLEANUP_UPLOADS_MIN_AGE_HOURS.
"""

import logging
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from django.apps import apps
from django.conf import settings
from django.core.cache import cache
from django.core.files.storage import Storage, default_storage
from django.core.management import call_command
from django.db import DatabaseError, IntegrityError, models
from django.db.models.functions import Cast
from django.tasks import task_backends
from django.utils import timezone

log = logging.getLogger("cleanup")

# A scheduler may start a run some minutes early or late. Without this slack, such a run would be skipped.
SLACK = timedelta(minutes=10)
# How long results of finished tasks are kept.
RESULTS_KEPT = timedelta(days=7)
# What else is deleted: its name for the log, and the function that deletes it. An app adds its own in `ready`.
OTHERS: dict[str, Callable[[], object]] = {}

# The characters that Django leaves in the name of an upload, and the suffix that it adds to a name that is taken.
NAME = re.compile(r"[-\w.]+")
ANOTHER = re.compile(r"_(?=\w*[A-Z0-9])[A-Za-z0-9]{7}(?=\.|$)")
# JSON may write a letter that is not ASCII like this.
ESCAPED = re.compile(r"\\u([0-9a-fA-F]{4})")
# Fields that hold no text.
OTHER_FIELDS = (
    *(models.BinaryField, models.BooleanField, models.DateField, models.DecimalField, models.DurationField),
    *(models.FloatField, models.IntegerField, models.TimeField, models.UUIDField, models.ForeignKey),
)

Column = tuple[type[models.Model], models.Field]


def due() -> bool:
    """Return whether a run is due. After True, the next is due CLEANUP_UPLOADS_INTERVAL_HOURS later."""
    interval = timedelta(hours=settings.CLEANUP_UPLOADS_INTERVAL_HOURS) - SLACK
    return cache.add("cleanup", "done", timeout=interval.total_seconds())


def not_done() -> None:
    """Make a run due again, after one that failed."""
    cache.delete("cleanup")


def clean_up() -> None:
    """Delete expired sessions, results of tasks that are over, and what OTHERS has.

    Uploads stay, and so does what rows of the project protect.
    """
    with staying("sessions"):
        call_command("clearsessions")
    backend = task_backends["default"]
    if hasattr(backend, "forget"):
        with staying("results of tasks"):
            backend.forget(RESULTS_KEPT)
    for what, forget in OTHERS.items():
        with staying(what):
            forget()
    log.info("expired sessions and results of old tasks are deleted")


@contextmanager
def staying(what: str) -> Iterator[None]:
    """Log what protects the rows that the block was to delete, and go on."""
    try:
        yield
    except IntegrityError as error:
        log.warning("old %s stay: %s", what, error.args[0])


class UploadsError(Exception):
    """Say that the uploads, or the rows that refer to them, cannot be read."""


@contextmanager
def in_one_line(what: str) -> Iterator[None]:
    """Turn any exception in the block into UploadsError: each kind of storage or database raises its own."""
    try:
        yield
    except Exception as error:
        raise UploadsError(f"{what} failed: {type(error).__name__}: {error}") from error


def unused_uploads() -> list[str]:
    """Return the names of uploads that nothing refers to.

    Raises:
        UploadsError: the store or the database failed.
    """
    every = list(columns())
    fields = [field for _, field in every if isinstance(field, models.FileField)]
    folders = {folder_of(field) for field in fields if field.storage == default_storage} - {""}
    # List the stored files before reading the database, so that uploads made meanwhile are not looked at.
    with in_one_line("the store of the uploads"):
        found = {name for folder in folders for name in files(default_storage, folder)}
        unused = {name for name in found if NAME.fullmatch(PurePosixPath(name).name)} - elsewhere(found, fields)
    if unused:
        of_rows = stems(every)
        unused = {name for name in unused if not is_made_of(name, of_rows)}
        unused -= mentioned(unused, every)
    before = timezone.now() - timedelta(hours=settings.CLEANUP_UPLOADS_MIN_AGE_HOURS)
    # Object storage needs one request per file to tell its age, so ask only for these few.
    with in_one_line("the store of the uploads"):
        return sorted(name for name in unused if default_storage.get_modified_time(name) < before)


def delete_uploads(names: Iterable[str]) -> list[str]:
    """Delete those of the named uploads that are unused, and return their names.

    Raises:
        UploadsError: the store or the database failed.
    """
    named = sorted(set(names) & set(unused_uploads()))
    with in_one_line("the store of the uploads"):
        for name in named:
            default_storage.delete(name)
    return named


def columns() -> Iterator[Column]:
    """Yield the columns of the database, each with its model."""
    for model in apps.get_models(include_auto_created=True):
        yield from ((model, field) for field in model._meta.local_concrete_fields if field.column)


def folder_of(field: models.FileField) -> str:
    """Return a file field's own folder, with a slash at its end; empty if it has none."""
    if callable(field.upload_to):
        return ""
    parts = PurePosixPath(str(field.upload_to)).parts
    # `photos/%Y/` is in `photos/`.
    fixed = next((parts[:index] for index, part in enumerate(parts) if "%" in part), parts)
    return "".join(f"{part}/" for part in fixed)


def files(storage: Storage, folder: str) -> Iterator[str]:
    """Yield the names of all files in a folder of a storage."""
    try:
        folders, names = storage.listdir(folder)
    except FileNotFoundError:
        # Nothing was uploaded yet.
        return
    yield from (f"{folder}{name}" for name in names if name)
    for name in folders:
        yield from files(storage, f"{folder}{name}/")


def elsewhere(names: set[str], fields: list[models.FileField]) -> set[str]:
    """Return the names of files that are in a folder of backups, static files or another storage, below MEDIA_ROOT."""
    try:
        root = Path(default_storage.path("")).resolve()
    except NotImplementedError:
        return set()
    others = [
        settings.BACKUP_DIR,
        settings.STATIC_ROOT,
        *(getattr(field.storage, "location", None) for field in fields),
    ]
    inside = {Path(other).resolve() for other in others if other} - {root}
    return {name for name in names if any((root / name).is_relative_to(other) for other in inside)}


def values(column: Column) -> Iterator[str]:
    """Yield the values of a column as text.

    Raises:
        UploadsError: it cannot be read.
    """
    model, field = column
    as_text = Cast(field.attname, models.TextField())
    try:
        yield from filter(None, model._base_manager.values_list(as_text, flat=True).iterator())
    except DatabaseError as error:
        raise UploadsError(f"reading {model._meta.label}.{field.name} failed: {error}") from error


def stems(every: list[Column]) -> set[str]:
    """Return the names of the files of all rows, without folder and suffix."""
    fields = (column for column in every if isinstance(column[1], models.FileField))
    return {PurePosixPath(name).stem for column in fields for name in values(column)}


def is_made_of(name: str, stems: set[str]) -> bool:
    """Return whether a file is a row's, or derived from one, like `thumbs/small_cat.png` from `cat.jpg`."""
    stem = PurePosixPath(name).stem
    if stem in stems:
        return True
    # Django added a suffix because the name was taken, so this is an upload of its own.
    if ANOTHER.search(stem):
        return False
    words = [match.span() for match in re.finditer(r"[^\W_]+", stem)]
    return any(stem[first[0] : last[1]] in stems for index, first in enumerate(words) for last in words[index:])


def mentioned(names: set[str], every: list[Column]) -> set[str]:
    """Return the files whose name, without its folder, occurs in a text of the database."""
    with_name: dict[str, set[str]] = {}
    for name in names:
        with_name.setdefault(PurePosixPath(name).name, set()).add(name)
    found: set[str] = set()
    for column in every:
        if not isinstance(column[1], OTHER_FIELDS):
            for text in values(column):
                plain = ESCAPED.sub(lambda match: chr(int(match[1], 16)), unquote(text))
                for word in NAME.findall(plain):
                    found |= with_name.get(word, with_name.get(word.rstrip("."), set()))
    return found

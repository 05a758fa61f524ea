"""What nobody needs any more is deleted, and nothing else."""

import os
from collections.abc import Iterator
from datetime import datetime, timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.apps import apps
from django.contrib.sessions.models import Session
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage
from django.core.management import CommandError, call_command
from django.db import connection, models
from django.test.utils import isolate_apps
from django.utils import timezone

from operations.data import cleanup

AGE = timedelta(hours=24)


@pytest.fixture
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FileSystemStorage:
    """Uploads in a folder of the test's own."""
    storage = FileSystemStorage(tmp_path)
    monkeypatch.setattr(cleanup, "default_storage", storage)
    return storage


@pytest.fixture
def document(db: None) -> Iterator[type[models.Model]]:  # noqa: ARG001 - asks for the database
    """A model with an upload."""
    with isolate_apps("operations"):

        class Document(models.Model):
            """Holds a file."""

            file = models.FileField()

            class Meta:
                app_label = "operations"

            def __str__(self) -> str:
                return str(self.file)

        with connection.schema_editor() as editor:
            editor.create_model(Document)
        yield Document
        with connection.schema_editor() as editor:
            editor.delete_model(Document)


@pytest.fixture
def known(document: type[models.Model], monkeypatch: pytest.MonkeyPatch) -> type[models.Model]:
    """The model, known to the site."""
    monkeypatch.setattr(apps, "get_models", lambda **_: [document, Session])
    return document


def upload(storage: FileSystemStorage, name: str, hours: int) -> str:
    """Store a file that is so many hours old."""
    stored = storage.save(name, ContentFile(b"content"))
    then = (timezone.now() - timedelta(hours=hours)).timestamp()
    os.utime(storage.path(stored), (then, then))
    return stored


@pytest.mark.django_db(transaction=True)
def test_uploads_that_no_row_names_are_deleted_once_they_are_old(
    storage: FileSystemStorage, known: type[models.Model]
) -> None:
    used = upload(storage, "documents/used.txt", 48)
    known._default_manager.create(file=used)
    unused = upload(storage, "documents/unused.txt", 48)
    fresh = upload(storage, "fresh.txt", 23)
    said = StringIO()
    call_command("cleanup", "--dry-run", stdout=said)
    assert said.getvalue().splitlines() == [unused, "1 uploads would be deleted."]
    assert storage.exists(unused)
    call_command("cleanup", stdout=StringIO())
    assert [storage.exists(name) for name in (used, unused, fresh)] == [True, False, True]


@pytest.mark.django_db
def test_where_no_model_has_an_upload_no_file_is_deleted(
    storage: FileSystemStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apps, "get_models", lambda **_: [Session])
    kept = upload(storage, "placed-here-by-hand.txt", 48)
    assert cleanup.clean_up() == []
    assert storage.exists(kept)


@pytest.mark.django_db
def test_where_nothing_was_uploaded_there_is_nothing_to_do(tmp_path: Path) -> None:
    assert list(cleanup.files(FileSystemStorage(tmp_path / "none"))) == []


@pytest.mark.django_db
def test_expired_sessions_are_deleted(storage: FileSystemStorage) -> None:  # noqa: ARG001 - keeps the project's folder out of it
    Session.objects.create(session_key="old", session_data="", expire_date=timezone.now() - timedelta(days=1))
    Session.objects.create(session_key="new", session_data="", expire_date=timezone.now() + timedelta(days=1))
    call_command("cleanup", stdout=StringIO())
    assert [session.session_key for session in Session.objects.all()] == ["new"]


@pytest.mark.django_db
def test_a_scheduler_may_ask_often_and_it_is_done_when_it_is_due(storage: FileSystemStorage) -> None:  # noqa: ARG001 - as above
    said = StringIO()
    for _ in range(2):
        call_command("cleanup", "--when-due", stdout=said)
    assert said.getvalue().splitlines() == ["0 uploads are deleted.", "Not due yet."]


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("known")
def test_a_store_that_is_down_keeps_no_session_and_is_asked_again(
    storage: FileSystemStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(storage, "unused.txt", 48)
    Session.objects.create(session_key="old", session_data="", expire_date=timezone.now() - timedelta(days=1))

    def fail(*_: object) -> None:
        raise ConnectionError("nobody answers")

    with monkeypatch.context() as patch:
        for question in ("listdir", "get_modified_time", "delete"):
            patch.setattr(storage, question, fail)
            with pytest.raises(CommandError, match="ConnectionError: nobody answers"):
                call_command("cleanup", "--when-due")
            patch.undo()
    assert not Session.objects.exists()
    said = StringIO()
    call_command("cleanup", "--when-due", stdout=said)
    assert said.getvalue().splitlines() == ["unused.txt", "1 uploads are deleted."]


@pytest.mark.django_db(transaction=True)
def test_only_uploads_that_no_row_names_are_asked_for_their_age(
    storage: FileSystemStorage, known: type[models.Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    known._default_manager.create(file=upload(storage, "used.txt", 48))
    unused = upload(storage, "unused.txt", 48)
    asked: list[str] = []
    age = storage.get_modified_time

    def note(name: str) -> datetime:
        asked.append(name)
        return age(name)

    monkeypatch.setattr(storage, "get_modified_time", note)
    call_command("cleanup", "--dry-run", stdout=StringIO())
    assert asked == [unused]

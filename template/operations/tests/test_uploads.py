"""Uploads are kept where they outlive a deploy, or refused, and run nothing; what nobody needs any more is deleted."""

import os
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.contrib.sessions.models import Session
from django.core import checks
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, default_storage, storages
from django.core.management import CommandError, call_command
from django.db import connection, models
from django.test import Client
from django.test.utils import isolate_apps
from django.utils import timezone
from pytest_django import Settings

from operations import cleanup
from operations.uploads import NoPlaceForUploadsError, NoUploads, uploads_have_a_place

Production = Callable[..., SimpleNamespace]

AGE = timedelta(hours=24)
REFUSING = {"default": {"BACKEND": "operations.uploads.NoUploads"}}


@pytest.fixture
def folder(settings: Settings, tmp_path: Path) -> Path:
    """Where uploads are."""
    settings.MEDIA_ROOT = tmp_path / "media"
    settings.MEDIA_ROOT.mkdir()
    return settings.MEDIA_ROOT


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


def test_production_keeps_uploads_where_it_is_told_or_refuses_them(production: Production, tmp_path: Path) -> None:
    assert production().STORAGES["default"]["BACKEND"] == "operations.uploads.NoUploads"
    told = production(MEDIA_ROOT=str(tmp_path))
    assert told.STORAGES["default"]["BACKEND"].endswith("FileSystemStorage")
    assert tmp_path == told.MEDIA_ROOT


def test_an_upload_that_would_be_lost_is_refused_with_the_reason(settings: Settings) -> None:
    settings.STORAGES = {**settings.STORAGES, **REFUSING}
    assert isinstance(storages["default"], NoUploads)
    with pytest.raises(NoPlaceForUploadsError, match=r"note.txt: There is no place .* set MEDIA_ROOT"):
        default_storage.save("note.txt", ContentFile(b"a note"))
    assert default_storage.listdir("") == ([], [])
    assert not default_storage.exists("note.txt")
    assert default_storage.url("note.txt") == "/media/note.txt"
    default_storage.delete("note.txt")
    with pytest.raises(FileNotFoundError):
        default_storage.open("note.txt")


def test_a_model_that_takes_uploads_which_would_be_lost_is_warned_of(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert uploads_have_a_place in checks.registry.registry.deployment_checks
    settings.STORAGES = {**settings.STORAGES, **REFUSING}
    # The project's own models may take uploads too, and be warned of.
    of_the_project = uploads_have_a_place()
    field = models.FileField(name="photo", storage=default_storage)
    field.model = Session
    monkeypatch.setattr(Session._meta, "get_fields", lambda: [field])
    (warning,) = (each for each in uploads_have_a_place() if each not in of_the_project)
    assert (warning.id, warning.obj) == ("operations.W001", Session)
    assert "photo takes uploads" in warning.msg
    settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"}}
    assert uploads_have_a_place() == []


@pytest.mark.parametrize(
    ("name", "kind", "disposition"),
    [
        ("photo.JPG", "image/jpeg", "inline"),
        ("page.html", "application/octet-stream", 'attachment; filename="page.html"'),
        ("drawing.svg", "application/octet-stream", 'attachment; filename="drawing.svg"'),
        ("notes.tar.gz", "application/octet-stream", 'attachment; filename="notes.tar.gz"'),
        ("no kind", "application/octet-stream", 'attachment; filename="no kind"'),
    ],
)
def test_an_upload_runs_nothing(client: Client, folder: Path, name: str, kind: str, disposition: str) -> None:
    (folder / "a").mkdir()
    (folder / "a" / name).write_bytes(b"<script>alert(1)</script>")
    response = client.get(f"/media/a/{name}")
    assert response.status_code == 200
    assert response.getvalue() == b"<script>alert(1)</script>"
    assert response["Content-Type"] == kind
    assert response["Content-Disposition"].startswith(disposition)
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert "Content-Encoding" not in response


def test_nothing_else_is_given_out(client: Client, folder: Path, settings: Settings) -> None:
    (folder.parent / "secret.txt").write_text("a secret")
    (folder / "a").mkdir()
    for path in (
        "/media/a/",
        "/media/none.png",
        "/media/../secret.txt",
        "/media/%2e%2e/secret.txt",
        "/media//etc/passwd",
        "/media/%00.png",
        f"/media/{'x' * 300}.png",
    ):
        assert client.get(path).status_code == 404
    settings.MEDIA_ROOT = None
    assert client.get("/media/a/").status_code == 404


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

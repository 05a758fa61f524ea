"""Check that uploads outlive a deploy or are refused, that they cannot run scripts, and that unused ones are found."""

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
from django.db.models import ProtectedError
from django.test import Client
from django.test.utils import isolate_apps
from django.utils import timezone
from pytest_django import Settings

from operations import cleanup
from operations.uploads import NoPlaceForUploadsError, NoUploads, uploads_have_a_place

Production = Callable[..., SimpleNamespace]

REFUSING = {"default": {"BACKEND": "operations.uploads.NoUploads"}}


@pytest.fixture
def folder(settings: Settings, tmp_path: Path) -> Path:
    """Return a folder for uploads."""
    settings.MEDIA_ROOT = tmp_path / "media"
    settings.MEDIA_ROOT.mkdir()
    return settings.MEDIA_ROOT


@pytest.fixture
def storage(settings: Settings, folder: Path) -> FileSystemStorage:
    """Return a storage in a folder of the test's own."""
    settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"}}
    return FileSystemStorage(folder)


@pytest.fixture
def document(db: None, storage: FileSystemStorage, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[models.Model]]:  # noqa: ARG001 - asks for the database
    """Return a model with uploads and texts, the site's only one besides sessions."""
    with isolate_apps("operations"):

        class Document(models.Model):
            """Hold files, and texts that may contain their names."""

            file = models.FileField(upload_to="documents/%Y")
            by_function = models.FileField(upload_to=lambda _, name: f"functions/{name}")
            anywhere = models.FileField()
            private = models.FileField(storage=FileSystemStorage(storage.path("documents/private")))
            text = models.TextField()
            data = models.JSONField(default=dict)

            class Meta:
                app_label = "operations"

            def __str__(self) -> str:
                return str(self.file)

        with connection.schema_editor() as editor:
            editor.create_model(Document)
        monkeypatch.setattr(apps, "get_models", lambda **_: [Document, Session])
        yield Document
        with connection.schema_editor() as editor:
            editor.delete_model(Document)


def upload(storage: FileSystemStorage, name: str, hours: int = 48) -> str:
    """Store a file with an age in hours, and return its name."""
    stored = storage.save(name, ContentFile(b"content"))
    then = (timezone.now() - timedelta(hours=hours)).timestamp()
    os.utime(storage.path(stored), (then, then))
    return stored


def unused() -> list[str]:
    """Return the uploads that the command lists."""
    said = StringIO()
    call_command("cleanup", "--dry-run", stdout=said, stderr=StringIO())
    return said.getvalue().splitlines()


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
    # The project's own models may cause warnings, too.
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
def test_uploads_are_deleted_where_a_list_names_them_and_nothing_refers_to_them(
    storage: FileSystemStorage, document: type[models.Model], tmp_path: Path
) -> None:
    used, left, also_left = (upload(storage, f"documents/2020/{name}.txt") for name in ("used", "left", "unlisted"))
    fresh = upload(storage, "documents/2020/fresh.txt", hours=23)
    document._default_manager.create(file=used)
    call_command("cleanup", stdout=StringIO())
    assert unused() == [left, also_left]
    listed = tmp_path / "unused.txt"
    listed.write_text(f"{left}\r\n{used}\n{fresh}\nno/such/file\n\n")
    said = StringIO()
    call_command("cleanup", "--uploads", str(listed), stdout=said, stderr=StringIO())
    assert said.getvalue().splitlines() == [left]
    assert [storage.exists(name) for name in (used, left, also_left, fresh)] == [True, False, True, True]


@pytest.mark.django_db(transaction=True)
def test_what_may_be_somebodys_stays(
    storage: FileSystemStorage, document: type[models.Model], settings: Settings
) -> None:
    settings.BACKUP_DIR = Path(storage.path("documents/backups"))
    settings.STATIC_ROOT = Path(storage.path("documents/static"))
    document._default_manager.create(
        file=upload(storage, "documents/2020/cat.jpg"),
        by_function=upload(storage, "documents/2020/moved.jpg"),
        text='<img src="/media/documents/2020/in%20a%20text/rich.png?v=2"> and caf\u00e9.png.',
        data={"picture": "documents/2020/\u00fc.png"},
    )
    left = upload(storage, "documents/2020/left.jpg")
    # An upload of its own, to which Django gave a suffix because its name was taken.
    replaced = upload(storage, "documents/2020/cat_aB3xY7z.jpg")
    for name in (
        # Not in the folder of a file field, or of a field without a folder of its own.
        "uploads/rich.jpg",
        "picture.jpg",
        "functions/picture.jpg",
        "documents-of-others/picture.jpg",
        # Derived from a row's file.
        "documents/2020/cat.jpg.100x100_q85.jpg",
        "documents/2020/cat_thumb.jpg",
        "documents/thumbs/small-cat.webp",
        # Mentioned in texts.
        "documents/2020/in a text/rich.png",
        "documents/2020/caf\u00e9.png",
        "documents/2020/\u00fc.png",
        # Files of other storages, backups, static files, and files that Django did not name.
        "documents/private/2020.pdf",
        "documents/backups/site.dump",
        "documents/static/site.css",
        "documents/2020/put here by hand.txt",
    ):
        upload(storage, name)
    assert unused() == [replaced, left]


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("document")
def test_where_nothing_was_uploaded_nothing_is_unused() -> None:
    assert unused() == []


@pytest.mark.django_db
def test_where_no_model_has_an_upload_nothing_is_unused(
    storage: FileSystemStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apps, "get_models", lambda **_: [Session])
    upload(storage, "placed-here-by-hand.txt")
    assert unused() == []


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "No such file or directory"), (b"\xff\xfea\x00", "line 1: UTF-16"), (b"a\n\xe4\n", "line 2: not UTF-8")],
)
def test_a_list_that_cannot_be_read_is_refused_in_a_line(tmp_path: Path, content: bytes | None, said: str) -> None:
    if content:
        (tmp_path / "list").write_bytes(content)
    with pytest.raises(CommandError, match=f"list.*{said}"):
        call_command("cleanup", "--uploads", str(tmp_path / "list"))


@pytest.mark.django_db
def test_expired_sessions_are_deleted() -> None:
    Session.objects.create(session_key="old", session_data="", expire_date=timezone.now() - timedelta(days=1))
    Session.objects.create(session_key="new", session_data="", expire_date=timezone.now() + timedelta(days=1))
    call_command("cleanup", stdout=StringIO())
    assert [session.session_key for session in Session.objects.all()] == ["new"]


def test_rows_that_protect_sessions_do_not_end_the_clean_up(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    forgotten: list[object] = []
    backend = SimpleNamespace(forget=forgotten.append)

    def refuse(_: str) -> None:
        raise ProtectedError("Visit.session points at them", set())

    monkeypatch.setattr(cleanup, "call_command", refuse)
    monkeypatch.setattr(cleanup, "task_backends", {"default": backend})
    others = {"visits": lambda: refuse(""), "orders": lambda: forgotten.append("orders")}
    monkeypatch.setattr(cleanup, "OTHERS", others)
    cleanup.clean_up()
    assert "old sessions stay: Visit.session points at them" in caplog.text
    assert "old visits stay: Visit.session points at them" in caplog.text
    assert forgotten == [cleanup.RESULTS_KEPT, "orders"]


@pytest.mark.django_db
def test_a_scheduler_may_ask_often_and_it_is_done_when_it_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    said = StringIO()
    with monkeypatch.context() as patch:
        patch.setattr(cleanup, "call_command", lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            call_command("cleanup", "--when-due", stdout=said)
    for _ in range(2):
        call_command("cleanup", "--when-due", stdout=said)
    assert said.getvalue().splitlines() == ["Expired sessions and results of old tasks are deleted.", "Not due yet."]


@pytest.mark.django_db(transaction=True)
def test_a_store_that_is_down_is_told_in_a_line(
    storage: FileSystemStorage, document: type[models.Model], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    listed = tmp_path / "unused.txt"
    listed.write_text(upload(storage, "documents/unused.txt"))

    def fail(*_: object) -> None:
        raise ConnectionError("nobody answers")

    for question in ("listdir", "get_modified_time", "delete"):
        with monkeypatch.context() as patch:
            patch.setattr(FileSystemStorage, question, fail)
            with pytest.raises(CommandError, match="ConnectionError: nobody answers"):
                call_command("cleanup", "--uploads", str(listed))
    with connection.schema_editor() as editor:
        editor.delete_model(document)
    with pytest.raises(CommandError, match=r"reading operations\.Document\.file failed"):
        unused()
    with connection.schema_editor() as editor:
        editor.create_model(document)
    assert unused() == ["documents/unused.txt"]


@pytest.mark.django_db(transaction=True)
def test_only_uploads_that_nothing_refers_to_are_asked_for_their_age(
    storage: FileSystemStorage, document: type[models.Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    document._default_manager.create(file=upload(storage, "documents/used.txt"))
    left = upload(storage, "documents/left.txt")
    asked: list[str] = []
    age = FileSystemStorage.get_modified_time

    def note(storage: FileSystemStorage, name: str) -> datetime:
        asked.append(name)
        return age(storage, name)

    monkeypatch.setattr(FileSystemStorage, "get_modified_time", note)
    assert unused() == asked == [left]

"""What visitors upload is kept where it outlives a deploy, or refused, and is given out so that it runs nothing."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.contrib.sessions.models import Session
from django.core import checks
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage, storages
from django.db import models
from django.test import Client
from pytest_django import Settings

from operations.data.uploads import NoPlaceForUploadsError, NoUploads, uploads_have_a_place

Production = Callable[..., SimpleNamespace]

REFUSING = {"default": {"BACKEND": "operations.data.uploads.NoUploads"}}


@pytest.fixture
def folder(settings: Settings, tmp_path: Path) -> Path:
    """Where uploads are."""
    settings.MEDIA_ROOT = tmp_path / "media"
    settings.MEDIA_ROOT.mkdir()
    return settings.MEDIA_ROOT


def test_production_keeps_uploads_where_it_is_told_or_refuses_them(production: Production, tmp_path: Path) -> None:
    assert production().STORAGES["default"]["BACKEND"] == "operations.data.uploads.NoUploads"
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
    assert uploads_have_a_place() == []
    field = models.FileField(name="photo", storage=default_storage)
    field.model = Session
    monkeypatch.setattr(Session._meta, "get_fields", lambda: [field])
    (warning,) = uploads_have_a_place()
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

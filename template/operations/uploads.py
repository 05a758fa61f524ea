"""Keep the files that visitors upload, and serve them safely."""

from pathlib import PurePosixPath
from typing import Any, override

from django.apps import apps
from django.conf import settings
from django.core import checks
from django.core.exceptions import SuspiciousFileOperation
from django.core.files import File
from django.core.files.storage import Storage, default_storage, storages
from django.db.models import FileField
from django.http import Http404, HttpRequest, HttpResponseBase
from django.utils.http import content_disposition_header
from django.views.static import serve

NO_PLACE = (
    "There is no place for uploads that outlives a deploy: set MEDIA_ROOT to a folder that does (docs/environment.md)"
)
# Pictures cannot run scripts, so browsers show them. Every other file is offered for download.
SHOWN = {".avif", ".gif", ".jpeg", ".jpg", ".png", ".webp"}


class NoPlaceForUploadsError(Exception):
    """Say that a file was uploaded where the next deploy would delete it."""


class NoUploads(Storage):
    """Refuse every upload with the reason: losing a file later is worse."""

    def _save(self, name: str, _content: File) -> str:
        """Refuse the upload.

        Raises:
            NoPlaceForUploadsError: always.
        """
        raise NoPlaceForUploadsError(f"{name}: {NO_PLACE}")

    def _open(self, name: str, _mode: str = "rb") -> File:
        """Report that the file is missing.

        Raises:
            FileNotFoundError: always.
        """
        raise FileNotFoundError(name)

    @override
    def exists(self, name: str) -> bool:
        """Return False: no file is kept."""
        return False

    @override
    def listdir(self, path: str) -> tuple[list[str], list[str]]:
        """Return no folders and no files."""
        return [], []

    @override
    def delete(self, name: str) -> None:
        """Do nothing: no file is kept."""

    @override
    def url(self, name: str | None) -> str:
        """Return the URL that a file would have: a row may still have its name."""
        return f"{settings.MEDIA_URL}{name or ''}"


@checks.register(checks.Tags.files, deploy=True)
def uploads_have_a_place(**_: Any) -> list[checks.CheckMessage]:
    """Warn about file fields where no upload can be kept."""
    if not isinstance(storages["default"], NoUploads):
        return []
    return [
        checks.Warning(f"{field} takes uploads. {NO_PLACE}.", id="operations.W001", obj=model)
        for model in apps.get_models()
        for field in model._meta.get_fields()
        if isinstance(field, FileField) and field.storage == default_storage
    ]


def uploaded(request: HttpRequest, path: str) -> HttpResponseBase:
    """Serve an upload from MEDIA_ROOT so that it cannot run as a page of this site.

    HTML and SVG files may contain scripts, which would run with the rights of the visitor who opens them.

    Raises:
        Http404: there is no such file, or uploads are kept elsewhere.
    """
    if not settings.MEDIA_ROOT:
        raise Http404
    try:
        response = serve(request, path, document_root=str(settings.MEDIA_ROOT))
    except (SuspiciousFileOperation, OSError, ValueError):
        # Scanners try paths outside the folder and impossible names. Log one line for each, without a traceback.
        raise Http404 from None
    name = PurePosixPath(path)
    if name.suffix.lower() not in SHOWN:
        response.headers["Content-Type"] = "application/octet-stream"
        response.headers["Content-Disposition"] = content_disposition_header(True, name.name) or "attachment"
        response.headers.pop("Content-Encoding", None)
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return response

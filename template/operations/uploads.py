"""Files that visitors upload: where they may be kept, and how they are given out."""

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
# Pictures, which run nothing. Whatever else was uploaded is offered for download.
SHOWN = {".avif", ".gif", ".jpeg", ".jpg", ".png", ".webp"}


class NoPlaceForUploadsError(Exception):
    """A file was uploaded, and would have been lost."""


class NoUploads(Storage):
    """Holds nothing, and refuses every upload with the reason, since losing one later is worse."""

    def _save(self, name: str, _content: File) -> str:
        """Keep nothing.

        Raises:
            NoPlaceForUploadsError: always.
        """
        raise NoPlaceForUploadsError(f"{name}: {NO_PLACE}")

    def _open(self, name: str, _mode: str = "rb") -> File:
        """There is nothing to open.

        Raises:
            FileNotFoundError: always.
        """
        raise FileNotFoundError(name)

    @override
    def exists(self, name: str) -> bool:
        """Never."""
        return False

    @override
    def listdir(self, path: str) -> tuple[list[str], list[str]]:
        """No folders and no files."""
        return [], []

    @override
    def delete(self, name: str) -> None:
        """Nothing is there."""

    @override
    def url(self, name: str | None) -> str:
        """Where a file would be, which a row may still name."""
        return f"{settings.MEDIA_URL}{name or ''}"


@checks.register(checks.Tags.files, deploy=True)
def uploads_have_a_place(**_: Any) -> list[checks.CheckMessage]:
    """Warn of models with file fields where no upload can be kept."""
    if not isinstance(storages["default"], NoUploads):
        return []
    return [
        checks.Warning(f"{field} takes uploads. {NO_PLACE}.", id="operations.W001", obj=model)
        for model in apps.get_models()
        for field in model._meta.get_fields()
        if isinstance(field, FileField) and field.storage == default_storage
    ]


def uploaded(request: HttpRequest, path: str) -> HttpResponseBase:
    """An upload from MEDIA_ROOT, such that nothing in it can act as a page of this site.

    A page or a drawing (HTML, SVG) may hold a script, which would run with the rights of whoever looks at it.

    Raises:
        Http404: there is none, or uploads are kept elsewhere.
    """
    if not settings.MEDIA_ROOT:
        raise Http404
    try:
        response = serve(request, path, document_root=str(settings.MEDIA_ROOT))
    except (SuspiciousFileOperation, OSError, ValueError):
        # A scanner's ways out of the folder, and names that no file can have: a line in the log, and no traceback.
        raise Http404 from None
    name = PurePosixPath(path)
    if name.suffix.lower() not in SHOWN:
        response.headers["Content-Type"] = "application/octet-stream"
        response.headers["Content-Disposition"] = content_disposition_header(True, name.name) or "attachment"
        response.headers.pop("Content-Encoding", None)
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return response

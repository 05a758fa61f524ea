"""Refuse misspelt names of static files in development and tests, before they fail in production."""

from urllib.parse import unquote, urldefrag, urlsplit

from django.contrib.staticfiles import finders
from django.contrib.staticfiles.storage import StaticFilesStorage


def is_there(name: str) -> bool:
    """Return whether a static file of that name exists. A name that ends with a slash is a folder, and not checked."""
    path = unquote(urlsplit(urldefrag(name).url).path)
    return not path or path.endswith("/") or finders.find(path) is not None


class CheckedStaticFiles(StaticFilesStorage):
    """Serve static files without hashes, and refuse a name for which production would have no hash."""

    def url(self, name: str | None) -> str:
        """Return the URL of a file.

        Raises:
            ValueError: there is no file of that name.
        """
        if name and not is_there(name):
            raise ValueError(f"There is no static file {name}: correct its name, or build it first.")
        return super().url(name)

"""Static files are named as they are called, so that a misspelt name fails before it is live."""

from urllib.parse import unquote, urldefrag, urlsplit

from django.contrib.staticfiles import finders
from django.contrib.staticfiles.storage import StaticFilesStorage


def is_there(name: str) -> bool:
    """Tell whether there is a static file of that name; a folder's, which ends with a slash, is not looked for."""
    path = unquote(urlsplit(urldefrag(name).url).path)
    return not path or path.endswith("/") or finders.find(path) is not None


class CheckedStaticFiles(StaticFilesStorage):
    """Static files as they are, for development and tests; it refuses what production has no hash for."""

    def url(self, name: str | None) -> str:
        """Return the URL of a file.

        Raises:
            ValueError: there is none of that name.
        """
        if name and not is_there(name):
            raise ValueError(f"There is no static file {name}: correct its name, or build it first.")
        return super().url(name)

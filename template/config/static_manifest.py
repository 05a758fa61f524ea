"""Whether the static files were collected, asked when a server starts and not by its first visitor."""

from django.contrib.staticfiles.storage import ManifestFilesMixin, staticfiles_storage

from config.environment import refuse


def refuse_without_manifest() -> None:
    """End the process if pages name static files by a manifest that `collectstatic` has not made.

    Raises:
        SystemExit: with code 3.
    """
    if isinstance(staticfiles_storage, ManifestFilesMixin) and staticfiles_storage.read_manifest() is None:
        refuse(
            "Not starting: the static files are not collected, and no page could name its style sheet.",
            ["Run: python manage.py collectstatic --noinput"],
        )

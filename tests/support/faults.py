"""Break a rendered project, each function in one respect."""

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

Change = Callable[[Path], object]


def settings(*lines: str) -> Change:
    """Append lines to the production settings."""

    def change(project: Path) -> None:
        with (project / "config/settings/production.py").open("a") as file:
            file.writelines(f"{line}\n" for line in ("from django.utils.csp import CSP", *lines))

    return change


# Settings that save time. Compressing only style sheets is enough for the tests. Hashing a password takes half a second of
# processor time; the default hasher is kept for passwords that were hashed before.
QUICK = settings(
    "WHITENOISE_SKIP_COMPRESS_EXTENSIONS = ('js', 'svg', 'txt', 'md')",
    "PASSWORD_HASHERS = [f'django.contrib.auth.hashers.{name}PasswordHasher' for name in ('MD5', 'PBKDF2')]",
)


def text(name: str, old: str, new: str) -> Change:
    """Replace `old` by `new` in a file."""

    def change(project: Path) -> None:
        before = (project / name).read_text()
        assert old in before, f"{name} has changed, and this test breaks nothing any more"
        (project / name).write_text(before.replace(old, new))

    return change


def without(pattern: str) -> Change:
    """Delete a file."""

    def change(project: Path) -> None:
        (path,) = project.glob(pattern)
        path.unlink()

    return change


def route(pattern: str, view: str) -> Change:
    """Put a view before all others; it is an expression that may use the names imported here."""
    return text(
        "config/urls.py",
        "urlpatterns = [",
        "from allauth.account.views import LoginView, LogoutView\n"
        "from django.http import HttpResponse\n"
        "from django.urls import re_path\n"
        "from django.views.decorators.csrf import csrf_exempt\n"
        f"urlpatterns = [re_path({pattern!r}, {view}),",
    )


def unapplied(project: Path) -> None:
    """Leave the database one migration behind the code."""
    with contextlib.closing(sqlite3.connect(project / "smoke.sqlite3")) as connection:
        connection.execute("DELETE FROM django_migrations WHERE app = 'sessions'")
        connection.commit()

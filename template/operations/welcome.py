"""What the home page shows in development until it is the project's own: how the project stands, and what to do next.

Development's settings alone name this module, so that no visitor of the live site sees any of it.
"""

import platform
import re
from pathlib import Path
from typing import Any

import django
from allauth.core.ratelimit import respond_429
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import get_resolver
from django.utils.functional import SimpleLazyObject

from operations.mail import kept_mails

# Below it, the pages for errors can be looked at.
PREVIEWS = "/development/errors/"
# What each is given, where it is given anything.
ERRORS: dict[int, Exception | None] = {
    400: SuspiciousOperation(),
    403: PermissionDenied(),
    404: Http404(),
    429: None,
    500: None,
}


def development(request: HttpRequest) -> dict[str, Any]:
    """Return `development` for templates: what the home page shows, or nothing for who asks to see it as visitors do."""
    return {"development": None if "preview" in request.GET else SimpleLazyObject(facts)}


def facts() -> dict[str, Any]:
    """Return how the project stands."""
    executor = MigrationExecutor(connection)
    ours = [app.split(".")[1] for app in settings.INSTALLED_APPS if app.startswith("apps.")]
    return {
        "python": platform.python_version(),
        "django": django.get_version(),
        "template": template_release(),
        "database": f"{connection.display_name} ({connection.settings_dict['NAME']})",
        "unapplied": len(executor.migration_plan(executor.loader.graph.leaf_nodes())),
        "mail_printed": settings.MAILERS["default"]["BACKEND"] == "operations.mail.PrintedMail",
        "mails": [read(file) for file in reversed(kept_mails())],
        "tasks_at_once": str(settings.TASKS["default"]["BACKEND"]).endswith("ImmediateBackend"),
        "has_admin": has_admin(),
        "own_apps": [app for app in ours if app not in ("accounts", "pages", "assistant", "profile")],
        "errors": [*ERRORS, "csrf"],
    }


def read(file: Path) -> dict[str, str]:
    """Return an email that development printed."""
    head, _, body = file.read_text(encoding="utf-8").partition("\n\n")
    to, _, subject = head.partition("\n")
    return {"to": to.removeprefix("To: "), "subject": subject.removeprefix("Subject: "), "body": body}


def has_admin() -> bool:
    """Return whether there is an administrator; there is none before the first `migrate`."""
    user = get_user_model()
    tables = connection.introspection.table_names()
    return user._meta.db_table in tables and user._default_manager.filter(is_superuser=True).exists()


def template_release() -> str:
    """Return the release of the template that the project has, as Copier wrote it down; empty if it did not."""
    answers = settings.BASE_DIR / ".copier-answers.yml"
    text = answers.read_text(encoding="utf-8", errors="replace") if answers.exists() else ""
    found = re.search(r"(?m)^_commit: *(\S+)", text)
    return found[1] if found else ""


def preview(request: HttpRequest, path: str) -> HttpResponse:
    """Return the page for an error as the live site shows it, or say that there is none at this path.

    Args:
        request: the request, which no other middleware has seen.
        path: PREVIEWS and what the page is for, such as `404/`.
    """
    error = path.removeprefix(PREVIEWS).rstrip("/")
    status = int(error) if error.isdecimal() else 0
    request.request_id = "0123456789abcdef"  # type: ignore[attr-defined] # as the middleware for it does
    if error == "csrf":
        return render(request, "403_csrf.html", status=403)
    if status not in ERRORS:
        return HttpResponse(f"Pages: {PREVIEWS}404/ and the like.", content_type="text/plain", status=404)
    if status == 429:
        return respond_429(request)
    exception = ERRORS[status]
    # Its type knows the handler of errors 500 alone, which is given no exception.
    handler: Any = get_resolver(settings.ROOT_URLCONF).resolve_error_handler(status)
    return handler(request, exception=exception) if exception else handler(request)

"""Let visitors choose the site's language. A cookie keeps their choice; until they choose, their browser's languages count."""

from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest
from django.urls import path
from django.views.i18n import set_language

# On a site whose pages all require login, visitors can still choose the language of the login page.
urlpatterns = [path("", login_not_required(set_language), name="set_language")]


def choices(_request: HttpRequest) -> dict[str, Any]:
    """Return the languages for the form in templates/languages.html, each by its own name: Django's tag translates names."""
    return {"language_choices": settings.LANGUAGES}

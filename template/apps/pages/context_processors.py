"""What every template can name."""

from django.conf import settings
from django.http import HttpRequest


def site(request: HttpRequest) -> dict[str, object]:
    """The site's name, whether it is open for new accounts, and the request's id."""
    return {
        "site_name": settings.SITE_NAME,
        "signup_open": settings.SIGNUP_OPEN,
        "request_id": getattr(request, "request_id", ""),
    }

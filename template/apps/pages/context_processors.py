"""What every template can name."""

from django.conf import settings
from django.http import HttpRequest

from operations import mail


def contact_url() -> str:
    """Return where visitors write to: CONTACT, which is an email address or a URL; empty if there is none."""
    contact = settings.CONTACT
    return f"mailto:{contact}" if "@" in contact and "/" not in contact and ":" not in contact else contact


def site(request: HttpRequest) -> dict[str, object]:
    """Return what the site is called and says of itself, what it can do, and the request's id."""
    return {
        "site_name": settings.SITE_NAME,
        "site_description": settings.SITE_DESCRIPTION,
        "contact_url": contact_url(),
        "menu": getattr(settings, "MENU", []),
        "signup_open": settings.SIGNUP_OPEN,
        "mail_works": mail.can_send(),
        "request_id": getattr(request, "request_id", ""),
    }

"""The home page, what browsers and search engines ask for unbidden, and the pages for what went wrong."""

from datetime import timedelta
from http import HTTPStatus

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBadRequest, HttpResponseServerError
from django.shortcuts import render
from django.template import loader
from django.templatetags.static import static
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.generic import RedirectView, TemplateView

from apps.pages.context_processors import contact_url
from operations.requests import LIMITED_FOR


class HomeView(TemplateView):
    """What a visitor sees first. Replace it with the site's own, and its tests in tests/test_pages.py."""

    template_name = "pages/home.html"


@method_decorator(login_not_required, name="dispatch")
class IconView(RedirectView):
    """Where browsers and phones ask for an icon on pages that name none, such as the admin's."""

    def get_redirect_url(self, *args: object, **kwargs: object) -> str:  # noqa: ARG002 - what the address holds
        """The icon's address."""
        return static("icon.svg")


@method_decorator(login_not_required, name="dispatch")
class ChangePasswordView(RedirectView):
    """Where password managers send people to: https://www.w3.org/TR/change-password-url/."""

    pattern_name = "account_change_password"


@login_not_required
def robots(_request: HttpRequest) -> HttpResponse:
    """Let search engines in. Account pages say themselves that they are in none, which is read only by those who may come."""
    return HttpResponse("User-agent: *\nDisallow:\n", content_type="text/plain; charset=utf-8")


@login_not_required
def security(_request: HttpRequest) -> HttpResponse:
    """Return whom to tell of a hole in the site: https://www.rfc-editor.org/rfc/rfc9116.

    Raises:
        Http404: CONTACT is empty.
    """
    if not (contact := contact_url()):
        raise Http404
    expires = timezone.now() + timedelta(days=30)
    text = f"Contact: {contact}\nExpires: {expires:%Y-%m-%dT%H:%M:%SZ}\n"
    return HttpResponse(text, content_type="text/plain; charset=utf-8")


def bare(request: HttpRequest, template: str) -> str:
    """Return a page that asks nothing of the database or the session, since either may be what failed."""
    context = {
        "site_name": settings.SITE_NAME,
        "contact_url": contact_url(),
        "request_id": getattr(request, "request_id", ""),
    }
    return loader.get_template(template).render(context)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001 - Django passes it
    """The page for a request that Django refuses."""
    return HttpResponseBadRequest(bare(request, "400.html"))


def server_error(request: HttpRequest) -> HttpResponse:
    """The page after an unhandled error: no detail but the id that finds the error in the log."""
    return HttpResponseServerError(bare(request, "500.html"))


def too_many_requests(request: HttpRequest) -> HttpResponse:
    """The page for what was tried too often, with the seconds after which it can be tried again."""
    response = render(request, "429.html", status=HTTPStatus.TOO_MANY_REQUESTS)
    response.headers["Retry-After"] = str(LIMITED_FOR)
    return response

"""The home page, and the page for what went wrong."""

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, HttpResponseServerError
from django.template import loader
from django.templatetags.static import static
from django.utils.decorators import method_decorator
from django.views.generic import RedirectView, TemplateView


class HomeView(TemplateView):
    """What a visitor sees first. Replace it with the site's own, and its tests in tests/test_pages.py."""

    template_name = "pages/home.html"


@method_decorator(login_not_required, name="dispatch")
class FaviconView(RedirectView):
    """Where browsers ask for an icon on pages that name none, such as the admin's."""

    def get_redirect_url(self, *args: object, **kwargs: object) -> str:  # noqa: ARG002 - what the address holds
        """The icon's address."""
        return static("icon.svg")


def server_error(request: HttpRequest) -> HttpResponse:
    """The page after an unhandled error: no detail but the id that finds the error in the log.

    It asks nothing of the database or the session, since either may be what failed.
    """
    context = {"site_name": settings.SITE_NAME, "request_id": getattr(request, "request_id", "")}
    return HttpResponseServerError(loader.get_template("500.html").render(context))

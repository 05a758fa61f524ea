"""Make requests of htmx do what a visitor expects of a page: redirects are followed, and caches keep parts and pages apart."""

from collections.abc import Callable
from urllib.parse import urlencode, urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import resolve_url
from django.utils.cache import patch_vary_headers
from django_htmx.middleware import HtmxDetails


class HtmxRequest(HttpRequest):
    """What a view is given, for its type hint: `request.htmx` is true if htmx asks."""

    htmx: HtmxDetails


class HtmxMiddleware:
    """Adds `request.htmx`, and lets the browser follow redirects: htmx would put the page behind them into a part of this one."""

    def __init__(self, get_response: Callable[[HtmxRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HtmxRequest) -> HttpResponse:
        """Answer the request."""
        request.htmx = HtmxDetails(request)
        response = self.get_response(request)
        patch_vary_headers(response, ["HX-Request"])
        # A link that htmx boosts loads a whole page, also behind a redirect.
        if request.htmx and not request.htmx.boosted and "Location" in response.headers and response.status_code < 400:
            response.status_code = 200
            response.headers["HX-Redirect"] = leads_to(request, response.headers["Location"])
            del response.headers["Location"]
        return response


def leads_to(request: HtmxRequest, location: str) -> str:
    """Return where the browser goes. A login leads back to the page that the visitor sees, and not to a part of it."""
    login = resolve_url(settings.LOGIN_URL)
    try:
        page = request.htmx.current_url_abs_path
    except ValueError:
        # Whoever writes a request by hand may write no URL.
        page = None
    if page and urlsplit(location).path == urlsplit(login).path:
        return f"{login}?{urlencode({'next': page})}"
    return location

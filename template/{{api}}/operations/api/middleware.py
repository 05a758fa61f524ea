"""Give all answers of the API what they have in common, whichever part of the site made them."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse

# Headers of an error that its answer in JSON keeps.
KEPT = ("Allow", "Cache-Control", "Retry-After", "Vary", "WWW-Authenticate")


class ApiMiddleware:
    """Answer errors below API_PATH in JSON, and let no cache keep what depends on who asks."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer the request. An error that another part of the site made a page for becomes JSON."""
        response = self.get_response(request)
        if not request.path_info.startswith(settings.API_PATH):
            return response
        response.headers.setdefault("Cache-Control", "private, no-store")
        if response.status_code == HTTPStatus.UNAUTHORIZED:
            response.headers.setdefault("WWW-Authenticate", "Bearer")
        if response.status_code >= HTTPStatus.BAD_REQUEST and not is_json(response):
            return as_json(request, response)
        return response

    def process_view(self, request: HttpRequest, view: Callable[..., Any], *_: Any) -> None:
        """Let the API itself decide who may use it, if the site's pages need a login."""
        if request.path_info.startswith(settings.API_PATH):
            view.login_required = False  # type: ignore[attr-defined] # what Django's `login_not_required` sets


def is_json(response: HttpResponse) -> bool:
    """Return whether an answer is JSON."""
    return response.headers.get("Content-Type", "").startswith("application/json")


def as_json(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """Return an error in JSON, with the request's id. Plain text is kept, since it is no page for people."""
    plain = response.headers.get("Content-Type", "").startswith("text/plain") and not response.streaming
    detail = response.text if plain else response.reason_phrase
    answer = JsonResponse(
        {"detail": detail, "request_id": getattr(request, "request_id", "")},
        status=response.status_code,
        headers={name: response.headers[name] for name in KEPT if name in response.headers},
    )
    answer.cookies = response.cookies
    return answer

"""What every request gets: an id, one line in the log, and headers that Django has no setting for."""

import logging
import re
import time
import uuid
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csp import csp_override

from operations.logs import current_id
from operations.probes import PROBES

log = logging.getLogger("requests")

HEADER = "X-Request-ID"
# Anything else could forge a log line or a header.
ACCEPTED = re.compile(r"[A-Za-z0-9._-]{1,64}")

# No page of this site uses any of these, and none that it shows may.
PERMISSIONS_POLICY = "camera=(), geolocation=(), microphone=(), payment=(), usb=()"

GetResponse = Callable[[HttpRequest], HttpResponse]


def accepted_or_new(given: str | None) -> str:
    """Return the caller's id if it is 1 to 64 of `A-Za-z0-9._-`, else a new one."""
    if given is not None and ACCEPTED.fullmatch(given):
        return given
    return uuid.uuid4().hex


class RequestMiddleware:
    """Gives each request an id, and one line in the log."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer the request, with its id in a header."""
        started = time.perf_counter()
        request_id = accepted_or_new(request.META.get("HTTP_X_REQUEST_ID"))
        # Django's request takes attributes of anybody's, and its types do not.
        request.request_id = request_id  # type: ignore[attr-defined]
        token = current_id.set(request_id)
        try:
            response = self.get_response(request)
            response[HEADER] = request_id
            self.write_line(request, response.status_code, time.perf_counter() - started)
            return response
        finally:
            current_id.reset(token)

    def write_line(self, request: HttpRequest, status: int, seconds: float) -> None:
        """The request's one line: DEBUG for a probe that succeeds, ERROR for what the site failed at."""
        level = logging.INFO
        if status >= 500:
            level = logging.ERROR
        elif request.path_info in PROBES and status == 200:
            level = logging.DEBUG
        if not log.isEnabledFor(level):
            return
        # Asking for the user would query the database, so only one that a view asked for is named.
        user = getattr(request, "_cached_user", None)
        extra = {
            "method": request.method,
            "path": request.path,
            "status_code": status,
            "duration_ms": round(seconds * 1000, 1),
            "user_id": user.pk if user else None,
        }
        if status == 400:
            # The usual reason is a host that ALLOWED_HOSTS does not list.
            extra["host"] = request.META.get("HTTP_HOST")
        log.log(level, "%s %s %s", request.method, request.path, status, extra=extra)


class SecurityHeadersMiddleware:
    """Headers that Django has no setting for."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """The answer, with the headers that it does not set itself."""
        response = self.get_response(request)
        response.headers.setdefault("Permissions-Policy", PERMISSIONS_POLICY)
        response.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        return response


def policy_prefix(path: str) -> str | None:
    """Return the longest prefix of a path in SECURE_CSP_BY_PREFIX, if there is one."""
    return max(filter(path.startswith, settings.SECURE_CSP_BY_PREFIX), key=len, default=None)


class PolicyMiddleware:
    """Gives pages below a path another Content-Security-Policy, as SECURE_CSP_BY_PREFIX says; a view's own `csp_override` wins."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer with the site's policy, but for the directives that the prefix of the path has of its own."""
        response = self.get_response(request)
        prefix = policy_prefix(request.path_info)
        # Django has no other name for what `csp_override` leaves on a response.
        if prefix is None or hasattr(response, "_csp_config"):
            return response
        policy = {**settings.SECURE_CSP, **settings.SECURE_CSP_BY_PREFIX[prefix]}
        return csp_override(policy)(lambda _: response)(request)

"""What happens to every request before and after the rest of Django."""

import logging
import time
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, JsonResponse

from apps.operations import readiness, request_ids

log = logging.getLogger("requests")

PROBES = ("/health/", "/ready/")
# No page of this site uses any of these, and none that it shows may.
PERMISSIONS_POLICY = "camera=(), geolocation=(), microphone=(), payment=(), usb=()"

GetResponse = Callable[[HttpRequest], HttpResponse]


class RequestMiddleware:
    """Gives each request an id, and one line in the log."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer the request, with its id in a header."""
        started = time.perf_counter()
        request_id = request_ids.accepted_or_new(request.META.get("HTTP_X_REQUEST_ID"))
        # Django's request takes attributes of anybody's, and its types do not.
        request.request_id = request_id  # type: ignore[attr-defined]
        token = request_ids.current.set(request_id)
        try:
            response = self.get_response(request)
            response[request_ids.HEADER] = request_id
            self.write_line(request, response.status_code, time.perf_counter() - started)
            return response
        finally:
            request_ids.current.reset(token)

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


class ProbeMiddleware:
    """Answers health and readiness ahead of all that could redirect or refuse a prober."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """The probe's answer on exactly the two paths, else the site's."""
        if request.path_info not in PROBES:
            return self.get_response(request)
        if request.method not in ("GET", "HEAD"):
            response: HttpResponse = JsonResponse(
                {"status": "method not allowed"}, status=405, headers={"Allow": "GET, HEAD"}
            )
        elif request.path_info == "/health/":
            response = JsonResponse({"status": "ok"})
        else:
            checks = readiness.results()
            ready = all(checks.values())
            response = JsonResponse(
                {"status": "ready" if ready else "not ready", "checks": checks}, status=200 if ready else 503
            )
        response["Cache-Control"] = "no-store"
        response["Content-Length"] = str(len(response.content))
        return response


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

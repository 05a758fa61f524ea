"""Give every request an id, a log line, the visitor's IP address, limits on its body, and headers that Django cannot set."""

import logging
import re
import sqlite3
import sys
import threading
import time
import uuid
from collections.abc import Callable
from http import HTTPStatus
from io import IOBase
from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import Any, BinaryIO, override

from django.conf import settings
from django.core.signals import got_request_exception
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse
from django.http.request import split_domain_port
from django.utils.cache import has_vary_header
from django.views.decorators.csp import csp_override

from operations.logs import current_id
from operations.probes import PROBES, bound_waits

log = logging.getLogger("requests")

HEADER = "X-Request-ID"
# Other characters could forge a log line or a header.
ACCEPTED = re.compile(r"[A-Za-z0-9._-]{1,64}")

# Browser features that no page of this site uses, and no embedded page may use.
PERMISSIONS_POLICY = "camera=(), geolocation=(), microphone=(), payment=(), usb=()"

# An IP address as proxies write it: alone, with a port, in brackets or in quotes.
WRITTEN_ADDRESS = re.compile(r'"?(?:\[([^\]]*)\](?::\d*)?|([\d.]+):\d*|([^"\[\]]*))"?')
# IPv6 networks that contain IPv4 addresses in their last 32 bits. All of these would share one /64.
IPV4_IN_IPV6 = (IPv6Network("::ffff:0:0/96"), IPv6Network("64:ff9b::/96"))
# The address of all visitors together if the server sees no address.
NOBODY = "0.0.0.0"  # noqa: S104 - nothing is bound to it

# Seconds after which to try again what was tried too often: as long as the longest limit on logins.
LIMITED_FOR = 300

MEGABYTE = 1024 * 1024
# Seconds that a request waits for its turn to read its body. It blocks a thread meanwhile.
PATIENCE = 0.05
# Seconds after which a visitor may try again what failed because of the database.
RETRY_AFTER = "10"

GetResponse = Callable[[HttpRequest], HttpResponse]


def accepted_or_new(given: str | None) -> str:
    """Return the caller's id if it is 1 to 64 of `A-Za-z0-9._-`, else a new one."""
    if given is not None and ACCEPTED.fullmatch(given):
        return given
    return uuid.uuid4().hex


def parsed_address(text: str) -> str | None:
    """Return the address that a text names, in the one spelling that limits count by; None where it names none."""
    written = WRITTEN_ADDRESS.fullmatch(text.strip())
    # Behind the % is the network card of whoever wrote it.
    bare = next((part for part in written.groups() if part), "").partition("%")[0] if written else ""
    try:
        address = ip_address(bare)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and any(address in network for network in IPV4_IN_IPV6):
        address = ip_address(int(address) & 0xFFFFFFFF)
    return str(address)


def client_address(request: HttpRequest, proxies: int) -> str:
    """Return the visitor's IP address, which limits count by.

    It never fails. If the header has fewer entries than there are proxies, the count is too high, and the first entry is
    nearest to the visitor. If an entry is not an IP address, the address of the proxy that wrote it is returned.

    Args:
        request: the visitor's request.
        proxies: how many proxies in front add to X-Forwarded-For.
    """
    peer = request.META.get("REMOTE_ADDR", "")
    # A client on a unix socket has no address. It is a proxy, because only programs on this machine can connect.
    trusted = proxies or (0 if peer else 1)
    entries = request.headers.get("X-Forwarded-For", "").split(",")[-trusted:] if trusted else []
    return next((address for each in (*entries, peer) if (address := parsed_address(each))), NOBODY)


def public_host(request: HttpRequest) -> str:
    """Return the host for links in emails, without a port that the visitor may have made up.

    ALLOWED_HOSTS checks only the name. Keep the port if CSRF_TRUSTED_ORIGINS has it, and in development.
    """
    host = request.get_host()
    if settings.DEBUG or {f"https://{host}", f"http://{host}"} & {*settings.CSRF_TRUSTED_ORIGINS}:
        return host
    return split_domain_port(host)[0]


def note_outage(request: HttpRequest, **_: Any) -> None:
    """Mark a request whose error is the database's: that it is away, full, locked or late.

    SQLite calls each mistake in a statement by the same name, and tells it apart by a code.
    """
    error = sys.exception()
    code = getattr(getattr(error, "__cause__", None), "sqlite_errorcode", None)
    if isinstance(error, OperationalError) and code != sqlite3.SQLITE_ERROR:
        request.outage = True  # type: ignore[attr-defined] # Django's types know no attributes of others


class RequestMiddleware:
    """Gives each request an id, one line in the log, and 503 for an answer where the database failed.

    What bounds a page's wait for the database begins here, since commands and workers have no middleware.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        bound_waits()
        got_request_exception.connect(note_outage)

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
            if response.status_code == 500 and hasattr(request, "outage"):
                response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
                response["Retry-After"] = RETRY_AFTER
            self.write_line(request, response.status_code, time.perf_counter() - started)
            return response
        finally:
            current_id.reset(token)

    def write_line(self, request: HttpRequest, status: int, seconds: float) -> None:
        """Log the request in one line: with level DEBUG for a successful probe, ERROR for an error of the site."""
        level = logging.INFO
        if status >= 500:
            level = logging.ERROR
        elif request.path_info in PROBES and status == 200:
            level = logging.DEBUG
        if not log.isEnabledFor(level):
            return
        # Log the user only if a view already read it: reading it here would query the database.
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
    """Set headers that Django has no setting for."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer the request, and set the headers that its response does not have."""
        response = self.get_response(request)
        response.headers.setdefault("Permissions-Policy", PERMISSIONS_POLICY)
        response.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        # What depends on who asks is kept by no proxy, and asked for again before a browser shows it once more.
        if "Cache-Control" not in response.headers and has_vary_header(response, "Cookie"):
            response.headers["Cache-Control"] = "private, no-cache"
        return response


def policy_prefix(path: str) -> str | None:
    """Return the longest prefix of a path in SECURE_CSP_BY_PREFIX, if there is one."""
    return max(filter(path.startswith, settings.SECURE_CSP_BY_PREFIX), key=len, default=None)


class PolicyMiddleware:
    """Gives pages below a path another Content-Security-Policy, as SECURE_CSP_BY_PREFIX says; a view's own `csp_override` wins."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer with the site's policy, except for directives that the path's prefix overrides."""
        response = self.get_response(request)
        prefix = policy_prefix(request.path_info)
        # The attribute that Django's `csp_override` sets. It has no public name.
        if prefix is None or hasattr(response, "_csp_config"):
            return response
        policy = {**settings.SECURE_CSP, **settings.SECURE_CSP_BY_PREFIX[prefix]}
        return csp_override(policy)(lambda _: response)(request)


class Body(IOBase):
    """Read a request's body, and report when it has been read."""

    def __init__(self, stream: BinaryIO, length: int, when_read: Callable[[], None]) -> None:
        self.stream = stream
        self.left = length
        self.when_read: Callable[[], None] | None = when_read

    def read(self, size: int | None = -1) -> bytes:
        """Return up to `size` bytes, or all that is left."""
        return self.counted(self.stream.read(-1 if size is None else size))

    @override
    def readline(self, size: int | None = -1) -> bytes:
        """Return the next line, or its first `size` bytes."""
        return self.counted(self.stream.readline(-1 if size is None else size))

    def counted(self, read: bytes) -> bytes:
        """Return what was read, once it is known whether more will come."""
        self.left -= len(read)
        if self.left <= 0:
            self.finish()
        return read

    def finish(self) -> None:
        """Report once that this body needs no more reading."""
        if self.when_read:
            self.when_read()
            self.when_read = None


class BodyMiddleware:
    """Limit the size of bodies, and the number of threads of a process that read bodies at the same time.

    A slow body blocks the thread that reads it. Other visitors still get pages, because one thread of each process never
    reads a body. docs/security.md says what stops slow bodies on each platform.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        self.readers = threading.BoundedSemaphore(settings.BODY_READERS)

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer the request, or refuse its body before any of it is read."""
        length = self.length(request)
        if length == 0:
            return self.get_response(request)
        if length > settings.MAX_BODY_MB * MEGABYTE:
            text = f"A request may have {settings.MAX_BODY_MB} MB at most."
            return HttpResponse(text, status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE, content_type="text/plain")
        if not self.readers.acquire(timeout=PATIENCE):
            text = "Too many uploads at the moment. Please try again in a minute."
            busy = HttpResponse(text, status=HTTPStatus.SERVICE_UNAVAILABLE, content_type="text/plain")
            busy.headers["Retry-After"] = "60"
            return busy
        body = Body(request._stream, length, self.readers.release)
        request._stream = body  # type: ignore[assignment] # as Django's own stream, it is no BinaryIO
        try:
            return self.get_response(request)
        finally:
            body.finish()

    def length(self, request: HttpRequest) -> int:
        """Return the bytes that Django would read of the body: none without a valid Content-Length."""
        try:
            return max(0, int(request.META.get("CONTENT_LENGTH") or 0))
        except ValueError:
            return 0

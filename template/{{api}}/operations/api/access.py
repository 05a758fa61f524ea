"""Decide who may use the API, how often, and how much of a list one request gets."""

from collections.abc import Callable
from functools import wraps
from ipaddress import ip_network
from typing import Any, override

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from ninja import Field, Schema
from ninja import security as ninja_security
from ninja.errors import AuthenticationError
from ninja.pagination import LimitOffsetPagination
from ninja.throttling import SimpleRateThrottle

from operations.api.models import ExpiredError, Token
from operations.requests import client_address

View = Callable[..., HttpResponse]


class TokenAuth(ninja_security.HttpBearer):
    """Accept `Authorization: Bearer api_…`."""

    @override
    def authenticate(self, request: HttpRequest, token: str) -> AbstractBaseUser:
        """Return the token's account, which is then `request.user`.

        Raises:
            AuthenticationError: there is no such token, or it has expired. No other way of authentication is tried.
        """
        try:
            found = Token.objects.used(token)
        except ExpiredError as error:
            raise AuthenticationError(message=str(error)) from error
        if found is None:
            raise AuthenticationError
        # The second is where Django keeps it, and the request's line in the log looks for it.
        request.user = request._cached_user = found.user  # type: ignore[attr-defined] # as Django's login sets it
        return found.user


class SessionAuth(ninja_security.SessionAuth):
    """Accept the session of the site's own pages, with a CSRF token for what changes anything."""

    @override
    def __call__(self, request: HttpRequest) -> Any:
        """Return the member; None without a session, which is then no matter of CSRF."""
        return super().__call__(request) if self.param_name in request.COOKIES else None


class RateLimit(SimpleRateThrottle):
    """Limit the requests of an account to API_RATE, and those of a visitor by IP address. They are counted in the site's cache."""

    def __init__(self, rate: str | None = None) -> None:
        super().__init__(rate or settings.API_RATE)

    @override
    def get_cache_key(self, request: HttpRequest) -> str:
        """Return the key under which the requests of whoever asks are counted."""
        if request.user.is_authenticated:
            return f"api-rate-{self.rate}-user-{request.user.pk}"
        address = client_address(request, settings.ALLAUTH_TRUSTED_PROXY_COUNT)
        # A visitor has all addresses of an IPv6 network of this size.
        network = ip_network(f"{address}/64" if ":" in address else address, strict=False)
        return f"api-rate-{self.rate}-{network.network_address}"


class Pagination(LimitOffsetPagination):
    """Return a part of a list, and how long it is."""

    class Input(Schema):
        """Which part. Both have a limit, since the database would count up to any offset."""

        limit: int = Field(50, ge=1, le=200)
        offset: int = Field(0, ge=0, le=100_000)


def staff_only(view: View) -> View:
    """Return a view that only staff see; a visitor is asked to log in."""

    @wraps(view)
    def shown(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path())
        if not request.user.is_staff:
            raise PermissionDenied
        return view(request, *args, **kwargs)

    return shown

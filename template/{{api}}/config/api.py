"""The site's API, below API_PATH. Its documentation is at /api/docs, for staff.

Yours: change these two examples, and add each app's routes with `api.add_router("todo", "apps.todo.api.router")`.
docs/api.md shows such an app.
"""

from ninja import ModelSchema, NinjaAPI
from ninja.pagination import paginate

from apps.accounts.models import User
from apps.accounts.views import MemberRequest
from config.settings.site import SITE_NAME
from operations.api.access import RateLimit, SessionAuth, TokenAuth, staff_only
from operations.api.models import Token

# Whoever asks has a token, or is logged in to the site.
api = NinjaAPI(
    title=SITE_NAME,
    version="1",
    urls_namespace="site-api",
    auth=[TokenAuth(), SessionAuth()],
    throttle=[RateLimit()],
    docs_decorator=staff_only,
)


class Account(ModelSchema):
    """An account, as its owner sees it."""

    class Meta:
        """Only what is named here is shown."""

        model = User
        fields = ("id", "email", "first_name", "last_name")


class TokenDetails(ModelSchema):
    """A token, without the secret."""

    class Meta:
        """Only what is named here is shown."""

        model = Token
        fields = ("id", "name", "created_at", "last_used_at", "expires_at")


@api.get("me", response=Account)
def me(request: MemberRequest):
    """The account of whoever asks."""
    return request.user


@api.get("tokens", response=list[TokenDetails])
@paginate
def tokens(request: MemberRequest):
    """The tokens of whoever asks, the newest first: `limit` of them, from `offset` on."""
    return Token.objects.filter(user=request.user)

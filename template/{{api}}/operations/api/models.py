"""Store the tokens by which programs use the API, and until when each is valid."""

import hashlib
import secrets
from datetime import datetime, timedelta
from types import EllipsisType
from typing import ClassVar

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

# What a token begins with, so that people and secret scanners recognise one.
PREFIX = "api_"
# The last use is stored when it is older than this, so that most requests write nothing.
LAST_USE_PRECISION = timedelta(minutes=5)
# How long expired tokens are kept, so that lists and answers still say why a program is refused.
EXPIRED_KEPT = timedelta(days=90)


def digest(token: str) -> str:
    """Return what is stored of a token. A slow hash is for passwords: a token has 256 random bits, which nobody guesses."""
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()


def expiry(days: int) -> datetime | None:
    """Return when a token expires that is valid for so many days; None, which is never, for 0."""
    return timezone.now() + timedelta(days=days) if days else None


class ExpiredError(Exception):
    """Say since when a token has been expired."""


class TokenManager(models.Manager["Token"]):
    """Make tokens, and find the account of one."""

    def issue(
        self, user: AbstractBaseUser, name: str, expires_at: datetime | EllipsisType | None = ...
    ) -> tuple["Token", str]:
        """Return a new token's row, and its text, which is stored nowhere.

        Args:
            user: whose token it is.
            name: what uses it.
            expires_at: None for never; after API_TOKEN_DAYS if left out.
        """
        if expires_at is ...:
            expires_at = expiry(settings.API_TOKEN_DAYS)
        text = PREFIX + secrets.token_urlsafe(32)
        return self.create(user_id=user.pk, name=name, digest=digest(text), expires_at=expires_at), text

    def used(self, text: str) -> "Token | None":
        """Return the row of a token, and note its use; None if it is unknown or its account inactive.

        Raises:
            ExpiredError: it has expired.
        """
        token = self.select_related("user").filter(digest=digest(text), user__is_active=True).first()
        now = timezone.now()
        if token and token.expires_at and token.expires_at <= now:
            raise ExpiredError(f"This token expired on {token.expires_at:%Y-%m-%d}.")
        if token and (token.last_used_at is None or now - token.last_used_at > LAST_USE_PRECISION):
            self.filter(pk=token.pk).update(last_used_at=now)
        return token

    def forget_expired(self) -> None:
        """Delete tokens that expired long ago."""
        self.filter(expires_at__lt=timezone.now() - EXPIRED_KEPT).delete()


class Token(models.Model):
    """A secret by which a program may do through the API what its account may. To revoke one, delete it."""

    # Without a constraint in the database: an account can be deleted even after the project has dropped this app.
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", db_constraint=False, verbose_name=_("account")
    )
    name = models.CharField(_("name"), max_length=100, help_text=_("What uses it, such as a program or a machine."))
    digest = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    last_used_at = models.DateTimeField(_("last used"), null=True, editable=False)
    expires_at = models.DateTimeField(_("expires"), null=True, blank=True, help_text=_("Never, if this is empty."))

    objects: ClassVar[TokenManager] = TokenManager()

    class Meta:
        """The newest first."""

        ordering: ClassVar = ["-pk"]
        verbose_name = _("API token")
        verbose_name_plural = _("API tokens")

    def __str__(self) -> str:
        """Return its name."""
        return self.name

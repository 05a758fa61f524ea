"""Show in the admin who has a second factor, without its secret. Deleting one asks staff for their own password."""

from typing import Any

from allauth.account.decorators import reauthentication_required
from allauth.mfa.admin import AuthenticatorAdmin
from allauth.mfa.models import Authenticator
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.decorators import method_decorator

from operations.mfa.factors import log, tell_of_removal

admin.site.unregister(Authenticator)


@admin.register(Authenticator)
@method_decorator(reauthentication_required, name="delete_view")
@method_decorator(reauthentication_required(allow_get=True), name="changelist_view")
class SecondFactorAdmin(AuthenticatorAdmin):
    """Second factors, which only their owners add and change."""

    exclude = ("data",)

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002 - Django passes it
        """Nobody adds one for another."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002 - Django passes it
        """Nobody changes one of another."""
        return False

    def delete_model(self, request: HttpRequest, obj: Authenticator) -> None:
        """Delete one, and tell its owner."""
        self.delete_queryset(request, Authenticator.objects.filter(pk=obj.pk))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet) -> None:
        """Delete several, and tell their owners."""
        owners = {row.user for row in queryset.select_related("user")}
        super().delete_queryset(request, queryset)
        for owner in owners:
            log.warning("account %s removed second factors of account %s in the admin", request.user.pk, owner.pk)
            tell_of_removal(owner)

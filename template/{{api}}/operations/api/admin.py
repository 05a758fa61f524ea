"""Make and revoke tokens in the admin. A new one is shown once."""

from typing import Any, override

from allauth.account.decorators import reauthentication_required
from django.conf import settings
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.db.models import ForeignKey, QuerySet
from django.forms import ModelChoiceField, ModelForm
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.decorators import method_decorator

from operations.api.models import Token, digest, expiry


@admin.register(Token)
@method_decorator(reauthentication_required, name="add_view")
class TokenAdmin(admin.ModelAdmin):
    """The tokens of all accounts. Nothing of one can be changed."""

    list_display = ("name", "user", "created_at", "last_used_at", "expires_at")
    search_fields = ("name", "user__email")
    fields = ("user", "name", "expires_at")

    @override
    def get_queryset(self, request: HttpRequest) -> QuerySet:
        """Return the tokens, with the accounts that the list shows."""
        return super().get_queryset(request).select_related("user")

    @override
    def has_change_permission(self, request: HttpRequest, obj: Token | None = None) -> bool:
        return False

    @override
    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Propose the usual end."""
        return {"expires_at": expiry(settings.API_TOKEN_DAYS), **super().get_changeform_initial_data(request)}

    @override
    def formfield_for_foreignkey(self, db_field: ForeignKey, request: HttpRequest, **kwargs: Any) -> ModelChoiceField:
        """Offer all accounts to superusers. Other staff would get the rights of whom they make a token for."""
        if not getattr(request.user, "is_superuser", False):
            kwargs["queryset"] = get_user_model()._default_manager.filter(pk=request.user.pk or 0)
        field = super().formfield_for_foreignkey(db_field, request, **kwargs)
        assert field is not None
        return field

    @override
    def save_model(self, request: HttpRequest, obj: Token, form: ModelForm, change: bool) -> None:
        """Save a new token. Its text is kept for the page that shows it."""
        made, text = Token.objects.issue(obj.user, obj.name, obj.expires_at)
        obj.pk, obj.digest, obj.created_at = made.pk, digest(text), made.created_at
        request.new_token = text  # type: ignore[attr-defined] # for the next page alone

    @override
    def response_add(self, request: HttpRequest, obj: Token, post_url_continue: str | None = None) -> HttpResponse:
        """Show the token on the page that answers, and not after a redirect, for which it would be kept somewhere."""
        context = {
            **self.admin_site.each_context(request),
            "title": obj.name,
            "opts": self.opts,
            "token": request.new_token,  # type: ignore[attr-defined] # set above
        }
        return TemplateResponse(request, "operations/new_token.html", context)

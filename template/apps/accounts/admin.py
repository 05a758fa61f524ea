"""Manage accounts in the admin. Pages that change an account first ask staff for their own password."""

from allauth.account.adapter import get_adapter
from allauth.account.admin import EmailAddressAdmin
from allauth.account.decorators import reauthentication_required
from allauth.account.models import EmailAddress
from django.conf import settings
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext_lazy as _

from apps.accounts.models import User


def password_first[Page: type[admin.ModelAdmin]](pages: Page) -> Page:
    """Ask for the password again before a model's pages, unless it was given in the last five minutes."""
    for name in ("add_view", "change_view", "delete_view"):
        method_decorator(reauthentication_required, name=name)(pages)
    # Staff may look at the list without it, but not run actions on selected rows, which may delete them.
    method_decorator(reauthentication_required(allow_get=True), name="changelist_view")(pages)
    return pages


admin.site.site_header = admin.site.site_title = settings.SITE_NAME
# allauth's own page needs it too: with a confirmed address added here, one can reset the account's password.
admin.site.unregister(EmailAddress)
admin.site.register(EmailAddress, password_first(type("EmailAddressAdmin", (EmailAddressAdmin,), {})))


@admin.register(User)
@method_decorator(reauthentication_required, name="user_change_password")
@password_first
class UserAdmin(DjangoUserAdmin):
    """Django's own, with the email address where the user name was."""

    ordering = ("email",)
    list_display = ("email", "first_name", "last_name", "is_staff")
    search_fields = ("email", "first_name", "last_name")
    fieldsets = (
        (None, {"fields": ("email", "password")}),
        (_("Personal info"), {"fields": ("first_name", "last_name")}),
        (_("Permissions"), {"fields": ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")}),
        (_("Important dates"), {"fields": ("last_login", "date_joined")}),
    )
    add_fieldsets = ((None, {"classes": ("wide",), "fields": ("email", "usable_password", "password1", "password2")}),)

    def save_model(self, request: HttpRequest, obj: User, form: ModelForm, change: bool) -> None:
        """Save. If the email address changed, make it the only one for password resets, and notify the old one."""
        super().save_model(request, obj, form, change)
        if change and "email" in form.changed_data:
            EmailAddress.objects.filter(user=obj).delete()
            EmailAddress.objects.create(user=obj, email=obj.email, primary=True, verified=True)
            old = form.initial["email"]
            get_adapter().send_notification_mail(
                "account/email/email_changed", obj, {"from_email": old, "to_email": obj.email}, email=old
            )

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:  # noqa: A002 - Django's name
        """Set an account's password, and notify its email address."""
        before = self.get_object(request, id)
        response = super().user_change_password(request, id, form_url)
        after = self.get_object(request, id)
        if before and after and before.password != after.password:
            get_adapter().send_notification_mail("account/email/password_changed", after)
        return response

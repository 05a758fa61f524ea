"""Forms about one's own account."""

from typing import Any, ClassVar

from allauth.account import forms as allauth_forms
from django import forms
from django.contrib.auth.hashers import make_password
from django.contrib.auth.password_validation import password_validators_help_texts
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from apps.accounts.models import User

# Where a session keeps what was signed up in it: the account, or where there is none its password's hash.
SIGNED_UP = "signed_up"
NEW = {"password1": _("New password"), "password2": _("New password (again)")}


class PlainFields:
    """What allauth's forms have in common here: labels without a copy inside the field, and the rules of passwords as text."""

    fields: dict[str, forms.Field]
    # Those of fields that allauth calls otherwise.
    labels: ClassVar[dict[str, Any]] = {}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"label_suffix": "", **kwargs})
        for name, field in self.fields.items():
            field.widget.attrs.pop("placeholder", None)
            field.label = self.labels.get(name, field.label)
            # allauth's is a link between two fields, which the page has below the form.
            if name in ("password", "oldpassword"):
                field.help_text = ""
            elif name == "password1":
                field.help_text = " ".join(password_validators_help_texts())


class LoginForm(PlainFields, allauth_forms.LoginForm):
    """Asks for email address and password."""


class AddEmailForm(PlainFields, allauth_forms.AddEmailForm):
    """Asks for one more address."""


class ChangePasswordForm(PlainFields, allauth_forms.ChangePasswordForm):
    """Asks for the password that is, and the new one."""

    labels: ClassVar = {"oldpassword": _("Current password"), **NEW}


class ReauthenticateForm(PlainFields, allauth_forms.ReauthenticateForm):
    """Asks for the password again."""


class ResetPasswordForm(PlainFields, allauth_forms.ResetPasswordForm):
    """Asks where to send the link to set a new password."""


class ResetPasswordKeyForm(PlainFields, allauth_forms.ResetPasswordKeyForm):
    """Asks for a new password, after such a link."""

    labels: ClassVar = NEW


class SetPasswordForm(PlainFields, allauth_forms.SetPasswordForm):
    """Asks for a first password."""


class SignUpForm(PlainFields, allauth_forms.SignupForm):
    """allauth's, which lets the session remember what was signed up in it, so that it can be taken back.

    Where whether an address has an account is nobody's business, a sign-up with an address that
    is taken makes none, and is remembered just the same.
    """

    def try_save(self, request: HttpRequest) -> Any:
        """The new account if one was made, and the answer if it is ready, as allauth has them."""
        user, response = super().try_save(request)
        request.session[SIGNED_UP] = (
            {"account": user.pk} if user else {"password": make_password(self.cleaned_data["password1"])}
        )
        return user, response


class DeleteAccountForm(PlainFields, forms.Form):
    """Asks for the password once more before the account goes."""

    password = forms.CharField(
        label=_("Password"), strip=False, widget=forms.PasswordInput(attrs={"autocomplete": "current-password"})
    )

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user

    def clean_password(self) -> str:
        """The password, if it is the account's."""
        password: str = self.cleaned_data["password"]
        if not self.user.check_password(password):
            raise ValidationError(_("That is not your password."))
        return password

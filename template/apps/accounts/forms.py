"""Forms about one's own account."""

from typing import Any

from allauth.account.forms import SignupForm as AllauthSignUpForm
from django import forms
from django.contrib.auth.hashers import make_password
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from apps.accounts.models import User

# Where a session keeps what was signed up in it: the account, or where there is none its password's hash.
SIGNED_UP = "signed_up"


class SignUpForm(AllauthSignUpForm):
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


class DeleteAccountForm(forms.Form):
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

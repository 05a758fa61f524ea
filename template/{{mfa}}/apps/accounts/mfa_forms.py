"""Forms of two-factor logins."""

from typing import Any

from allauth.mfa.base import forms as base_forms
from allauth.mfa.totp import forms as totp_forms
from allauth.mfa.webauthn import forms as webauthn_forms
from django import forms

from apps.accounts.forms import PlainFields


class CodeFields(PlainFields):
    """What forms for codes have in common: phones show digits to type."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["code"].widget.attrs["inputmode"] = "numeric"


class ActivateTOTPForm(CodeFields, totp_forms.ActivateTOTPForm):
    """Asks for the first code of a new app."""


class AuthenticateForm(CodeFields, base_forms.AuthenticateForm):
    """Asks for a code at login."""


class ReauthenticateForm(CodeFields, base_forms.ReauthenticateForm):
    """Asks for a code again."""


class AddKeyForm(PlainFields, webauthn_forms.AddWebAuthnForm):
    """Asks for the name of a new security key, which is a passkey unless its owner says otherwise."""

    name = forms.CharField(max_length=100, required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Only there if MFA_PASSKEY_LOGIN_ENABLED.
        if passwordless := self.fields.get("passwordless"):
            passwordless.initial = True


class RenameKeyForm(PlainFields, webauthn_forms.EditWebAuthnForm):
    """Asks for another name of a security key."""

    name = forms.CharField(max_length=100)

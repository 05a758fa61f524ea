"""Pages about one's own account, beside allauth's."""

from http import HTTPStatus
from typing import Any

from allauth.account.views import EmailView, LoginView, PasswordResetFromKeyView, PasswordResetView
from allauth.core import ratelimit
from django import forms
from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.mixins import AccessMixin
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse_lazy
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.views.generic import FormView

from apps.accounts.forms import SIGNED_UP, DeleteAccountForm
from apps.accounts.models import User
from operations import mail
from operations.requests import LIMITED_FOR


class MemberRequest(HttpRequest):
    """What a view behind `@login_required` is given, for its type hint: `request.user` is a member."""

    user: User


@method_decorator(login_not_required, name="dispatch")
class DeleteAccountView(AccessMixin, FormView):
    """Deletes the account of the person who asks, after the password.

    Someone who has just signed up, and whose address is not confirmed yet, cannot log in; the
    session in which that happened is enough, so that a mistyped address can be taken back.
    """

    form_class = DeleteAccountForm
    template_name = "account/delete.html"
    success_url = reverse_lazy("home")

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """The page, for whoever has an account to delete."""
        self.account = request.user if isinstance(request.user, User) else self.just_signed_up()
        if self.account is None:
            return self.handle_no_permission()
        return super().dispatch(request, *args, **kwargs)

    def just_signed_up(self) -> User | None:
        """The account that was signed up in this session, while its address is not confirmed.

        Where the address was taken there is none, which the page must not tell: an account that
        is not in the database replaces it.
        """
        signed_up = self.request.session.get(SIGNED_UP)
        if signed_up is None:
            return None
        if "password" in signed_up:
            return User(password=signed_up["password"])
        return User.objects.filter(pk=signed_up["account"]).exclude(emailaddress__verified=True).first()

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Delete it, unless passwords are being tried."""
        key = str((self.account and self.account.pk) or request.session.session_key)
        limited = ratelimit.consume_or_429(request, action="delete_account", key=key)
        return limited or super().post(request, *args, **kwargs)

    def get_form_kwargs(self) -> dict[str, Any]:
        """The form's arguments, with the account in question."""
        return {**super().get_form_kwargs(), "user": self.account}

    def form_valid(self, form: DeleteAccountForm) -> HttpResponse:
        """Delete the account, its session and all that hangs on it."""
        if form.user.pk:
            try:
                form.user.delete()
            except IntegrityError:
                form.add_error(None, _("Something that has to stay belongs to this account, so it cannot be deleted."))
                return self.form_invalid(form)
        logout(self.request)
        messages.success(self.request, _("Your account is deleted."))
        return super().form_valid(form)


class NeedsMailMixin:
    """A page that works by sending mail, and says so where there is no mail server."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """The page, or the reason why it does not work here."""
        if not mail.can_send():
            # No error: the site is as its owner has set it up, and no visitor can mend that.
            return render(request, "account/no_mail.html")
        # The view that this is mixed into has it.
        return super().dispatch(request, *args, **kwargs)  # type: ignore[misc]


@method_decorator(login_not_required, name="dispatch")
class MailedPasswordResetView(NeedsMailMixin, PasswordResetView):
    """Asks for the address that a link to set a new password goes to."""


@method_decorator(login_not_required, name="dispatch")
class PasswordResetKeyView(PasswordResetFromKeyView):
    """Sets the new password, and leads to the login that it is for."""

    success_url = reverse_lazy("account_login")


class LimitedLoginView(LoginView):
    """Logs in. A login that is not even tried, after too many wrong ones, is answered as every limit is."""

    def form_invalid(self, form: forms.Form) -> HttpResponse:
        """Return the page again, with its status."""
        response = super().form_invalid(form)
        if form.has_error("__all__", "too_many_login_attempts"):
            response.status_code = HTTPStatus.TOO_MANY_REQUESTS
            response.headers["Retry-After"] = str(LIMITED_FOR)
        return response


class MailedEmailView(NeedsMailMixin, EmailView):
    """The account's addresses; a new one is confirmed by mail."""

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Change them, unless the one to log in by is that of another account, such as one made by the staff."""
        try:
            with transaction.atomic():
                return super().post(request, *args, **kwargs)
        except IntegrityError:
            messages.error(request, _("Another account has this address."))
            return redirect("account_email")

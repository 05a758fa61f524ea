"""Addresses under /accounts/ that are not allauth's, or stand before them."""

from django.urls import path, re_path

from apps.accounts import views

urlpatterns = [
    path("login/", views.LimitedLoginView.as_view(), name="account_login"),
    path("delete/", views.DeleteAccountView.as_view(), name="account_delete"),
    path("password/reset/", views.MailedPasswordResetView.as_view(), name="account_reset_password"),
    # Before allauth's, of the same name and form.
    re_path(
        r"^password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$",
        views.PasswordResetKeyView.as_view(),
        name="account_reset_password_from_key",
    ),
    path("email/", views.MailedEmailView.as_view(), name="account_email"),
]

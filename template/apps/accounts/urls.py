"""Addresses under /accounts/ that are not allauth's, or stand before them."""

from django.urls import path

from apps.accounts import views

urlpatterns = [
    path("delete/", views.DeleteAccountView.as_view(), name="account_delete"),
    path("password/reset/", views.MailedPasswordResetView.as_view(), name="account_reset_password"),
    path("email/", views.MailedEmailView.as_view(), name="account_email"),
]

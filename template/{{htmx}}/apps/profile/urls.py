"""Addresses of the profile."""

from django.urls import path

from apps.profile import views

urlpatterns = [path("", views.ProfileView.as_view(), name="profile")]

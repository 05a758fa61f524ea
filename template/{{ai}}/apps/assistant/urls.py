"""Addresses of the assistant."""

from django.urls import path

from apps.assistant import views

urlpatterns = [path("", views.AskView.as_view(), name="assistant")]

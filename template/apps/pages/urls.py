"""Addresses of the pages."""

from django.urls import path

from apps.pages import views

urlpatterns = [
    path("", views.HomeView.as_view(), name="home"),
    path("favicon.ico", views.FaviconView.as_view()),
]

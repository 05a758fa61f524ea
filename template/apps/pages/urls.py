"""Addresses of the pages, and those that browsers and search engines ask for unbidden."""

from django.urls import path

from apps.pages import views

urlpatterns = [
    path("", views.HomeView.as_view(), name="home"),
    path("favicon.ico", views.IconView.as_view()),
    path("apple-touch-icon.png", views.IconView.as_view()),
    path("apple-touch-icon-precomposed.png", views.IconView.as_view()),
    path("robots.txt", views.robots),
    path(".well-known/security.txt", views.security),
    path(".well-known/change-password", views.ChangePasswordView.as_view()),
]

"""What every test can ask for."""

import pytest
from allauth.account.models import EmailAddress
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path
from pytest_django import Settings

from apps.accounts.models import User
from config import urls
from operations.tests.conftest import as_shipped, empty_cache, production, production_environment

__all__ = ["as_shipped", "empty_cache", "production", "production_environment"]


def fails(_request: HttpRequest) -> HttpResponse:
    """Raise."""
    raise RuntimeError("a detail that is nobody's business")


# The URLs of this module: the site's own, and a page that fails.
urlpatterns = [path("fails/", fails), *urls.urlpatterns]
handler500 = urls.handler500


@pytest.fixture
def password() -> str:
    """The member's password."""
    return "correct horse battery staple"


@pytest.fixture
def member(db: None, password: str) -> User:  # noqa: ARG001 - asks for the database
    """A person who has an account, and has confirmed its address."""
    user = User.objects.create_user("member@example.com", password)
    EmailAddress.objects.create(user=user, email=user.email, primary=True, verified=True)
    return user


@pytest.fixture
def member_client(member: User) -> Client:
    """The browser of a member who is logged in."""
    client = Client()
    client.force_login(member)
    return client


@pytest.fixture
def broken_page(client: Client, settings: Settings) -> str:
    """Return the path of a page that fails."""
    settings.ROOT_URLCONF = __name__
    client.raise_request_exception = False
    return "/fails/"

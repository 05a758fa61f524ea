"""What every test can ask for."""

import pytest
from allauth.account.models import EmailAddress
from django.test import Client

from apps.accounts.models import User
from apps.pages.views import HomeView
from operations.tests.conftest import empty_cache, production, production_environment

__all__ = ["empty_cache", "production", "production_environment"]


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
def broken_home(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home page whose view raises."""

    def fail(*_: object) -> None:
        raise RuntimeError("a detail that is nobody's business")

    monkeypatch.setattr(HomeView, "get", fail)
    client.raise_request_exception = False

"""`make seed`: create accounts and rows to develop with.

Rows come from the apps: `seed` in an app's `seed.py` is given the accounts, and may be called again and again.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from allauth.account.models import EmailAddress
from django.apps import apps
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

ADMIN = "admin@example.com"
MEMBERS = ("ann@example.com", "ben@example.com")
# No secret, so no live site may have these accounts.
PASSWORD = "development"  # noqa: S105 - everybody may know it


class Command(BaseCommand):
    """Create an admin, members, and the rows that the apps have for them."""

    help = "Creates an admin, two members, and the rows of each app's seed.py. For development."

    def handle(self, *_: Any, **__: Any) -> None:
        """Create what is missing.

        Raises:
            CommandError: these are not the settings for development.
        """
        if not settings.DEBUG:
            raise CommandError("Nothing was created: everybody knows these passwords. This is for development only.")
        call_command("migrate", verbosity=0)
        with transaction.atomic():
            members = [account(email) for email in (ADMIN, *MEMBERS)]
            for module in seeds():
                module.seed(members)
                self.stdout.write(f"Rows of {module.__name__}")
        self.stdout.write(f"Accounts, all with the password {PASSWORD!r}: {', '.join((ADMIN, *MEMBERS))}")


def account(email: str) -> Any:
    """Return the account with an address, which is created if there is none."""
    users: Any = get_user_model()._default_manager
    if user := users.filter(email=email).first():
        return user
    user = (users.create_superuser if email == ADMIN else users.create_user)(email=email, password=PASSWORD)
    EmailAddress.objects.get_or_create(user=user, email=email, defaults={"primary": True, "verified": True})
    return user


def seeds() -> list[Any]:
    """Return the modules called `seed` of the project's own apps, in the order of INSTALLED_APPS."""
    names = [f"{config.name}.seed" for config in apps.get_app_configs() if config.name.startswith("apps.")]
    return [import_module(name) for name in names if find_spec(name)]

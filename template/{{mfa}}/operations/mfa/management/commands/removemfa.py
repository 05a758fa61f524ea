"""`manage.py removemfa EMAIL`: let people log in by password alone who have lost their second factor."""

from argparse import ArgumentParser
from typing import Any

from allauth.mfa.models import Authenticator
from django.contrib.auth import get_user_model
from django.core.exceptions import ObjectDoesNotExist
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from operations.mfa.factors import log, tell_of_removal


class Command(BaseCommand):
    """Remove all second factors of accounts, and email their owners."""

    help = "Remove all second factors of accounts whose owners have lost them: apps, recovery codes and passkeys."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the accounts."""
        parser.add_argument("emails", metavar="EMAIL", nargs="+", help="email address that the account logs in with")

    def handle(self, *_: Any, emails: list[str], **__: Any) -> None:
        """Remove them, and report what was removed.

        Raises:
            CommandError: an account does not exist, or has no second factor. Nothing is removed then.
        """
        accounts, problems = {}, []
        for email in emails:
            try:
                user: Any = get_user_model()._default_manager.get_by_natural_key(email)
            except ObjectDoesNotExist:
                problems.append(f"{email}: no account has this email address.")
                continue
            accounts[user] = Authenticator.objects.filter(user=user)
            if not accounts[user].exists():
                problems.append(f"{email}: this account has no second factor.")
        if problems:
            raise CommandError("\n".join(["Nothing is removed.", *problems]))
        for user, factors in accounts.items():
            with transaction.atomic():
                kinds = [each.get_type_display() for each in factors]
                factors.delete()
            log.warning("removemfa removed all second factors of account %s", user.pk)
            told = "An email tells its owner." if tell_of_removal(user) else "No email could be sent: tell its owner."
            self.stdout.write(f"{user.get_username()}: removed {', '.join(kinds)}. {told}")

"""Make, list and revoke tokens for the API."""

from typing import Any, override

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from operations.api.models import Token, expiry

# In days. Dates end with the year 9999.
LONGEST = 365 * 1000


class Command(BaseCommand):
    """Make a token for an account: `apitoken add ann@example.com "Nightly import"`."""

    help = "Makes, lists and revokes tokens for the API."

    @override
    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        add = actions.add_parser("add", help="make a token, and print it once")
        add.add_argument("email", help="the account that the token acts for")
        add.add_argument("name", help="what uses it, such as a program or a machine")
        add.add_argument(
            "--days",
            type=int,
            choices=range(LONGEST + 1),
            metavar="DAYS",
            default=settings.API_TOKEN_DAYS,
            help="how long it is valid (%(default)s); 0: until it is revoked",
        )
        listed = actions.add_parser("list", help="list the tokens: number, account, last use, expiry and name")
        listed.add_argument("email", nargs="?", help="only those of this account")
        revoke = actions.add_parser("revoke", help="revoke a token for good")
        revoke.add_argument("number", type=int, help="its number, as `list` prints it")

    @override
    def handle(self, *_: Any, action: str, **options: Any) -> None:
        """Do what is asked.

        Raises:
            CommandError: there is no such account or token, or the name is empty or too long.
        """
        if action == "add":
            self.add(options["email"], options["name"].strip(), options["days"])
        elif action == "list":
            self.show(options["email"])
        elif not Token.objects.filter(pk=options["number"]).delete()[0]:
            raise CommandError(f"There is no token {options['number']}: apitoken list shows all.")

    def add(self, email: str, name: str, days: int) -> None:
        """Make a token and print it on a line of its own."""
        longest = Token._meta.get_field("name").max_length
        if not name or not name.isprintable() or len(name) > (longest or 0):
            raise CommandError(f"Give the token a name of one line and at most {longest} characters.")
        user = get_user_model()._default_manager.filter(email__iexact=email, is_active=True).first()
        if user is None:
            raise CommandError("There is no active account with this email address.")
        _, text = Token.objects.issue(user, name, expiry(days))
        self.stderr.write("Copy the token now. It is shown only here, and only once.")
        self.stdout.write(text)

    def show(self, email: str | None) -> None:
        """Print a line for each token."""
        tokens = Token.objects.select_related("user")
        for token in tokens.filter(user__email__iexact=email) if email else tokens:
            used = f"{token.last_used_at:%Y-%m-%d}" if token.last_used_at else "never used"
            self.stdout.write(f"{token.pk}  {token.user.get_username()}  {used}  {expires(token)}  {token.name}")


def expires(token: Token) -> str:
    """Return when a token expires or has expired."""
    if token.expires_at is None:
        return "never expires"
    return f"{'expired' if token.expires_at <= timezone.now() else 'expires'} {token.expires_at:%Y-%m-%d}"

"""What sends mail where no mail server is configured: nothing, and it says so."""

from collections.abc import Sequence

from django.conf import settings
from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend

NO_MAIL_SERVER = "apps.accounts.mail.NoMailServer"


class MailNotConfiguredError(Exception):
    """A mail was to be sent, and EMAIL_URL is not set."""


class NoMailServer(BaseEmailBackend):
    """Refuses every mail, since losing one in silence is worse."""

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        """Send nothing.

        Raises:
            MailNotConfiguredError: always, unless there was nothing to send.
        """
        if not email_messages:
            return 0
        raise MailNotConfiguredError("No mail server is configured: set EMAIL_URL (docs/environment.md).")


def can_send() -> bool:
    """Whether a mail server is configured."""
    return bool(settings.MAILERS["default"]["BACKEND"] != NO_MAIL_SERVER)

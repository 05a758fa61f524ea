"""Run Django's `sendtestemail`, and explain why an email was not sent."""

import errno
import smtplib
import socket
import ssl
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from django.core.management.commands.sendtestemail import Command as DjangoSendTestEmail

from operations.mail import MailNotConfiguredError

OTHER_PORTS = (
    "Many hosts drop port 25, and some drop 465 and 587 too: try smtp+tls://…:587, smtps://…:465, or smtp+tls://…:2525 "
    "if your mail service has it"
)


def reason(error: Exception) -> str:
    """Return what an error in sending means and what to check. It contains no password."""
    match error:
        case MailNotConfiguredError():
            return str(error)
        case smtplib.SMTPAuthenticationError():
            return f"the server refuses the user or the password of EMAIL_URL: {said(error)}"
        case smtplib.SMTPSenderRefused():
            return f"the server refuses the sender, which DEFAULT_FROM_EMAIL says: {said(error)}"
        case smtplib.SMTPRecipientsRefused():
            answers = [f"{address}: {code} {text(words)}" for address, (code, words) in error.recipients.items()]
            return f"the server refuses the recipient: {'; '.join(answers)}"
        case smtplib.SMTPNotSupportedError():
            return f"{error} smtp+tls:// wants a server that starts TLS, and a user one that takes passwords"
        case smtplib.SMTPResponseException():
            return f"the server says: {said(error)}"
        case smtplib.SMTPServerDisconnected():
            return f"the server hung up: {error}. Where it speaks TLS from the first byte, write smtps://"
        case socket.gaierror():
            return "the host of EMAIL_URL is not known"
        case ConnectionRefusedError():
            return f"nobody listens at the host and port of EMAIL_URL. {OTHER_PORTS}"
        case TimeoutError():
            return f"the server gave no answer in time: a wrong port, or a firewall. {OTHER_PORTS}"
        case ssl.SSLCertVerificationError():
            return f"the server's certificate is not good for its name: {error.verify_message}"
        case ssl.SSLError():
            return "the server speaks no TLS from the first byte: write smtp+tls:// where it starts TLS later"
        case OSError(errno=errno.ENETUNREACH | errno.EHOSTUNREACH):
            return f"the server cannot be reached from here ({error.strerror}). {OTHER_PORTS}"
        case _:
            return f"{type(error).__name__}: {error}"


def said(error: smtplib.SMTPResponseException) -> str:
    """Return the server's own message."""
    return f"{error.smtp_code} {text(error.smtp_error)}"


def text(words: bytes | str) -> str:
    """Return a server's message on one line."""
    return " ".join((words.decode(errors="replace") if isinstance(words, bytes) else words).split())


class Command(DjangoSendTestEmail):
    """Send a test email in the same way as the site sends emails."""

    help = "Sends a test mail to the addresses given, and says why where it could not."

    def handle(self, *args: Any, using: str | None = None, **options: Any) -> None:
        """Send the email, or fail with the reason."""
        try:
            super().handle(*args, using=using, **options)
        except (OSError, smtplib.SMTPException, MailNotConfiguredError) as error:
            raise CommandError(f"No mail was sent: {reason(error)}") from None
        if options["verbosity"]:
            self.stdout.write(f"Sent, from {settings.DEFAULT_FROM_EMAIL}. If it does not arrive, look among the spam.")

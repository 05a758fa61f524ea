"""`manage.py sendtestemail` sends a mail, or says why it could not."""

import smtplib
import socket
import ssl
from unittest import mock

import pytest
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend
from django.core.management import CommandError, call_command
from pytest_django import Settings

from apps.accounts.mail import NO_MAIL_SERVER

CERTIFICATE = ssl.SSLCertVerificationError()
CERTIFICATE.verify_message = "self-signed certificate"


def test_a_test_mail_is_sent(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("sendtestemail", "admin@example.com")
    assert [message.to for message in mail.outbox] == [["admin@example.com"]]
    assert "Sent, from site@example.com" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (
            smtplib.SMTPAuthenticationError(535, b"5.7.8 bad\r\ncredentials"),
            "or the password .*: 535 5.7.8 bad credentials",
        ),
        (smtplib.SMTPSenderRefused(550, b"not you", "site@example.com"), "DEFAULT_FROM_EMAIL says: 550 not you"),
        (smtplib.SMTPRecipientsRefused({"a@example.com": (550, b"nobody")}), "recipient: a@example.com: 550 nobody"),
        (smtplib.SMTPNotSupportedError("STARTTLS is not supported."), "wants a server that starts TLS"),
        (smtplib.SMTPDataError(554, "spam"), "the server says: 554 spam"),
        (smtplib.SMTPServerDisconnected("closed"), "hung up: closed"),
        (socket.gaierror(-2, "Name or service not known"), "the host of EMAIL_URL is not known"),
        (ConnectionRefusedError(111, "refused"), "nobody listens"),
        (TimeoutError("timed out"), "no answer in time"),
        (CERTIFICATE, "self-signed certificate"),
        (ssl.SSLError(1, "WRONG_VERSION_NUMBER"), "speaks no TLS from the first byte"),
        (OSError(101, "Network is unreachable"), "OSError: .*unreachable"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_it_says_why_no_mail_was_sent(error: Exception, reason: str) -> None:
    with (
        mock.patch.object(EmailBackend, "send_messages", side_effect=error),
        pytest.raises(CommandError, match=f"No mail was sent: .*{reason}"),
    ):
        call_command("sendtestemail", "admin@example.com")


def test_it_says_that_there_is_no_mail_server(settings: Settings) -> None:
    settings.MAILERS = {"default": {"BACKEND": NO_MAIL_SERVER}}
    with pytest.raises(CommandError, match="set EMAIL_URL"):
        call_command("sendtestemail", "admin@example.com")

"""Check that tasks run, that emails are sent, retried or refused with a reason, and that visitors learn of failures."""

import logging
import smtplib
import socket
import ssl
from smtplib import SMTPServerDisconnected
from typing import Any
from unittest import mock

import pytest
from django.core import mail
from django.core.cache import cache
from django.core.mail.backends.locmem import EmailBackend
from django.core.mail.utils import DNS_NAME
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from operations import mail as site_mail
from operations import tasks
from operations.mail import NO_MAIL_SERVER

EMAIL = "new@example.com"
CERTIFICATE = ssl.SSLCertVerificationError()
CERTIFICATE.verify_message = "self-signed certificate"


@pytest.fixture
def mail_server_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a mail server that closes each connection."""

    def break_off(*_: object, **__: object) -> None:
        raise SMTPServerDisconnected("Connection unexpectedly closed")

    monkeypatch.setattr(mail.EmailMultiAlternatives, "send", break_off)


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
        (ConnectionRefusedError(111, "refused"), "nobody listens.* try smtp\\+tls://…:587, smtps://…:465"),
        (TimeoutError("timed out"), "no answer in time.* drop port 25, .*:2525"),
        (CERTIFICATE, "self-signed certificate"),
        (ssl.SSLError(1, "WRONG_VERSION_NUMBER"), "speaks no TLS from the first byte"),
        pytest.param(
            OSError(101, "Network is unreachable"),
            "cannot be reached from here .Network is unreach.*:2525",
            id="no way",
        ),
        (OSError(9, "Bad file descriptor"), "OSError: .*Bad file"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_it_says_why_no_mail_was_sent(error: Exception, reason: str) -> None:
    with (
        mock.patch.object(EmailBackend, "send_messages", side_effect=error),
        pytest.raises(CommandError, match=f"No mail was sent: .*{reason}"),
    ):
        call_command("sendtestemail", "admin@example.com")


@pytest.mark.parametrize(
    ("hosts", "name"),
    [
        (["www.example.com", "example.com"], "www.example.com"),
        (["localhost", "[::1]", "127.0.0.1", "", ".example.com"], "example.com"),
        (["localhost"], "3f2a9c1b"),
    ],
)
def test_emails_have_the_sites_name_and_not_a_containers(
    monkeypatch: pytest.MonkeyPatch, hosts: list[str], name: str
) -> None:
    monkeypatch.setattr(DNS_NAME, "_fqdn", "3f2a9c1b", raising=False)
    site_mail.use_host_name(hosts)
    assert (
        mail.EmailMessage("A subject", "A text", "a@example.com", ["b@example.com"])
        .message()["Message-ID"]
        .endswith(f"@{name}>")
    )


def test_it_says_that_there_is_no_mail_server(settings: Settings) -> None:
    settings.MAILERS = {"default": {"BACKEND": NO_MAIL_SERVER}}
    with pytest.raises(CommandError, match="set EMAIL_URL"):
        call_command("sendtestemail", "admin@example.com")


@pytest.mark.usefixtures("mail_server_down")
def test_a_worker_tries_a_mail_again_and_gives_up_in_the_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    waiting: list[tuple[float, tuple[Any, ...]]] = []

    class Later:
        """Act as a deferred task."""

        def __init__(self, seconds: float) -> None:
            self.seconds = seconds

        def enqueue(self, *arguments: Any) -> None:
            waiting.append((self.seconds, arguments))

    monkeypatch.setattr(site_mail, "can_wait", lambda: True)
    monkeypatch.setattr(site_mail, "later", Later)
    arguments: tuple[Any, ...] = ("Subject", "Body", "site@example.com", [EMAIL], [], {})
    with caplog.at_level(logging.WARNING):
        for _ in site_mail.RETRIES:
            site_mail.send_mail.call(*arguments)
            arguments = waiting[-1][1]
        with pytest.raises(SMTPServerDisconnected):
            site_mail.send_mail.call(*arguments)
    assert [seconds for seconds, _ in waiting] == list(site_mail.RETRIES)
    assert EMAIL not in caplog.text


def test_a_mail_waits_for_less_than_a_task_is_kept(settings: Settings) -> None:
    settings.TASK_LEASE = 180
    settings.TASKS = {"default": {"BACKEND": "django.tasks.backends.dummy.DummyBackend", "QUEUES": ["high"]}}
    now = timezone.now()
    put_off = [site_mail.later(seconds).run_after for seconds in site_mail.RETRIES]
    assert [round((when - now).total_seconds()) for when in put_off if when] == [10, 60, 60, 60]


def test_a_mail_has_all_its_parts(mailoutbox: list[mail.EmailMultiAlternatives]) -> None:
    site_mail.send_mail.enqueue(
        "Subject", "Body", "site@example.com", [EMAIL], [("<p>Body</p>", "text/html")], {"X-Kind": "test"}
    )
    (sent,) = mailoutbox
    assert (sent.subject, sent.body, sent.to) == ("Subject", "Body", [EMAIL])
    assert "<p>Body</p>" in sent.message().as_string()
    assert sent.extra_headers == {"X-Kind": "test"}


@pytest.fixture
def broker_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail to enqueue tasks."""

    def fail(*_: object, **__: object) -> None:
        raise ConnectionError("no broker")

    monkeypatch.setattr("django.tasks.backends.immediate.ImmediateBackend.enqueue", fail)


@pytest.mark.usefixtures("db")
def test_a_task_that_was_asked_for_is_done(client: Client) -> None:
    asked = client.post(reverse("task_answer"))
    assert asked.status_code == 202
    assert client.get(reverse("task_answer"), {"key": asked.json()["key"]}).json() == {"done": True}
    for other in ("another", "0" * 32, "\0", "é", "x" * 10_000, ""):
        assert client.get(reverse("task_answer"), {"key": other}).json() == {"done": False}


@pytest.mark.usefixtures("db")
def test_a_task_can_be_asked_for_where_all_pages_need_a_login(client: Client, settings: Settings) -> None:
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.contrib.auth.middleware.LoginRequiredMiddleware"]
    assert client.post(reverse("task_answer")).status_code == 202


@pytest.mark.usefixtures("db", "broker_down")
def test_a_task_that_cannot_be_handed_over_is_an_answer(client: Client) -> None:
    assert client.post(reverse("task_answer")).status_code == 503


@pytest.mark.usefixtures("db")
def test_one_visitor_cannot_ask_for_many_tasks(client: Client) -> None:
    codes = [client.post(reverse("task_answer")).status_code for _ in range(11)]
    assert codes == [202] * 10 + [429]


def test_the_clean_up_can_be_a_task(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "clean_up", lambda: cache.set("cleaned", "up"))
    tasks.clean_up_site.enqueue()
    assert cache.get("cleaned") == "up"

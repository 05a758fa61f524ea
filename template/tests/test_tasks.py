"""Tasks: what is asked for is done, and whoever waits is told when it cannot be."""

import logging
from collections.abc import Callable
from smtplib import SMTPServerDisconnected
from typing import Any

import pytest
from django.core import mail
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from apps.accounts import tasks as mail_tasks
from apps.accounts.models import User
from apps.operations import tasks

EMAIL = "new@example.com"
NOT_SENT = "could not be sent just now"


@pytest.fixture
def mail_server_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mail server that breaks off each connection."""

    def break_off(*_: object, **__: object) -> None:
        raise SMTPServerDisconnected("Connection unexpectedly closed")

    monkeypatch.setattr(mail.EmailMultiAlternatives, "send", break_off)


@pytest.fixture
def broker_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """What hands tasks over fails."""

    def fail(*_: object, **__: object) -> None:
        raise ConnectionError("no broker")

    monkeypatch.setattr("django.tasks.backends.immediate.ImmediateBackend.enqueue", fail)


@pytest.mark.usefixtures("db")
def test_a_task_that_was_asked_for_is_done(client: Client) -> None:
    asked = client.post(reverse("task_answer"))
    assert asked.status_code == 202
    assert client.get(reverse("task_answer"), {"key": asked.json()["key"]}).json() == {"done": True}
    assert client.get(reverse("task_answer"), {"key": "another"}).json() == {"done": False}


@pytest.mark.usefixtures("db", "broker_down")
def test_a_task_that_cannot_be_handed_over_is_an_answer(client: Client) -> None:
    assert client.post(reverse("task_answer")).status_code == 503


@pytest.mark.usefixtures("db")
def test_one_visitor_cannot_ask_for_many_tasks(client: Client) -> None:
    codes = [client.post(reverse("task_answer")).status_code for _ in range(11)]
    assert codes == [202] * 10 + [429]


@pytest.mark.usefixtures("db", "mail_server_down")
def test_a_mail_server_that_is_down_is_told_to_who_signs_up(
    client: Client, password: str, log_lines: Callable[[], list[dict[str, Any]]]
) -> None:
    fields = {"email": EMAIL, "password1": password, "password2": password}
    page = client.post(reverse("account_signup"), fields, follow=True)
    assert page.status_code == 200
    assert NOT_SENT in page.text
    assert User.objects.filter(email=EMAIL).exists()
    assert any("SMTPServerDisconnected" in line.get("exc_info", "") for line in log_lines())


@pytest.mark.usefixtures("broker_down")
def test_a_broker_that_is_down_is_told_to_who_asks_for_a_mail(client: Client, member: User) -> None:
    page = client.post(reverse("account_reset_password"), {"email": member.email}, follow=True)
    assert page.status_code == 200
    assert NOT_SENT in page.text


@pytest.mark.usefixtures("mail_server_down")
def test_a_worker_tries_a_mail_again_and_gives_up_in_the_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    waiting: list[tuple[float, tuple[Any, ...]]] = []

    class Later:
        """Stands in for a task that is put off."""

        def __init__(self, seconds: float) -> None:
            self.seconds = seconds

        def enqueue(self, *arguments: Any) -> None:
            waiting.append((self.seconds, arguments))

    monkeypatch.setattr(mail_tasks, "can_wait", lambda: True)
    monkeypatch.setattr(mail_tasks, "later", Later)
    arguments: tuple[Any, ...] = ("Subject", "Body", "site@example.com", [EMAIL], [], {})
    with caplog.at_level(logging.WARNING):
        for _ in mail_tasks.RETRIES:
            mail_tasks.send_mail.call(*arguments)
            arguments = waiting[-1][1]
        with pytest.raises(SMTPServerDisconnected):
            mail_tasks.send_mail.call(*arguments)
    assert [seconds for seconds, _ in waiting] == list(mail_tasks.RETRIES)
    assert EMAIL not in caplog.text


def test_a_mail_waits_for_less_than_a_task_is_kept(settings: Settings) -> None:
    settings.TASK_LEASE = 180
    settings.TASKS = {"default": {"BACKEND": "django.tasks.backends.dummy.DummyBackend", "QUEUES": ["high"]}}
    now = timezone.now()
    put_off = [mail_tasks.later(seconds).run_after for seconds in mail_tasks.RETRIES]
    assert [round((when - now).total_seconds()) for when in put_off if when] == [10, 60, 60, 60]


def test_a_mail_has_all_its_parts(mailoutbox: list[mail.EmailMultiAlternatives]) -> None:
    mail_tasks.send_mail.enqueue(
        "Subject", "Body", "site@example.com", [EMAIL], [("<p>Body</p>", "text/html")], {"X-Kind": "test"}
    )
    (sent,) = mailoutbox
    assert (sent.subject, sent.body, sent.to) == ("Subject", "Body", [EMAIL])
    assert "<p>Body</p>" in sent.message().as_string()
    assert sent.extra_headers == {"X-Kind": "test"}


def test_the_clean_up_can_be_a_task(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "clean_up", lambda: cache.set("cleaned", "up"))
    tasks.clean_up_site.enqueue()
    assert cache.get("cleaned") == "up"

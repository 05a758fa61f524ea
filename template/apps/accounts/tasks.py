"""Tasks about accounts."""

import logging
from datetime import timedelta
from smtplib import SMTPException

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.tasks import Task, task, task_backends
from django.utils import timezone

log = logging.getLogger("mail")

# Seconds until a mail is tried again; less where tasks are not kept for so long.
RETRIES = (10, 60, 300, 600)


@task(queue_name="high")
def send_mail(
    subject: str,
    body: str,
    sender: str,
    to: list[str],
    alternatives: list[tuple[str, str]],
    headers: dict[str, str],
    tries: int = 0,
) -> None:
    """Send a mail, and try again later where the mail server does not take it and a worker can wait.

    Args:
        subject: its subject.
        body: its plain text.
        sender: whom it is from.
        to: the addresses that it goes to.
        alternatives: other forms of its text, each with its type: `("<p>…</p>", "text/html")`.
        headers: more headers.
        tries: how often it was tried before.

    Raises:
        OSError, SMTPException: it could not be sent, and is not tried again.
    """
    mail = EmailMultiAlternatives(subject, body, sender, to, headers=headers)
    for content, kind in alternatives:
        mail.attach_alternative(content, kind)
    try:
        mail.send()
    except (OSError, SMTPException) as error:
        if not can_wait() or tries >= len(RETRIES):
            raise
        log.warning("the mail server did not take a mail, which is tried again: %s", type(error).__name__)
        later(RETRIES[tries]).enqueue(subject, body, sender, to, alternatives, headers, tries + 1)


def can_wait() -> bool:
    """Whether a task can be put off, which wants a worker."""
    return bool(task_backends["default"].supports_defer)


def later(seconds: int) -> Task:
    """The task of sending a mail, put off."""
    # A third of a lease is what a time limit leaves of it.
    longest = getattr(settings, "TASK_LEASE", 3 * seconds) // 3
    return send_mail.using(run_after=timezone.now() + timedelta(seconds=min(seconds, longest)))

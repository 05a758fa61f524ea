"""Sending mail: tried again while the mail server is down, and refused where there is none."""

import logging
import re
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from smtplib import SMTPException

from django.conf import settings
from django.core.mail import EmailMessage, EmailMultiAlternatives
from django.core.mail.backends.base import BaseEmailBackend
from django.core.mail.utils import DNS_NAME
from django.tasks import Task, TaskResultStatus, task, task_backends
from django.utils import timezone

log = logging.getLogger("mail")

NO_MAIL_SERVER = "operations.mail.NoMailServer"
# Seconds until a mail is tried again; less where tasks are not kept for so long.
RETRIES = (10, 60, 300, 600)
# Emails that development keeps.
KEPT = 10


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


class PrintedMail(BaseEmailBackend):
    """Prints emails as they are read, which Django's own backend prints as they are sent, with links cut in two. For development."""

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        """Print emails, without what a terminal would obey, keep them for the home page, and return how many there were."""
        for mail in email_messages:
            text = f"To: {', '.join(mail.recipients())}\nSubject: {mail.subject}\n\n{mail.body}"
            shown = "".join(letter if letter.isprintable() or letter == "\n" else " " for letter in text.rstrip())
            print(f"{'-' * 79}\n{shown}\n{'-' * 79}", flush=True)  # noqa: T201 - that is what it is for
            # Printed is enough if the folder cannot be written.
            with suppress(OSError):
                keep(shown)
        return len(email_messages)


def kept_mails() -> list[Path]:
    """Return the files of the last emails that development printed, the newest last."""
    return sorted((settings.BASE_DIR / ".cache/mails").glob("*.txt"))


def keep(shown: str) -> None:
    """Keep an email in a file, because a worker may have sent it and the site shows it, and only the last ones."""
    file = settings.BASE_DIR / f".cache/mails/{timezone.now():%Y-%m-%dT%H.%M.%S.%f}.txt"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"{shown}\n", encoding="utf-8")
    for old in kept_mails()[:-KEPT]:
        old.unlink(missing_ok=True)


def use_host_name(hosts: Sequence[str]) -> None:
    """Use the site's name in greetings to mail servers (EHLO) and in Message-IDs.

    Django uses the machine's, which in a container is the container's ID: strict servers refuse such a greeting (RFC 5321, 4.1.4).

    Args:
        hosts: ALLOWED_HOSTS; the first that can be a full name on the internet is used. Without one, nothing changes.
    """
    for host in hosts:
        if re.fullmatch(r"\.?([a-z0-9-]+\.)+[a-z][a-z0-9-]*", host, re.IGNORECASE):
            # The cache of a name that is slow to find out. Django has no setting for it.
            DNS_NAME._fqdn = host.strip(".")
            return


def can_send() -> bool:
    """Whether a mail server is configured."""
    return bool(settings.MAILERS["default"]["BACKEND"] != NO_MAIL_SERVER)


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
    """Return whether tasks can be deferred, which needs a worker."""
    return bool(task_backends["default"].supports_defer)


def later(seconds: int) -> Task:
    """Return the task that sends an email, deferred."""
    # A third of the lease: what is left of it after the time limit.
    longest = getattr(settings, "TASK_LEASE", 3 * seconds) // 3
    return send_mail.using(run_after=timezone.now() + timedelta(seconds=min(seconds, longest)))


def hand_over(mail: EmailMessage) -> bool:
    """Send an email, or leave it to a worker, and return whether that worked. Log the reason if it did not."""
    alternatives = [tuple(part) for part in getattr(mail, "alternatives", [])]
    try:
        result = send_mail.enqueue(
            str(mail.subject), str(mail.body), mail.from_email, mail.to, alternatives, dict(mail.extra_headers)
        )
    except Exception:
        # Each backend has its own exceptions. Whichever it is, show the page, which says so.
        log.exception("a mail could not be handed over")
        return False
    return result.status != TaskResultStatus.FAILED

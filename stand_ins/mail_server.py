"""Run a mail server that keeps all email and delivers none."""

import contextlib
import email
from collections.abc import Iterator
from email.message import Message
from typing import Any

from aiosmtpd.controller import Controller

from tests.support.servers import free_port


class Postbox:
    """The email that a mail server has received, and the name that the client gave in its greeting."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.port = free_port()
        self.mails: list[Message] = []
        self.recipients: list[str] = []
        self.greeting = ""

    @property
    def url(self) -> str:
        """Return the server's URL for EMAIL_URL."""
        return f"smtp://{self.host}:{self.port}"

    async def handle_DATA(self, _server: Any, session: Any, envelope: Any) -> str:
        """Keep an email."""
        self.greeting = session.host_name
        self.mails.append(email.message_from_bytes(envelope.content))
        self.recipients += envelope.rcpt_tos
        return "250 kept"

    def text(self) -> str:
        """Return the newest email's plain text."""
        return text_of(self.mails[-1])


def text_of(mail: Message) -> str:
    """Return an email's plain text."""
    (part,) = (part for part in mail.walk() if part.get_content_type() == "text/plain")
    payload = part.get_payload(decode=True)
    assert isinstance(payload, bytes)
    return payload.decode()


@contextlib.contextmanager
def mail_server(host: str = "127.0.0.1") -> Iterator[Postbox]:
    """Run a mail server on loopback, or on the address of a container's network, until the end of the block."""
    box = Postbox(host)
    controller = Controller(box, hostname=host, port=box.port)
    controller.start()
    try:
        yield box
    finally:
        controller.stop()

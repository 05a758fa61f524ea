"""A mail server that takes every mail and delivers none."""

import contextlib
import socketserver
import threading
from collections.abc import Iterator
from typing import override


class TakesAll(socketserver.StreamRequestHandler):
    """As much of SMTP as Python's client asks for."""

    server: "MailServer"

    @override
    def handle(self) -> None:
        self.say("220 ready")
        while line := self.rfile.readline().decode().strip():
            match line.upper().split()[0]:
                case "RCPT":
                    self.server.recipients.append(line.partition("<")[2].partition(">")[0])
                    self.say("250 ok")
                case "DATA":
                    self.say("354 go on")
                    while self.rfile.readline().strip() != b".":
                        pass
                    self.say("250 taken")
                case "QUIT":
                    self.say("221 bye")
                    return
                case _:
                    self.say("250 ok")

    def say(self, line: str) -> None:
        """Answer with one line."""
        self.wfile.write(f"{line}\r\n".encode())


class MailServer(socketserver.ThreadingTCPServer):
    """Keeps the addresses that mail was sent to."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), TakesAll)
        self.recipients: list[str] = []

    @property
    def url(self) -> str:
        """The server as EMAIL_URL names it."""
        return f"smtp://127.0.0.1:{self.server_address[1]}"


@contextlib.contextmanager
def mail_server() -> Iterator[MailServer]:
    """A mail server on loopback, until the end of the block."""
    with MailServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()

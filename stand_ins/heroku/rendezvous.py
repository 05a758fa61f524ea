"""Connect `heroku run` to its dyno: the program sends a line with a secret, then the dyno's input and output follow."""

import contextlib
import os
import pty
import select
import ssl
from socketserver import BaseRequestHandler, StreamRequestHandler
from threading import Lock
from typing import override

from stand_ins.heroku.dynos import Dyno
from stand_ins.heroku.servers import BLOCK

HOST = "rendezvous.runtime.heroku.com"
PORT = 5000
# The end-of-input byte of a terminal, and the one that the program sends.
END_OF_INPUT = b"\x04"


class Rendezvous:
    """One-off dynos that wait for the program that started them."""

    def __init__(self) -> None:
        self.waiting: dict[str, tuple[Dyno, dict[str, str], bool]] = {}
        self.lock = Lock()

    def invite(self, dyno: Dyno, variables: dict[str, str], *, terminal: bool) -> str:
        """Return the URL to attach to a dyno. The dyno starts with these variables when a program attaches."""
        with self.lock:
            self.waiting[dyno.id] = (dyno, variables, terminal)
        return f"rendezvous://{HOST}:{PORT}/{dyno.id}"

    def handler(self) -> type[BaseRequestHandler]:
        """Return the class that handles connections."""
        rendezvous = self

        class Meeting(StreamRequestHandler):
            # Unbuffered: a buffer would swallow the input that follows the secret.
            rbufsize = 0

            @override
            def handle(self) -> None:
                secret = self.rfile.readline().decode().strip()
                with rendezvous.lock:
                    found = rendezvous.waiting.pop(secret, None)
                if found:
                    dyno, variables, terminal = found
                    # The program ignores the first line.
                    self.request.sendall(b"rendezvous\r\n")
                    attend(self.request, dyno, variables, terminal=terminal)

        return Meeting


def attend(visitor: ssl.SSLSocket, dyno: Dyno, variables: dict[str, str], *, terminal: bool) -> None:
    """Start a dyno and connect its input and output to the program until either ends; then stop the dyno."""
    if terminal:
        reading, stdout = pty.openpty()
        stdin, writing = stdout, os.dup(reading)
    else:
        reading, stdout = os.pipe()
        stdin, writing = os.pipe()
    with open(writing, "wb", buffering=0) as typed, open(reading, "rb", buffering=0) as printed:  # noqa: PTH123 - no path
        try:
            dyno.start(stdin, stdout, variables)
        finally:
            for each in {stdin, stdout}:
                os.close(each)
        # A terminal whose last process has ended raises an error instead of returning an end of file.
        with contextlib.suppress(OSError):
            while True:
                files = [visitor.fileno(), printed.fileno()]
                ready = files[:1] if visitor.pending() else select.select(files, [], [])[0]
                if visitor.fileno() in ready:
                    piece = visitor.recv(BLOCK)
                    if not piece:
                        dyno.stop()
                        break
                    if terminal:
                        typed.write(piece)
                    else:
                        with contextlib.suppress(BrokenPipeError):
                            typed.write(piece.removesuffix(END_OF_INPUT))
                        if piece.endswith(END_OF_INPUT):
                            typed.close()
                if printed.fileno() in ready:
                    piece = printed.read(BLOCK)
                    if not piece:
                        break
                    dyno.hear(piece)
                    visitor.sendall(piece)
    dyno.ended.wait()

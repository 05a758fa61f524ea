"""Where `heroku run` meets its dyno: a line with a secret, and then the dyno's own input and output."""

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
# What a terminal sends for the end of the input, and the program for the end of its own.
END_OF_INPUT = b"\x04"


class Rendezvous:
    """Dynos that wait for the one who asked for them."""

    def __init__(self) -> None:
        self.waiting: dict[str, tuple[Dyno, dict[str, str], bool]] = {}
        self.lock = Lock()

    def invite(self, dyno: Dyno, variables: dict[str, str], *, terminal: bool) -> str:
        """The address where a dyno can be met; it starts when it is, with these variables."""
        with self.lock:
            self.waiting[dyno.id] = (dyno, variables, terminal)
        return f"rendezvous://{HOST}:{PORT}/{dyno.id}"

    def handler(self) -> type[BaseRequestHandler]:
        """The class that answers those who come."""
        rendezvous = self

        class Meeting(StreamRequestHandler):
            # A buffer would swallow what is typed after the secret.
            rbufsize = 0

            @override
            def handle(self) -> None:
                secret = self.rfile.readline().decode().strip()
                with rendezvous.lock:
                    found = rendezvous.waiting.pop(secret, None)
                if found:
                    dyno, variables, terminal = found
                    # The program drops what comes first.
                    self.request.sendall(b"rendezvous\r\n")
                    attend(self.request, dyno, variables, terminal=terminal)

        return Meeting


def attend(visitor: ssl.SSLSocket, dyno: Dyno, variables: dict[str, str], *, terminal: bool) -> None:
    """Start a dyno and connect its files with the visitor, until it ends; a visitor who leaves ends it."""
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
        # A terminal whose last user is gone is an error, not an end.
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

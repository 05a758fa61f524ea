"""Run a program in a terminal of 80 columns and 24 lines, and read the screen as a person does."""

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence

import pyte

COLUMNS, LINES = 80, 24

ENTER, CLEAR_LINE, DOWN = "\r", "\x15", "\x1b[B"


class Terminal:
    """Start a program, type into it and read its screen; end it by `contextlib.closing`."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str]) -> None:
        self.screen = pyte.Screen(COLUMNS, LINES)
        self.stream = pyte.ByteStream(self.screen)
        self.ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
        # This terminal does not answer a program that asks for the cursor's position.
        told = {**env, "TERM": "xterm-256color", "PROMPT_TOOLKIT_NO_CPR": "1"}
        self.program = subprocess.Popen(
            command, env=told, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
        )
        os.close(theirs)

    def close(self) -> None:
        """End the program if it is still running."""
        if self.program.poll() is None:
            self.program.kill()
        self.program.wait()
        os.close(self.ours)

    @property
    def text(self) -> str:
        """Return the text on the screen."""
        return "\n".join(line.rstrip() for line in self.screen.display)

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self.ours, keys.encode())

    def wait_for(self, text: str, *, timeout: float = 60) -> None:
        """Read until `text` is on the screen.

        Raises:
            AssertionError: it did not appear; the message is the screen.
        """
        end = time.monotonic() + timeout
        while text not in self.text:
            assert self.read(end - time.monotonic()), f"no {text!r} on the screen:\n{self.text}"

    def wait(self, *, typing: str = "", timeout: float = 60) -> int:
        """Read until the program ends, press keys whenever it is silent, and return its exit code.

        Raises:
            AssertionError: it did not end; the message is the screen.
        """
        end = time.monotonic() + timeout
        while self.program.poll() is None:
            assert time.monotonic() < end, f"still running:\n{self.text}"
            if not self.read(0.2):
                self.type(typing)
                time.sleep(0.05)
        return self.program.returncode

    def read(self, timeout: float) -> bool:
        """Read the program's next output; return False if there was none within `timeout` seconds."""
        if timeout <= 0 or not select.select([self.ours], [], [], timeout)[0]:
            return False
        try:
            written = os.read(self.ours, 65536)
        except OSError:
            # Linux raises EIO when the program's side of the terminal is closed.
            return False
        self.stream.feed(written)
        return bool(written)

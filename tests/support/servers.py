"""Servers that tests start: on free ports, on loopback, and gone when the test is."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import requests

# Seconds for a server to end once it is told to.
PATIENCE = 30.0
# Seconds after which something hangs, however busy the machine is. No test asserts a shorter time.
HANGS = 60.0


def free_port() -> int:
    """A port on loopback that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def eventually(truth: Callable[[], bool]) -> bool:
    """Whether something becomes true within HANGS seconds."""
    deadline = time.monotonic() + HANGS
    while not truth():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


class Running:
    """A server process with its output."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self.log = log

    def output(self) -> str:
        """What it has printed so far, standard error included."""
        return self.log.read_text(errors="replace")

    def wait_until_it_answers(self, url: str) -> None:
        """Ask until there is an answer, whatever it says.

        Raises:
            AssertionError: it ended, or gave none within HANGS seconds; the message is its output.
        """
        deadline = time.monotonic() + HANGS
        while time.monotonic() < deadline:
            assert self.process.poll() is None, f"ended with {self.process.returncode}:\n{self.output()}"
            with contextlib.suppress(requests.ConnectionError, requests.Timeout):
                requests.get(url, timeout=5, allow_redirects=False)
                return
            time.sleep(0.05)
        raise AssertionError(f"no answer from {url}:\n{self.output()}")

    def stop(self, sent: signal.Signals = signal.SIGTERM) -> int:
        """Send its process group a signal and wait until all of it is gone; gives the first one's exit code.

        Raises:
            TimeoutError: some of it was still there after PATIENCE seconds.
        """
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, sent)
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            code = self.process.poll()
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, 0)
                time.sleep(0.02)
                continue
            if code is not None:
                return code
        raise TimeoutError(f"still there {PATIENCE} s after {sent.name}:\n{self.output()}")


@contextlib.contextmanager
def running(
    command: list[str] | str, folder: Path, env: Mapping[str, str], log: Path, **options: object
) -> Iterator[Running]:
    """Start a server in a process group of its own, and end the whole group at the end."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            shell=isinstance(command, str),
            start_new_session=True,
            # Whichever of Popen's options a test needs, which its overloads cannot say.
            **options,  # type: ignore[call-overload]
        )
    server = Running(process, log)
    try:
        yield server
    finally:
        try:
            server.stop()
        except TimeoutError:
            server.stop(signal.SIGKILL)
            raise

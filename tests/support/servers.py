"""Start servers for tests: on free ports of loopback, and stopped when the test ends."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import requests

# Seconds to wait for a server to stop.
PATIENCE = 30.0
# Seconds after which something counts as hanging, even on a busy machine. No test asserts a shorter time.
HANGS = 60.0


def free_port() -> int:
    """Return a free port of loopback."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def eventually(truth: Callable[[], bool]) -> bool:
    """Wait until something is true; return False if it is not within HANGS seconds."""
    began = time.monotonic()
    while not truth():
        waited = time.monotonic() - began
        if waited > HANGS:
            return False
        time.sleep(pause_after(waited))
    return True


def pause_after(waited: float) -> float:
    """Return the seconds to wait before asking again: a tenth of those waited so far, since asking costs others time."""
    return max(0.05, waited / 10)


class Running:
    """A server process with its output."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self.log = log

    def output(self) -> str:
        """Return its output so far, with standard error."""
        return self.log.read_text(errors="replace")

    def wait_until_it_answers(self, url: str) -> None:
        """Send requests until there is any answer.

        Raises:
            AssertionError: it ended, or did not answer within HANGS seconds; the message is its output.
        """
        began = time.monotonic()
        while (waited := time.monotonic() - began) < HANGS:
            assert self.process.poll() is None, f"ended with {self.process.returncode}:\n{self.output()}"
            with contextlib.suppress(requests.ConnectionError, requests.Timeout):
                requests.get(url, timeout=5, allow_redirects=False)
                return
            time.sleep(pause_after(waited))
        raise AssertionError(f"no answer from {url}:\n{self.output()}")

    def stop(self, sent: signal.Signals = signal.SIGTERM) -> int:
        """Send its process group a signal and wait until all processes have ended; return the first one's exit code.

        Raises:
            TimeoutError: a process was still running after PATIENCE seconds.
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
    """Run a server in its own process group until the end of the block, then end the whole group."""
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
            # More options for Popen. Its overloads do not accept a plain dictionary.
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

"""Make real host names resolve to this machine, only for commands that are started here."""

import contextlib
import os
import random
import shutil
import socket
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pytest

NEEDS_ROOT = "real host names need root"

# The mount is visible only to this command and its children.
IN_A_NAMESPACE = ["unshare", "--mount", "--propagation", "private"]
WITH_THE_NAMES = ["sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"']


class LoopbackNames:
    """Host names that resolve to one loopback address, where a test may listen on any port.

    Attributes:
        address: the loopback address, which no other test uses.
    """

    def __init__(self, hosts: Path, names: Iterable[str]) -> None:
        self.hosts = hosts
        self.address = free_address()
        hosts.write_text(Path("/etc/hosts").read_text())
        for name in names:
            self.add(name)

    def add(self, name: str) -> None:
        """Add a name, also for commands that are running."""
        # Written in place: a new file of the same name would not be the mounted one.
        with self.hosts.open("a") as file:
            file.write(f"{self.address} {name}\n")

    def command(self, command: Sequence[str]) -> list[str]:
        """Return the command that runs `command` with these host names; input, output and exit code are its own."""
        return [*IN_A_NAMESPACE, *WITH_THE_NAMES, str(self.hosts), *command]


@contextlib.contextmanager
def loopback_names(folder: Path, names: Iterable[str]) -> Iterator[LoopbackNames]:
    """Yield host names for a test's commands; `folder` keeps the hosts file.

    The machine's own hosts file is not changed, and nothing is left behind.

    Raises:
        pytest.skip.Exception: this process may not mount.
    """
    if os.geteuid() != 0 or not shutil.which("unshare"):
        pytest.skip(NEEDS_ROOT)
    folder.mkdir(parents=True, exist_ok=True)
    hosts = folder / "hosts"
    found = LoopbackNames(hosts, names)
    try:
        # In a container even root may not be allowed to mount.
        tried = subprocess.run(found.command(["true"]), stderr=subprocess.DEVNULL, check=False)
        if tried.returncode != 0:
            pytest.skip(NEEDS_ROOT)
        yield found
    finally:
        hosts.unlink()


def free_address() -> str:
    """Return a loopback address whose HTTPS port is free."""
    while True:
        # Not for security: random addresses make collisions between tests rare.
        address = f"127.{random.randint(1, 254)}.{random.randint(0, 255)}.{random.randint(1, 254)}"  # noqa: S311
        with contextlib.suppress(OSError), socket.create_server((address, 443)):
            return address

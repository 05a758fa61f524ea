"""Real host names that lead to this machine, for the commands that are run so and for nobody else."""

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

# A mount that only this command and what it starts can see.
IN_A_NAMESPACE = ["unshare", "--mount", "--propagation", "private"]
WITH_THE_NAMES = ["sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"']


class LoopbackNames:
    """Host names that lead to one address of loopback, where a test may listen on any port.

    Attributes:
        address: that address, which no other test has.
    """

    def __init__(self, hosts: Path, names: Iterable[str]) -> None:
        self.hosts = hosts
        self.address = free_address()
        hosts.write_text(Path("/etc/hosts").read_text())
        for name in names:
            self.add(name)

    def add(self, name: str) -> None:
        """Add a name, for commands that run already too."""
        # Written in place: what is mounted is this file, not its name.
        with self.hosts.open("a") as file:
            file.write(f"{self.address} {name}\n")

    def command(self, command: Sequence[str]) -> list[str]:
        """The command by which `command` runs where the names hold; it takes and gives what that does."""
        return [*IN_A_NAMESPACE, *WITH_THE_NAMES, str(self.hosts), *command]


@contextlib.contextmanager
def loopback_names(folder: Path, names: Iterable[str]) -> Iterator[LoopbackNames]:
    """Host names for the commands of a test; `folder` is for what is kept of them meanwhile.

    Nothing of this machine is changed, and nothing is left behind.

    Raises:
        pytest.skip.Exception: this process may not do that.
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
    """An address of loopback where nobody listens for https now."""
    while True:
        # No secret: two tests shall only seldom try the same.
        address = f"127.{random.randint(1, 254)}.{random.randint(0, 255)}.{random.randint(1, 254)}"  # noqa: S311
        with contextlib.suppress(OSError), socket.create_server((address, 443)):
            return address

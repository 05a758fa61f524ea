"""Emulate an account: a home folder, a console without root or uv, Python 3.13, and PostgreSQL's programs."""

import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.support.databases import programs
from tests.support.names import IN_A_NAMESPACE, LoopbackNames

# The API token, which only the platform's API and consoles know.
TOKEN = "0123456789abcdef0123456789abcdef01234567"
API_HOST = "www.pythonanywhere.com"
# The host of the platform's other system, which does not know the first one's accounts.
EUROPE = "eu.pythonanywhere.com"
# Variables that a machine behind a proxy or with its own package index needs to install packages.
OF_THIS_NETWORK = ("PIP_", "UV_", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")

# Mounts folders at paths that this machine need not have, and keeps the other entries of their parents. The mounts are
# not visible outside, and nothing is left. Then root's rights are dropped: in the account, its user owns what root owns
# outside, and has no other right of root's.
ENTER = """
set -eu
hosts=$1 home=$2 www=$3 user=$4 scratch=$5; shift 5
mount --bind "$hosts" /etc/hosts
graft() {
  mount -t tmpfs tmpfs "$scratch"
  for entry in "$1"/*; do
    name=${entry##*/}
    if [ -L "$entry" ]; then cp -d "$entry" "$scratch/$name"
    elif [ -d "$entry" ] && [ "$name" != "$2" ]; then mkdir "$scratch/$name"; mount --rbind "$entry" "$scratch/$name"
    fi
  done
  mkdir "$scratch/$2"
  mount --bind "$3" "$scratch/$2"
  mount --rbind "$scratch" "$1"
}
graft /home "$user" "$home"
graft /var www "$www"
cd "$HOME"
exec unshare --user --map-user 1000 --map-group 1000 -- "$@"
"""


class Account:
    """An account on the platform.

    Attributes:
        user: the user's name.
        site: the host of the platform's pages and API.
        home: the path of its home folder outside; inside it is /home/<user>.
        www: the path of its /var/www outside.
        environment: the environment variables of its consoles.
    """

    def __init__(self, folder: Path, user: str, names: LoopbackNames, ca_file: Path, site: str = API_HOST) -> None:
        """Make an account.

        Args:
            folder: an empty folder for the account's files.
            user: the user's name.
            names: the host names that resolve in it.
            ca_file: a file with the certificates that it trusts.
            site: the system that it is on.
        """
        self.user = user
        self.site = site
        self.names = names
        self.home, self.www, self.scratch = (folder / name for name in ("home", "www", "scratch"))
        # The same path in each account, since virtual environments refer to it.
        self.bin = self.home / ".local/bin"
        for each in (self.bin, self.www, self.scratch):
            each.mkdir(parents=True)
        # Not a link, behind which a virtual environment would not find the standard library of a Python that was moved.
        (self.bin / "python3.13").write_text(f'#!/bin/sh\nexec {sys.base_prefix}/bin/python3.13 "$@"\n')
        (self.bin / "python3.13").chmod(0o755)
        self.provide("pa", Path(sys.prefix, "bin", "pa"))
        for program in ("pg_dump", "pg_restore", "psql"):
            self.provide(program, programs() / program)
        self.environment = {
            **{name: value for name, value in os.environ.items() if name.startswith(OF_THIS_NETWORK)},
            "HOME": f"/home/{user}",
            "USER": user,
            "LOGNAME": user,
            "LANG": "C.UTF-8",
            "PATH": f"/home/{user}/.local/bin:/usr/bin:/bin",
            "NO_PROXY": ".pythonanywhere.com",
            "REQUESTS_CA_BUNDLE": str(ca_file),
            "SSL_CERT_FILE": str(ca_file),
            "PYTHONANYWHERE_SITE": site,
            "API_TOKEN": TOKEN,
        }
        config = Path.home() / ".config/pip/pip.conf"
        if config.exists():
            self.environment.setdefault("PIP_CONFIG_FILE", str(config))

    def provide(self, name: str, program: Path) -> None:
        """Put a program on the path of the account's consoles."""
        (self.bin / name).symlink_to(program)

    def command(self, command: Sequence[str]) -> list[str]:
        """Return the command that runs `command` in the account's home folder; input, output and exit code are its own."""
        own = [str(self.names.hosts), str(self.home), str(self.www), self.user, str(self.scratch)]
        return [*IN_A_NAMESPACE, "sh", "-c", ENTER, "sh", *own, *command]

    def run(self, *command: str, code: int = 0, text: str = "", **variables: str) -> str:
        """Run a command in a console; return its output.

        Raises:
            AssertionError: its exit code was not `code`.
        """
        done = subprocess.run(
            self.command(command),
            env={**self.environment, **variables},
            input=text,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == code, f"{shlex.join(command)} exited {done.returncode}:\n{done.stdout}"
        return done.stdout

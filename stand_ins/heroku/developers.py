"""Emulate the developer's machine: a home folder, a shell, and its programs."""

import functools
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from stand_ins.heroku.api import ACCOUNT
from tests.support.databases import programs
from tests.support.environments import clean_environment, uv
from tests.support.rendering import ROOT

# Variables that would point the developer's programs to this machine's settings.
NOT_THE_DEVELOPERS = re.compile("GIT_.*|HEROKU_.*|XDG_.*|PG.*|NODE_.*|PYTHON.*")
# Variables that name the file of certificate authorities, one for each program.
TRUSTED = ("CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")

GIT_CONFIG = f"""[user]
\tname = Developer
\temail = {ACCOUNT["email"]}
[init]
\tdefaultBranch = main
"""


def make_home(folder: Path, tokens: Mapping[str, str]) -> None:
    """Make a home folder in which the developer is logged in to hosts by tokens, and a folder of programs."""
    home, bin_folder = folder / "home", folder / "bin"
    home.mkdir()
    netrc = home / ".netrc"
    netrc.touch(0o600)
    lines = (f"machine {host} login {ACCOUNT['email']} password {token}\n" for host, token in tokens.items())
    netrc.write_text("".join(lines))
    (home / ".gitconfig").write_text(GIT_CONFIG)
    bin_folder.mkdir()
    python = Path(sys.executable).resolve()
    postgresql = {name: programs() / name for name in ("psql", "pg_dump", "pg_restore")}
    links: dict[str, str | Path] = {"heroku": heroku_program(), "uv": uv(), "python": python, "python3": python}
    node = ROOT / ".tools/node/bin/node"
    if node.exists():
        links["node"] = node
    for name, target in {**links, **postgresql}.items():
        (bin_folder / name).symlink_to(target)


def environment(folder: Path, ca_file: Path) -> dict[str, str]:
    """Return the environment variables of the developer's shell, whose programs trust `ca_file`."""
    kept = {name: value for name, value in clean_environment().items() if not NOT_THE_DEVELOPERS.fullmatch(name)}
    return {
        **kept,
        **dict.fromkeys(TRUSTED, str(ca_file)),
        "DISABLE_TELEMETRY": "true",
        # The update would go on in the background after the test.
        "HEROKU_DISABLE_AUTOUPDATE": "true",
        "HEROKU_SKIP_NEW_VERSION_CHECK": "true",
        "HOME": str(folder / "home"),
        # Cache Node's compiled code between starts.
        "NODE_COMPILE_CACHE": str(ROOT / ".tools/node-cache"),
        "NODE_OPTIONS": f"--import={Path(__file__).with_name('without-telemetry.mjs').as_uri()}",
        "NO_PROXY": "*",
        "PATH": f"{folder / 'bin'}{os.pathsep}{kept['PATH']}",
        # Use this machine's cache of packages.
        "UV_CACHE_DIR": uv_folder("cache"),
        "UV_PYTHON_INSTALL_DIR": uv_folder("python"),
    }


def heroku_program() -> Path:
    """Return the path of the heroku program: this repository's own, or this machine's.

    Raises:
        pytest.skip.Exception: there is none.
    """
    own = ROOT / ".tools/heroku/node_modules/.bin/heroku"
    found = own if own.exists() else shutil.which("heroku")
    if not found:
        pytest.skip("the heroku program is not installed")
    return Path(found)


@functools.cache
def uv_folder(kind: str) -> str:
    """Return the folder where uv keeps its cache or its Pythons on this machine."""
    return subprocess.run([uv(), kind, "dir"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()

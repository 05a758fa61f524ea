"""Render a project with the default answers, and serve it: `make demo`.

PLATFORM chooses the platform (docker unless told otherwise, though nothing of it is needed),
DEST the folder to render to (a new temporary one unless told otherwise). The project stays
where it is when the demonstration ends.
"""

import os
import secrets
import shlex
import socket
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import copier
import copier.errors

ROOT = Path(__file__).resolve().parents[1]
UV = os.environ.get("UV", "uv")


def free_port() -> int:
    """A port on loopback that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def say(text: str) -> None:
    """Print a line at once, also where standard output is no terminal."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def step(project: Path, *command: str) -> None:
    """Run a command in the project, and show it first.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    say(f"$ {shlex.join(command)}")
    # What this environment is for would mislead the project's.
    env = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "DJANGO_SETTINGS_MODULE")}
    subprocess.run(command, cwd=project, env=env, check=True)


def destination() -> Path:
    """The folder to render to.

    Raises:
        SystemExit: DEST names a folder that is not empty.
    """
    wanted = os.environ.get("DEST", "")
    if not wanted:
        return Path(tempfile.gettempdir(), f"copier-django-demo-{secrets.token_hex(4)}", "todo-list")
    folder = Path(wanted).expanduser().absolute()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise SystemExit(f"DEST={wanted} is there already and not empty. Name a folder that is not there yet.")
    return folder


def main() -> None:
    """Render, install, migrate and serve, until Ctrl-C."""
    platform = os.environ.get("PLATFORM") or "docker"
    folder = destination()
    answers = {"project_name": "Todo List", "platform": platform}
    # The working tree is what a contributor wants to see.
    warnings.simplefilter("ignore", copier.errors.DirtyLocalWarning)
    try:
        copier.run_copy(str(ROOT), folder, data=answers, defaults=True, quiet=True, vcs_ref="HEAD")
    except ValueError as error:
        raise SystemExit(f"{error}\nExample: make demo PLATFORM=heroku") from None
    say(f"Rendered for {platform} in {folder}")
    port = free_port()
    try:
        step(folder, UV, "sync", "--quiet")
        say(f"\nServing at http://127.0.0.1:{port}/ (Ctrl-C stops it)\n")
        step(folder, UV, "run", "python", "manage.py", "runserver", "--migrate", f"127.0.0.1:{port}")
    except KeyboardInterrupt:
        pass
    except subprocess.CalledProcessError as error:
        raise SystemExit(f"The command failed with code {error.returncode}; the project is in {folder}") from None
    say(f"\nStopped. The project is in {folder}")


if __name__ == "__main__":
    main()

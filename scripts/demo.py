"""Render a project with the default answers, and serve it: `make demo`.

PLATFORM chooses the platform: docker unless it says otherwise, though Docker is not needed. DEST is the folder to render
to: a new temporary one unless it says otherwise. DEMO_OPEN=0 opens no browser. The project stays where it is when the
demonstration ends. RUN=real starts what is deployed, instead of the server for development: scripts/demo_docker.py.
"""

import http.client
import os
import secrets
import shlex
import socket
import subprocess
import sys
import tempfile
import time
import warnings
import webbrowser
from collections.abc import Sequence
from pathlib import Path

import copier
import copier.errors

from scripts import demo_docker

ROOT = Path(__file__).resolve().parents[1]
UV = os.environ.get("UV", "uv")


def free_port() -> int:
    """Return a free port of 127.0.0.1."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def say(text: str) -> None:
    """Print a line at once, even if standard output is not a terminal."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def at_work() -> dict[str, str]:
    """Return this process's environment variables without those that would mislead the project's programs."""
    kept = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "DJANGO_SETTINGS_MODULE")}
    # Hide runserver's warning against use in production: this is a demonstration.
    return {**kept, "DJANGO_RUNSERVER_HIDE_WARNING": "true"}


def show(command: Sequence[str]) -> None:
    """Print a command as a user would type it."""
    say(f"$ {shlex.join([Path(command[0]).name, *command[1:]])}")


def run(project: Path, *command: str) -> None:
    """Print a command, and run it in the project.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    show(command)
    subprocess.run(command, cwd=project, env=at_work(), check=True)


def answers(port: int) -> bool:
    """Return True if a web server answers at a port of this machine."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("HEAD", "/")
        connection.getresponse()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return True


def has_a_browser() -> bool:
    """Return True if this machine has a screen to open a browser on, and DEMO_OPEN does not forbid it."""
    has_screen = sys.platform == "darwin" or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
    return sys.stdout.isatty() and has_screen and os.environ.get("DEMO_OPEN") != "0"


def serve(project: Path) -> None:
    """Serve the project until Ctrl-C, and print its URL as soon as it answers.

    Raises:
        subprocess.CalledProcessError: the server ended by itself.
    """
    port = free_port()
    url = f"http://127.0.0.1:{port}/"
    command = [UV, "run", "python", "manage.py", "runserver", "--migrate", f"127.0.0.1:{port}"]
    show(command)
    with subprocess.Popen(command, cwd=project, env=at_work()) as server:
        try:
            while server.poll() is None and not answers(port):
                time.sleep(0.1)
            if server.returncode is None:
                say(f"\nServing at {url} (Ctrl-C stops it)\n")
                if has_a_browser():
                    webbrowser.open(url)
            server.wait()
        except KeyboardInterrupt:
            server.terminate()
            server.wait()
            raise
    if server.returncode:
        raise subprocess.CalledProcessError(server.returncode, command)


def destination() -> Path:
    """Return the folder to render to.

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
    real = os.environ.get("RUN", "")
    if real not in ("", "real"):
        raise SystemExit(f"RUN={real} is nothing that can be run. Leave it out, or say RUN=real")
    if real and (said := demo_docker.missing(platform)):
        raise SystemExit(said)
    folder = destination()
    # HEAD of a local folder includes changes that are not committed, which a contributor wants to see.
    warnings.simplefilter("ignore", copier.errors.DirtyLocalWarning)
    say(f"Rendering a project for {platform} ...")
    chosen = {"project_name": "Todo List", "platform": platform}
    if real:
        chosen["project_slug"] = demo_docker.slug()
    try:
        copier.run_copy(str(ROOT), folder, data=chosen, defaults=True, quiet=True, vcs_ref="HEAD")
    except ValueError as error:
        raise SystemExit(f"{error}\nExample: make demo PLATFORM=heroku") from None
    say(f"It is in {folder}")
    try:
        if real:
            demo_docker.serve(folder, chosen["project_slug"], run, (free_port(), free_port()))
        say("Installing what it needs ...")
        run(folder, UV, "sync", "--quiet")
        serve(folder)
    except KeyboardInterrupt:
        pass
    except subprocess.CalledProcessError as error:
        raise SystemExit(f"The command failed with code {error.returncode}; the project is in {folder}") from None
    say(f"\nStopped. The project is in {folder}")


if __name__ == "__main__":
    main()

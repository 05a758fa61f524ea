"""Start a deployed site on this machine's Docker: `make demo PLATFORM=docker RUN=real`.

It is the runbook's way: the secrets are created by its commands, and compose builds and starts what a server runs. The
project has a slug of its own, so that nothing that is there already is touched, and what it made goes with it at Ctrl-C.
"""

import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tests.support.runbooks import PASTED, blocks

# The heading of the runbook's block that creates them.
SECRETS = "Create the secrets"


def missing(platform: str) -> str:
    """Return what prevents the start, in one line that says what to do; an empty text if nothing does."""
    if platform != "docker":
        return (
            f"RUN=real starts what is deployed, on this machine, and {platform} has its own. docs/deploy.md of the project "
            "deploys to it. Example: make demo PLATFORM=docker RUN=real"
        )
    if not shutil.which("docker"):
        return "RUN=real needs Docker: https://docs.docker.com/engine/install/. Without RUN=real, the demonstration needs none."
    if subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode:
        return "RUN=real needs Docker's compose: https://docs.docker.com/compose/install/"
    if subprocess.run(["docker", "info"], capture_output=True, check=False).returncode:
        return 'RUN=real needs a Docker engine that runs, and that you may use: "docker info" says what is wrong.'
    return ""


def slug() -> str:
    """Return a slug that nothing on the engine uses."""
    return f"demo-{secrets.token_hex(4)}"


def configure(project: Path, http_port: int, https_port: int) -> None:
    """Create the secrets as the runbook says, and the file with the ports."""
    pasted = [
        block for block in blocks(project / "docs/deploy.md") if (block.section, block.language) == (SECRETS, PASTED)
    ]
    for block in pasted:
        subprocess.run(["bash", "-c", block.text], cwd=project, check=True)
    with (project / ".env").open("a") as file:
        file.write(f"\nHTTP_PORT={http_port}\nHTTPS_PORT={https_port}\n")


def serve(project: Path, name: str, run: Callable[..., None], ports: tuple[int, int]) -> None:
    """Build and start the site, print its URL, and remove everything at Ctrl-C.

    Args:
        project: its folder.
        name: its slug.
        run: shows a command and runs it in the project.
        ports: those for HTTP and HTTPS on this machine.

    Raises:
        subprocess.CalledProcessError: a command failed.
    """
    configure(project, *ports)
    try:
        run(project, "docker", "build", "--quiet", "--target", "lock", "--output", ".", ".")
        run(project, "docker", "compose", "up", "--build", "--wait")
        sys.stdout.write(
            f"\nServing at https://localhost:{ports[1]}/ (Ctrl-C stops it and deletes its data). Caddy signs the "
            "certificate itself here, so a browser warns.\n"
        )
        sys.stdout.flush()
        while True:
            time.sleep(3600)
    finally:
        # A second Ctrl-C must not prevent the removal.
        with suppress(KeyboardInterrupt):
            run(project, "docker", "compose", "down", "--volumes", "--remove-orphans")
        found = ["docker", "image", "ls", "--quiet", f"--filter=reference={name}"]
        images = set(subprocess.run(found, stdout=subprocess.PIPE, text=True, check=False).stdout.split())
        if images:
            subprocess.run(["docker", "image", "rm", "--force", *images], capture_output=True, check=False)

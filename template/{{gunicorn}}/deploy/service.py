"""Control the site on this machine: its units, its sandbox, and its health."""

import os
import re
import subprocess
import sys
import time
import tomllib
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

from releases import DeployError, Release, Releases

PROJECT = Path(__file__).resolve().parent.parent

# Seconds in which the site must be ready after a restart, and for one response.
READY_TIMEOUT = 15
ANSWER_TIMEOUT = 5
# What may differ in nginx's file: the body limit, HTTP/2 in the version's own syntax, and what only one site has.
VARIES = re.compile(
    rb"(?<=client_max_body_size) \d+m(?=;)|  http2 on;\n| http2(?=;)|"
    rb"(?sm:^# A request for another host.*?^}\n)|server_names_hash_bucket_size \d+;\n"
)
# What `uv run` tells its children, and the environment of a release is another one.
NOT_THE_RELEASES = ("UV_PROJECT_ENVIRONMENT", "VIRTUAL_ENV")


class Site:
    """Control the site of the project that this file belongs to.

    Attributes:
        name: the project's slug, which is in the names of its units, users and folders.
        url: the live site.
        releases: its releases.
        unit: the unit of its web server.
    """

    def __init__(self) -> None:
        """Find it.

        Raises:
            DeployError: this is not its machine, not the user who deploys, or the site had another name when it was set up.
        """
        settings = tomllib.loads((PROJECT / "pyproject.toml").read_text())
        self.name: str = settings["project"]["name"]
        if PROJECT.parent.parent == Path("/srv") and PROJECT.parent.name != self.name:
            raise DeployError(
                f"the site is {PROJECT.parent.name} on this machine, and its project is called {self.name} now:\n"
                "https://github.com/copier-django/copier-django/blob/main/docs/switching.md#change-the-slug"
            )
        self.url: str = settings["tool"]["deploy"]["url"].rstrip("/")
        self.releases = Releases(Path("/srv", self.name))
        self.unit = f"{self.name}-web.service"
        if os.geteuid() == 0 or not os.access(self.releases.folder, os.W_OK):
            raise DeployError(
                f"this is for the user whom {self.releases.folder} belongs to: sudo --login --user=deploy"
            )

    def run(self, release: Release, *command: str) -> str:
        """Run a command in a release like the site's own services, and return its output."""
        return run(["sudo", "--non-interactive", f"{self.name}-run", f"--release={release.name}", *command])

    def restart(self, release: Release) -> None:
        """Switch the link to a release and restart the services. Requests wait in the socket meanwhile.

        Raises:
            DeployError: it does not start, or is not ready within READY_TIMEOUT.
        """
        self.releases.switch(release)
        try:
            run(["sudo", "--non-interactive", "systemctl", "restart", self.unit])
        except DeployError as error:
            # Show only the site's own messages, not systemd's.
            log = run(["journalctl", f"_SYSTEMD_UNIT={self.unit}", "--lines=10", "--output=cat", "--quiet"])
            raise DeployError(f"{error}\nThe last lines of its log:\n{log}") from None
        deadline = time.monotonic() + READY_TIMEOUT
        while not (answer := self.ready()).startswith("200"):
            if time.monotonic() > deadline:
                raise DeployError(f"{self.url}/ready/ answers {answer} after {READY_TIMEOUT} s")
            time.sleep(0.2)
        for name in ("worker", "beat"):
            # Running tasks finish before the restart.
            if (release.folder / f"deploy/systemd/{name}.service").exists():
                run(["sudo", "--non-interactive", "systemctl", "restart", f"{self.name}-{name}.service"])

    def ready(self) -> str:
        """Return the status and text of /ready/, or why there is no response."""
        try:
            with urllib.request.urlopen(f"{self.url}/ready/", timeout=ANSWER_TIMEOUT) as answer:  # noqa: S310 - https, as pyproject.toml says
                return f"{answer.status} {answer.read().decode()}"
        except urllib.error.HTTPError as error:
            with error:
                return f"{error.code} {error.read().decode(errors='replace')}"
        except OSError as error:
            return f"nothing ({error})"

    def smoke(self) -> None:
        """Run the smoke suite against the live site.

        Raises:
            DeployError: it does not pass.
        """
        command = [sys.executable, "-m", "pytest", "smoke", "--quiet", "--base-url", self.url]
        done = subprocess.run(
            command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        say(done.stdout.rstrip())
        if done.returncode != 0:
            raise DeployError("the live site does not pass the smoke suite")

    def problems(self) -> list[str]:
        """Return what needs attention, one line each."""
        current = self.releases.current()
        if current is None:
            return ["there is no release yet"]
        found = []
        if not current.checked:
            found.append(f"{current.name} never passed the smoke suite: deploy again, or roll back")
        started = run(["systemctl", "show", "--property=ExecMainStartTimestampMonotonic", "--value", self.unit])
        at_boot = time.time() - time.clock_gettime(time.CLOCK_MONOTONIC)
        if at_boot + int(started) / 1_000_000 < self.releases.link.lstat().st_mtime:
            found.append("the service was started before the last switch: deploy again, or roll back")
        if not (answer := self.ready()).startswith("200"):
            found.append(f"{self.url}/ready/ answers {answer}")
        failed = run(["systemctl", "list-units", "--failed", "--plain", "--no-legend", f"{self.name}-*"])
        found += [f"{line.split()[0]} has failed: journalctl --unit={line.split()[0]}" for line in failed.splitlines()]
        # Packages install their units there. The site's drop-in applies to those whose names have the site's prefix.
        captured = sorted(Path("/usr/lib/systemd/system").glob(f"{self.name}-*.service"))
        found += [
            f"{unit.name} is the system's own, and runs as the site's user: give the project another slug"
            for unit in captured
        ]
        return found + [f"{path} is not what the release has: {installed_by(path)}" for path in self.outdated(current)]

    def outdated(self, release: Release) -> list[Path]:
        """Return installed files that differ from a release's, except those that only root can read."""
        deploy, units = release.folder / "deploy", Path("/etc/systemd")
        installed = {
            deploy / "nginx.conf": Path("/etc/nginx/sites-available", self.name),
            deploy / "run-as-site": Path(f"/usr/local/sbin/{self.name}-run"),
            deploy / "tmpfiles.conf": Path(f"/etc/tmpfiles.d/{self.name}.conf"),
            deploy / "systemd/journald.conf": units / f"journald.conf.d/{self.name}.conf",
            deploy / "systemd/site.conf": units / f"system/{self.name}-.service.d/site.conf",
        }
        for pattern in ("*.service", "*.socket", "*.timer"):
            installed |= {
                unit: units / f"system/{self.name}-{unit.name}" for unit in (deploy / "systemd").glob(pattern)
            }
        return [
            there
            for here, there in installed.items()
            if here.exists() and not (there.exists() and comparable(there) == comparable(here))
        ]


def installed_by(file: Path) -> str:
    """Return which section of the runbook installs a file on the machine."""
    return f"docs/deploy.md, {'Certificate and nginx' if 'nginx' in file.parts else 'Install'}"


def comparable(file: Path) -> bytes:
    """Return what a file has apart from what the runbook's block writes into nginx's, or leaves out of it."""
    return VARIES.sub(b"", file.read_bytes())


def run(command: Sequence[str], folder: Path = PROJECT, variables: Mapping[str, str] | None = None) -> str:
    """Run a command, and return its standard output.

    Raises:
        DeployError: it failed or is not installed; the text is its output.
    """
    env = {name: value for name, value in os.environ.items() if name not in NOT_THE_RELEASES}
    env |= variables or {}
    try:
        done = subprocess.run(
            command, cwd=folder, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        raise DeployError(f"{command[0]} is not installed") from None
    if done.returncode != 0:
        said = "\n".join(filter(None, (done.stdout.strip(), done.stderr.strip())))
        raise DeployError(f"`{' '.join(command)}` ended with {done.returncode}:\n{said}")
    return done.stdout


def say(text: str) -> None:
    """Print a text. If the connection is lost, continue without output instead of stopping halfway."""
    try:
        print(text, flush=True)
    except OSError:
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 - it stays open to the end

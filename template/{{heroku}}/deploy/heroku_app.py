"""Control an app on Heroku with the platform's own `heroku` program."""

import json
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent

# Seconds. Heroku allows a release phase one hour. If migrations take longer than this, a person should look.
RELEASE_TIMEOUT = 15 * 60
# Seconds. A dyno has 60 to bind its port, and the platform needs some to start it.
DYNO_TIMEOUT = 5 * 60
# Seconds between two checks of a running release phase.
INTERVAL = 2.0

type Release = dict[str, Any]


class DeployError(Exception):
    """Say why a step failed, and what to do about it."""


class Heroku:
    """Run the `heroku` program for one app.

    Attributes:
        git_url: the git repository to push code to.
        web_url: the live site.
        maintenance: whether the app is in maintenance mode.
    """

    def __init__(self, app: str | None) -> None:
        """Read the app's details.

        Raises:
            DeployError: the program is not installed or not logged in, or there is no such app.
        """
        # On Windows npm installs a heroku.cmd, which subprocess finds only by its full path.
        program = shutil.which("heroku")
        if not program:
            raise DeployError("the heroku program is not installed: npm install --global heroku@11")
        self.program = program
        self.app = ["--app", app] if app else []
        said = json.loads(self.ask("apps:info", "--json"))["app"]
        self.git_url: str = said["git_url"]
        self.web_url: str = said["web_url"].rstrip("/")
        self.maintenance: bool = said["maintenance"]

    def ask(self, command: str, *arguments: str, timeout: float | None = None, streams: bool = False) -> str:
        """Run a command and return its output; with `streams`, the output goes to the terminal instead.

        Raises:
            DeployError: it failed, or took longer than `timeout` seconds.
        """
        # `heroku run` reads only options that are before its command as its own.
        line = ["heroku", command, *self.app, *arguments]
        output = None if streams else subprocess.PIPE
        try:
            done = subprocess.run(
                [self.program, *line[1:]],
                cwd=PROJECT,
                # Otherwise it would wait for a key press to open a browser for login.
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                text=True,
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise DeployError(f"`{' '.join(line)}` took longer than {timeout:.0f} s") from None
        if done.returncode != 0:
            said = (done.stderr or "").strip()
            # The program asked for that key press, or tried to.
            if "Press any key" in said or "setRawMode" in said:
                said = "heroku is not logged in: run `heroku login`, or set HEROKU_API_KEY"
            raise DeployError(f"`{' '.join(line)}` failed. {said}")
        return done.stdout or ""

    def releases(self) -> list[Release]:
        """Return the latest releases that have code, newest first, each with the start of its `commit`'s hash.

        Heroku has the commit only in the description of the release that a push made; the others share its slug.
        """
        listed: list[Release] = json.loads(self.ask("releases", "--json", "--num", "50"))
        found = [release for release in listed if release["slug"]]
        commits = {
            release["slug"]["id"]: release["description"].removeprefix("Deploy ")
            for release in found
            if release["description"].startswith("Deploy ")
        }
        for release in found:
            release["commit"] = commits.get(release["slug"]["id"], "")
        return sorted(found, key=lambda release: -release["version"])

    def current(self) -> Release | None:
        """Return the release that serves; None if no release has code yet."""
        return next((release for release in self.releases() if release["current"]), None)

    def wait_for_release(self) -> Release:
        """Wait until the release phase of the newest release is over, and return that release, failed or not.

        Raises:
            DeployError: it was not over after RELEASE_TIMEOUT, or there is none.
        """
        deadline = time.monotonic() + RELEASE_TIMEOUT
        problem = "it still runs"
        while time.monotonic() < deadline:
            try:
                newest = next(iter(self.releases()), None)
            except DeployError as error:
                # Keep asking: the platform's API may fail for a moment, while the release goes on.
                problem = str(error)
            else:
                if newest is None:
                    raise DeployError("Heroku has no release with code")
                if newest["status"] != "pending":
                    return newest
            time.sleep(INTERVAL)
        raise DeployError(
            f"the release phase did not end within {RELEASE_TIMEOUT} s ({problem}); the release may still go live "
            "unchecked: see `heroku releases`"
        )

    def go_to(self, version: int) -> None:
        """Make a new release with an earlier one's code and config vars, and wait until its dynos serve.

        Raises:
            DeployError: Heroku refused, or the release phase or the dynos failed.
        """
        self.ask("rollback", f"v{version}")
        if (release := self.wait_for_release())["status"] != "succeeded":
            raise DeployError(f"the release phase of v{release['version']} failed: `heroku releases:output` says why")
        self.wait_for_dynos()

    def workers(self) -> dict[str, int]:
        """Return the number of dynos of each process type except `web`, 0 included.

        Raises:
            DeployError: the command failed, such as when there is no release with code yet.
        """
        # The output is one line: release=0:Basic web=1:Basic worker=1:Basic
        pairs = [pair.partition("=") for pair in self.ask("ps:scale").split()]
        return {kind: int(its.partition(":")[0]) for kind, _, its in pairs if kind not in ("release", "web")}

    def scale(self, dynos: dict[str, int]) -> None:
        """Set the number of dynos of each process type."""
        self.ask("ps:scale", *(f"{kind}={number}" for kind, number in dynos.items()))

    def wait_for_dynos(self) -> None:
        """Wait until every web dyno runs the newest release."""
        self.ask("ps:wait", "--type", "web", timeout=DYNO_TIMEOUT)

"""An app at Heroku, by the platform's own `heroku` program."""

import json
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent

# Seconds. A release phase may take an hour; migrations that take longer than this are worth a person's eye.
RELEASE_TIMEOUT = 15 * 60
# A dyno has 60 seconds to bind its port, and the platform takes its time to start it.
DYNO_TIMEOUT = 5 * 60
# Between two questions about a release that runs.
INTERVAL = 2.0

type Release = dict[str, Any]


class DeployError(Exception):
    """A step failed; the text is what a person should read."""


class Heroku:
    """The `heroku` program, for one app.

    Attributes:
        git_url: where the app's code is pushed to.
        web_url: the live site.
        maintenance: whether it rests now.
    """

    def __init__(self, app: str | None) -> None:
        """Ask for the app; raises DeployError where the program is missing or is not let in."""
        # On Windows npm makes a heroku.cmd, which only a search of the path finds.
        program = shutil.which("heroku")
        if not program:
            raise DeployError("the heroku program is not installed: npm install --global heroku")
        self.program = program
        self.app = ["--app", app] if app else []
        said = json.loads(self.ask("apps:info", "--json"))["app"]
        self.git_url: str = said["git_url"]
        self.web_url: str = said["web_url"].rstrip("/")
        self.maintenance: bool = said["maintenance"]

    def ask(self, command: str, *arguments: str, timeout: float | None = None, streams: bool = False) -> str:
        """What a command prints; with `streams` it goes to the terminal instead.

        Raises:
            DeployError: it failed, or took longer than `timeout` seconds.
        """
        # `heroku run` takes for its own only what stands before the command.
        line = ["heroku", command, *self.app, *arguments]
        output = None if streams else subprocess.PIPE
        try:
            done = subprocess.run(
                [self.program, *line[1:]],
                cwd=PROJECT,
                # Else it would wait for a key that opens a browser to log in.
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                text=True,
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise DeployError(f"`{' '.join(line)}` was not done after {timeout:.0f} s") from None
        if done.returncode != 0:
            said = (done.stderr or "").strip()
            # It has asked for a key to be pressed, or tried to.
            if "Press any key" in said or "setRawMode" in said:
                said = "heroku is not logged in: `heroku login`, or set HEROKU_API_KEY"
            raise DeployError(f"`{' '.join(line)}` failed. {said}")
        return done.stdout or ""

    def releases(self) -> list[Release]:
        """The latest releases that have code, newest first."""
        found: list[Release] = json.loads(self.ask("releases", "--json", "--num", "50"))
        return sorted((release for release in found if release["slug"]), key=lambda release: -release["version"])

    def current(self) -> Release | None:
        """The release that serves; None while there is none with code."""
        return next((release for release in self.releases() if release["current"]), None)

    def wait_for_release(self) -> Release:
        """The newest release with code, once its release phase is over, however it ended.

        Raises:
            DeployError: it was not over after RELEASE_TIMEOUT, or there is none.
        """
        deadline = time.monotonic() + RELEASE_TIMEOUT
        problem = "it still runs"
        while time.monotonic() < deadline:
            try:
                newest = next(iter(self.releases()), None)
            except DeployError as error:
                # The platform's API may fail for a moment, and the release goes on meanwhile.
                problem = str(error)
            else:
                if newest is None:
                    raise DeployError("Heroku knows of no release with code")
                if newest["status"] != "pending":
                    return newest
            time.sleep(INTERVAL)
        raise DeployError(
            f"the release phase was not seen to end within {RELEASE_TIMEOUT} s ({problem}); the release may still go live, "
            "unchecked: `heroku releases`"
        )

    def go_to(self, version: int) -> None:
        """Make a release of an earlier one's code and config vars, and wait until its dynos serve."""
        self.ask("rollback", f"v{version}")
        if (release := self.wait_for_release())["status"] != "succeeded":
            raise DeployError(f"the release phase of v{release['version']} failed: `heroku releases:output` says why")
        self.wait_for_dynos()

    def workers(self) -> dict[str, int]:
        """How many dynos there are of each process type that works beside `web`, 0 included.

        Raises:
            DeployError: there is no release with code yet, among others.
        """
        # One line: release=0:Basic web=1:Basic worker=1:Basic
        pairs = [pair.partition("=") for pair in self.ask("ps:scale").split()]
        return {kind: int(its.partition(":")[0]) for kind, _, its in pairs if kind not in ("release", "web")}

    def scale(self, dynos: dict[str, int]) -> None:
        """Set how many dynos there are of process types."""
        self.ask("ps:scale", *(f"{kind}={number}" for kind, number in dynos.items()))

    def wait_for_dynos(self) -> None:
        """Wait until every web dyno runs the newest release."""
        self.ask("ps:wait", "--type", "web", timeout=DYNO_TIMEOUT)

"""Deploys to Heroku what is committed, and goes back to the release before if the live site is not well.

    uv run python deploy/heroku.py [--app NAME]

A first deploy and a later one are the same command, for a person and for CI. The app is that of the git
remote `heroku`, or of HEROKU_APP, or the one that is named. The `heroku` program has to be logged in,
or to find a token in HEROKU_API_KEY.

Exit codes: 0, the release is live and well; 1, it is not, and the lines before say what serves now.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent

# Seconds. A release phase may take an hour, says Heroku; migrations that take longer than this are worth a person's eye.
RELEASE_TIMEOUT = 15 * 60
# A dyno has 60 seconds to bind its port, and the platform takes its time to start it.
DYNO_TIMEOUT = 5 * 60
# Between two questions about a release that runs.
INTERVAL = 2.0


class DeployError(Exception):
    """A step failed; the text is what a person should read."""


def main() -> int:
    """Deploy; gives the exit code."""
    parser = argparse.ArgumentParser(description="Deploy what is committed, check it, and go back if it fails.")
    parser.add_argument("--app", default=os.environ.get("HEROKU_APP"), help="the app, if no git remote names it")
    try:
        deploy(Heroku(parser.parse_args().app))
    except DeployError as error:
        print(f"\nFAILED: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nBroken off. `heroku releases` says what serves now.", file=sys.stderr)
        return 1
    return 0


class Heroku:
    """The `heroku` program, for one app."""

    def __init__(self, app: str | None) -> None:
        """Ask for the app; raises DeployError where the program is missing or is not let in."""
        self.app = ["--app", app] if app else []
        said = json.loads(self.ask("apps:info", "--json"))["app"]
        self.git_url: str = said["git_url"]
        self.web_url: str = said["web_url"].rstrip("/")

    def ask(self, command: str, *arguments: str, timeout: float | None = None) -> str:
        """What a command prints.

        Raises:
            DeployError: it failed, is not installed, or took longer than `timeout` seconds.
        """
        line = ["heroku", command, *arguments, *self.app]
        try:
            done = subprocess.run(line, cwd=PROJECT, capture_output=True, text=True, timeout=timeout, check=False)
        except FileNotFoundError:
            raise DeployError("the heroku program is not installed: npm install --global heroku") from None
        except subprocess.TimeoutExpired:
            raise DeployError(f"`{' '.join(line)}` was not done after {timeout:.0f} s") from None
        if done.returncode != 0:
            raise DeployError(f"`{' '.join(line)}` said:\n{done.stderr.strip()}")
        return done.stdout

    def releases(self) -> list[dict[str, Any]]:
        """The latest releases, newest first."""
        found: list[dict[str, Any]] = json.loads(self.ask("releases", "--json", "--num", "50"))
        return sorted(found, key=lambda release: -release["version"])

    def current(self) -> dict[str, Any] | None:
        """The release that serves; None while there is none with code."""
        return next((release for release in self.releases() if release["current"] and release["slug"]), None)

    def wait_for_release(self) -> dict[str, Any]:
        """The newest release, once its release phase is over, however it ended.

        Raises:
            DeployError: it was not over after RELEASE_TIMEOUT.
        """
        deadline = time.monotonic() + RELEASE_TIMEOUT
        while (release := self.releases()[0])["status"] == "pending":
            if time.monotonic() > deadline:
                raise DeployError(f"the release phase of v{release['version']} still runs after {RELEASE_TIMEOUT} s")
            time.sleep(INTERVAL)
        return release


def deploy(heroku: Heroku) -> None:
    """Push, wait until the new release serves, check it; and go back if that fails.

    Raises:
        DeployError: the site does not serve what is committed, or is not well; the text says what it serves.
    """
    before = heroku.current()
    step("1/4 push, and build", lambda: push(heroku))
    release = step("2/4 release phase", heroku.wait_for_release)
    if release["status"] != "succeeded":
        output = heroku.ask("releases:output", f"v{release['version']}")
        raise DeployError(f"the release phase of v{release['version']} failed; {serving(before)}.\n{output.strip()}")
    try:
        step("3/4 start the dynos", lambda: heroku.ask("ps:wait", "--type", "web", timeout=DYNO_TIMEOUT))
        step("4/4 check the live site", lambda: check(heroku))
    except DeployError as error:
        raise DeployError(f"{error}\n{go_back(heroku, before, release)}") from None
    print(f"\nv{release['version']} is live and well: {heroku.web_url}")


def push(heroku: Heroku) -> None:
    """Give Heroku what is committed, which it builds before it answers."""
    # The program hands git the token, so that it stands on no command line. The first, empty helper is for no others to be asked.
    helper = ["-c", "credential.helper=", "-c", "credential.helper=!heroku git:credentials"]
    done = subprocess.run(["git", *helper, "push", heroku.git_url, "HEAD:refs/heads/main"], cwd=PROJECT, check=False)
    if done.returncode != 0:
        raise DeployError("the push was refused, as said above; nothing has changed for the live site")


def check(heroku: Heroku) -> None:
    """Run the smoke suite against the live site."""
    command = [sys.executable, "-m", "pytest", "smoke", "--quiet", "--base-url", heroku.web_url]
    if subprocess.run(command, cwd=PROJECT, check=False).returncode != 0:
        raise DeployError("the live site does not pass the smoke suite")


def go_back(heroku: Heroku, before: dict[str, Any] | None, failed: dict[str, Any]) -> str:
    """Return to the release before, and say what serves now."""
    if before is None:
        return "There is no release before to go back to; `heroku logs` may say more."
    if before["version"] == failed["version"]:
        return f"Nothing new was deployed: v{before['version']} is what was live before, too."
    try:
        step(f"go back to v{before['version']}", lambda: heroku.ask("rollback", f"v{before['version']}"))
        if heroku.wait_for_release()["status"] != "succeeded":
            return "Going back failed in its release phase: `heroku releases:output` says why."
        step("start its dynos", lambda: heroku.ask("ps:wait", "--type", "web", timeout=DYNO_TIMEOUT))
        step("check the live site", lambda: check(heroku))
    except DeployError as error:
        return f"Going back to v{before['version']} failed too: {error}"
    return f"Went back: {serving(before)}. Migrations of v{failed['version']} are still applied: docs/deploy.md."


def serving(release: dict[str, Any] | None) -> str:
    """What serves, in words."""
    return f"v{release['version']} serves as before" if release else "nothing serves yet"


def step[Result](name: str, action: Callable[[], Result]) -> Result:
    """Do one step, and print its name, its outcome and the seconds that it took."""
    print(f"\n{name}", flush=True)
    started = time.monotonic()
    try:
        result = action()
    except DeployError:
        print(f"{name}: failed after {time.monotonic() - started:.1f} s", flush=True)
        raise
    print(f"{name}: done in {time.monotonic() - started:.1f} s", flush=True)
    return result


if __name__ == "__main__":
    sys.exit(main())

"""Deploy the newest pushed commit to PythonAnywhere, and roll back if the live site is not healthy.

In a console on PythonAnywhere, in the site's folder:

    python3.13 repository/deploy/pythonanywhere.py [--commit COMMIT | --rollback] [--force] [--without-smoke]

From elsewhere, if the account has ssh (paid ones do):

    python3 deploy/pythonanywhere.py --ssh todolist@ssh.pythonanywhere.com [the same options]

The first deploy and later ones are the same command, for people and for CI. The platform's API needs a token in
API_TOKEN. Consoles have it once you created one; over ssh it is sent through standard input. docs/deploy.md has more.

Exit codes: 0, done, and the site is healthy; 1, failed, and the lines before say which release serves now.
"""

# Old Pythons must be able to parse this file, because it refuses them with a message.
from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pythonanywhere_disk import DeployError, disk_in_words
from pythonanywhere_packages import run
from pythonanywhere_releases import Release, SiteFolder, own_environment

PROJECT = Path(__file__).resolve().parent.parent
DEPLOY = PROJECT / "deploy"
STEPS = 10
RUNNING = f"{sys.version_info[0]}.{sys.version_info[1]}"
# The exit code of the settings if a variable in `.env` is wrong.
REFUSED = 3
UNSURE = (
    "The next start of the web server is {}'s. Reload on the platform's Web page if need be, and see the error log"
    " that it links to"
)


def main() -> int:
    """Deploy or roll back, and return the exit code."""
    arguments = parsed()
    try:
        with disk_in_words():
            return over_ssh(arguments) if arguments.ssh else here(arguments)
    except DeployError as error:
        print(f"\nFAILED: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nBroken off. The link `current` names the release that serves; run this again.", file=sys.stderr)
        return 1


def here(arguments: argparse.Namespace) -> int:
    """Deploy or roll back in the account, and return the exit code.

    Raises:
        DeployError: the site does not serve the release, or is not healthy; the text says which one it serves.
    """
    if arguments.token_from_stdin:
        os.environ["API_TOKEN"] = sys.stdin.readline().strip() or os.environ.get("API_TOKEN", "")
    refuse_elsewhere()
    site = SiteFolder(PROJECT.parent)
    if arguments.pulled:
        # The process that pulled holds the lock, and waits for this one.
        Deploy(site, smoke=not arguments.without_smoke).go_live()
        return 0
    site.prepare()
    with site.locked():
        if arguments.rollback:
            Deploy(site, smoke=not arguments.without_smoke).roll_back()
            return 0
        try:
            step(f"1/{STEPS} pull", lambda: site.pull(arguments.commit, force=arguments.force))
            python = own_python()
        except DeployError as error:
            raise DeployError(f"{error}\n{serving(site.live())}; nothing has changed for it.") from None
        # Continue with the script that was pulled.
        again = [python, __file__, "--pulled", *(["--without-smoke"] if arguments.without_smoke else [])]
        return subprocess.run(again, check=False).returncode


def parsed() -> argparse.Namespace:
    """Return the command line's options; end the process if they do not fit together."""
    parser = argparse.ArgumentParser(description="Deploy the pushed commit, check the site, roll back if that fails.")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--commit", help="deploy this pushed commit instead of the newest")
    what.add_argument("--rollback", action="store_true", help="roll back to the previous release")
    parser.add_argument("--force", action="store_true", help="deploy an older commit, or one of another branch, too")
    parser.add_argument("--without-smoke", action="store_true", help="do not check the live site afterwards")
    parser.add_argument("--ssh", metavar="USER@HOST", help="run it there: todolist@ssh.pythonanywhere.com")
    parser.add_argument("--token-from-stdin", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--pulled", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.commit is not None and not re.fullmatch("[0-9a-f]{7,40}", arguments.commit):
        parser.error("--commit wants what `git rev-parse HEAD` prints")
    if arguments.ssh is not None and not re.fullmatch(r"[A-Za-z0-9]+@[A-Za-z0-9][A-Za-z0-9.-]*", arguments.ssh):
        parser.error("--ssh wants the account and the host, like todolist@ssh.pythonanywhere.com")
    return arguments


def over_ssh(arguments: argparse.Namespace) -> int:
    """Run this script in the account over ssh, and return its exit code.

    Raises:
        DeployError: the login failed.
    """
    python = f"python{python_version()}"
    remote = [python, f"{slug()}/repository/deploy/pythonanywhere.py", "--token-from-stdin"]
    remote += ["--rollback"] if arguments.rollback else []
    remote += ["--commit", arguments.commit] if arguments.commit else []
    remote += ["--force"] if arguments.force else []
    remote += ["--without-smoke"] if arguments.without_smoke else []
    # The variable is not set over ssh, only in consoles.
    where = os.environ.get("PYTHONANYWHERE_SITE") or site_of(arguments.ssh)
    remote = ["env", f"PYTHONANYWHERE_SITE={where}", *remote] if where else remote
    # Without a terminal, so that nothing asks for a password.
    command = ["ssh", "-T", "-o", "BatchMode=yes", arguments.ssh, shlex.join(remote)]
    try:
        done = subprocess.run(command, input=os.environ.get("API_TOKEN", "") + "\n", text=True, check=False)
    except FileNotFoundError:
        raise DeployError(
            "the ssh program is not installed. Deploy in a Bash console of the platform instead"
        ) from None
    if done.returncode == 255:
        raise DeployError(
            f"ssh could not reach {arguments.ssh}, for the reason above; nothing was deployed. Free accounts have no ssh:"
            " deploy in a Bash console of the platform instead"
        )
    if done.returncode == 127:
        raise DeployError(f"{arguments.ssh} has no {python}: see its system image, on the platform's Account page")
    return done.returncode


def site_of(login: str) -> str | None:
    """Return the host of the platform's API for an ssh login; None for a host that has a name of your own."""
    found = re.fullmatch(r".*@ssh\.(eu\.)?pythonanywhere\.com", login, re.IGNORECASE)
    return f"{found[1] or 'www.'}pythonanywhere.com".lower() if found else None


def refuse_elsewhere() -> None:
    """Check that this is the folder that the site runs in, and that this Python is not older than the site's.

    Raises:
        DeployError: it is not.
    """
    expected = Path.home() / slug() / "repository"
    if expected.resolve() != PROJECT:
        raise DeployError(
            f"the web server looks for the site in {expected.parent}, and this is {PROJECT}.\nOn PythonAnywhere, clone the"
            f" project into {expected}; from elsewhere, use --ssh (docs/deploy.md)"
        )
    # A newer one is fine: the next release may need it.
    if [int(part) for part in RUNNING.split(".")] < [int(part) for part in python_version().split(".")]:
        raise DeployError(
            f"this is Python {sys.version.split()[0]}, and .python-version asks for {python_version()}:"
            f" python{python_version()} {' '.join(sys.argv)}"
        )


def slug() -> str:
    """Return the project's slug, from the WSGI file."""
    found = re.search('^name = "(.+)"$', (PROJECT / "pyproject.toml").read_text(), re.MULTILINE)
    if not found:
        raise DeployError("pyproject.toml names no project")
    return found.group(1)


def python_version(folder: Path = PROJECT) -> str:
    """Return the Python version of the project, or of the release in a folder, like 3.13."""
    return (folder / ".python-version").read_text().strip()


def own_python() -> str:
    """Return the Python for the pulled commit, which may need another version than the current one.

    Raises:
        DeployError: it is not installed.
    """
    name = f"python{python_version()}"
    found = sys.executable if name == f"python{RUNNING}" else shutil.which(name)
    if not found:
        raise DeployError(f"the commit needs {name}, which is not here: see the system image, on the Account page")
    return found


class Deploy:
    """Deploy the current commit of the repository, or roll back."""

    def __init__(self, site: SiteFolder, *, smoke: bool) -> None:
        self.site = site
        self.smoke = smoke
        self.before = site.live()
        self.facts: dict[str, str] = {}

    def go_live(self) -> None:
        """Make a release, switch to it, and check the live site; roll back if that fails.

        Raises:
            DeployError: the site does not serve the release, or is not healthy; the text says which one it serves.
        """
        site = self.site
        try:
            site.make_room(sys.executable)
            release = site.make()
            step(f"2/{STEPS} install", lambda: print(site.install(release, sys.executable)))
            step(f"3/{STEPS} check the settings and the database", lambda: self.read_settings(release))
            step(f"4/{STEPS} ask the platform", lambda: self.ask("look", release))
            # Before migrating, because a failure here changes nothing in the database.
            step(f"5/{STEPS} collect the static files", lambda: self.manage(release, "collectstatic", "--noinput"))
        except DeployError as error:
            site.give_back()
            raise DeployError(f"{error}\n{serving(self.before)}; nothing has changed for it.") from None
        except KeyboardInterrupt:
            site.give_back()
            raise
        try:
            step(f"6/{STEPS} migrate", lambda: self.manage(release, "migrate", "--noinput"))
            release = site.finish(release)
        except DeployError as error:
            # Keep the release: only its code can undo the migrations that may be applied.
            raise DeployError(
                f"{error}\n{serving(self.before)}; some migrations may be applied, which {release.folder} can undo until"
                " the next deploy: docs/deploy.md, Undo a migration."
            ) from None
        try:
            step(f"7/{STEPS} switch to {release.name}", lambda: site.switch(release))
            step(f"8/{STEPS} web app", lambda: self.set_up(release))
            step(f"9/{STEPS} reload", lambda: self.ask("reload", release))
            step(f"10/{STEPS} check the live site", lambda: self.check(release))
        except DeployError as error:
            raise DeployError(f"{error}\n{self.go_back()}") from None
        site.tidy()
        print(f"\n{release.name} is live{' and healthy' if self.smoke else ''}: https://{self.facts['domain']}")

    def roll_back(self) -> None:
        """Roll back to the previous release: its code, packages, static files and variables.

        Raises:
            DeployError: there is none, or the site is not healthy with it.
        """
        target = self.site.find(self.before.before) if self.before else None
        if self.before is None or target is None:
            raise DeployError(f"there is no earlier release to roll back to. {serving(self.before)}")
        try:
            # Before the switch, because a failure here changes nothing.
            step(f"read the settings of {target.name}", lambda: self.read_settings(target, earlier=True))
        except DeployError as error:
            raise DeployError(f"{error}\n{serving(self.before)}; nothing has changed for it.") from None
        try:
            step(f"roll back to {target.name}", lambda: self.site.switch(target))
            self.serve(target)
        except DeployError as error:
            raise DeployError(f"{error}\n{UNSURE.format(target.name)}") from None
        undone = f"If {self.before.name} had migrations, they are still applied: docs/deploy.md, Undo a migration."
        print(f"\nRolled back: {target.name} serves, https://{self.facts['domain']}. {undone}")

    def go_back(self) -> str:
        """Roll back to the previous release after a failed deploy, and return what serves now, in words."""
        before = self.before
        if before is None:
            return "There is no earlier release to roll back to, so this one stays."
        try:
            step(f"roll back to {before.name}", lambda: self.site.switch(before))
            step("read its settings", lambda: self.read_settings(before, earlier=True))
            self.serve(before)
        except DeployError as error:
            return f"Rolling back to {before.name} failed too: {error}\n{UNSURE.format(before.name)}"
        return (
            f"Rolled back: {serving(before)}. If there were new migrations, they are still applied: docs/deploy.md,"
            " Undo a migration."
        )

    def serve(self, release: Release) -> None:
        """Let the web app serve an earlier release, which the link leads to already.

        Raises:
            DeployError: the web app could not be reloaded, or the site is not healthy with it.
        """
        step("web app", lambda: self.set_up(release))
        step("reload", lambda: self.ask("reload", release))
        step("check the live site", lambda: self.check(release))

    def read_settings(self, release: Release, *, earlier: bool = False) -> None:
        """Read the web app's name and other facts from the settings of a release, a new one or an earlier one."""
        script = str(DEPLOY / "pythonanywhere_settings.py")
        done = subprocess.run(
            [str(release.python), script],
            cwd=release.folder,
            env=own_environment(release),
            stdout=subprocess.PIPE,
            check=False,
        )
        if done.returncode == REFUSED:
            advice = (
                f"{release.name} has the variables of its time. For its code with those of {self.site.env_file}: --commit"
                f" {release.commit[:8]} --force"
                if earlier
                else f"correct them in {self.site.env_file}"
            )
            raise DeployError(f"the settings are refused, for the reasons above: {advice}")
        if done.returncode != 0:
            raise DeployError("the code does not start or pass its checks, for the reason above: fix it, and push")
        self.facts = json.loads(done.stdout.splitlines()[-1])

    def manage(self, release: Release, *command: str) -> None:
        """Run one of Django's commands in a release."""
        line = [str(release.python), "manage.py", *command]
        run(line, release.folder, f"`manage.py {command[0]}` failed, for the reason above", own_environment(release))

    def ask(self, action: str, release: Release) -> None:
        """Ask the platform's API to change the web app."""
        wanted: dict[str, Any] = {
            **self.facts,
            "python": python_version(release.folder),
            "virtualenv": str(self.site.current / ".venv"),
            "source": str(self.site.current),
        }
        python = f"cd {self.site.current} && exec .venv/bin/python"
        wanted["processes"] = [f"{python} {process}" for process in self.facts["processes"]]
        script = str(DEPLOY / "pythonanywhere_api.py")
        run([str(release.python), script, action, json.dumps(wanted)], release.folder, "the platform did not do it")

    def set_up(self, release: Release) -> None:
        """Configure the web app, and install its WSGI file."""
        self.ask("configure", release)
        installed = Path("/var/www", f"{self.facts['domain'].replace('.', '_').lower()}_wsgi.py")
        text = (release.folder / "deploy" / "pythonanywhere_wsgi.py").read_text()
        try:
            # Write it only if it changed, because writing it makes the platform reload the web app.
            if not installed.is_file() or installed.read_text() != text:
                installed.write_text(text)
                print(f"installed the WSGI file: {installed}")
        except OSError as error:
            raise DeployError(f"{installed} cannot be written ({error.strerror}): is this PythonAnywhere?") from None

    def check(self, release: Release) -> None:
        """Run the smoke suite against the live site."""
        url = f"https://{self.facts['domain']}"
        if not self.smoke:
            print(f"skipped (--without-smoke). From elsewhere: uv run pytest smoke --base-url {url}")
            return
        command = [str(release.python), "-m", "pytest", "smoke", "--quiet", "-p", "no:cacheprovider", "--base-url", url]
        env = own_environment(release)
        # The suite does not use the site's settings.
        env.pop("DJANGO_SETTINGS_MODULE")
        run(command, release.folder, "the live site does not pass the smoke suite", env)


def serving(release: Release | None) -> str:
    """Return which release serves, in words."""
    return f"{release.name} serves as before" if release else "Nothing serves yet"


def step(name: str, action: Callable[[], Any]) -> None:
    """Run one step, and print its name, outcome and duration in seconds.

    Raises:
        DeployError: it failed.
    """
    print(f"\n{name}", flush=True)
    started = time.monotonic()
    try:
        with disk_in_words():
            action()
    except DeployError:
        print(f"{name}: failed after {time.monotonic() - started:.1f} s", flush=True)
        raise
    print(f"{name}: done in {time.monotonic() - started:.1f} s", flush=True)


if __name__ == "__main__":
    sys.exit(main())

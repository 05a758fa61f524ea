"""Deploys to this machine what is checked out, and goes back to the release before if the live site is not well.

    uv run python deploy/machine.py [deploy]              build a release beside the one that serves, and switch to it
    uv run python deploy/machine.py rollback [RELEASE]    to the release before, or to one that `status` lists
    uv run python deploy/machine.py status                what serves, what else is there, and what needs an eye

It is run by the deploy user on the site's machine, in /srv/<site>/repository, for a person and for CI. A first
deploy and a later one are the same command. What it does as root, /etc/sudoers.d/<site> allows.

Exit codes: 0, the release is live and well; 1, it is not, and the lines before say what serves now.
"""

import argparse
import os
import secrets
import signal
import sys
import time
import tomllib
from collections.abc import Callable

from releases import DeployError, Release
from service import Site, run, say

# What collectstatic needs of the environment, which is not the site's: building wants no secret.
# What else your settings require stands in pyproject.toml under [tool.smoke.variables], with any value that they accept.
FOR_COLLECTING = {
    "DJANGO_SETTINGS_MODULE": "config.settings.production",
    "ALLOWED_HOSTS": "localhost",
    "DATABASE_URL": "sqlite://:memory:",
}
# What can break a step off. Whatever it is, the release before shall serve.
BROKEN = (DeployError, KeyboardInterrupt, OSError)


def main() -> int:
    """Do what the command line says; gives the exit code."""
    parser = argparse.ArgumentParser(description="Deploy what is checked out, check it, and go back if it fails.")
    parser.add_argument("action", nargs="?", choices=["deploy", "rollback", "status"], default="deploy")
    parser.add_argument("release", nargs="?", help="for rollback: the release to go back to")
    arguments = parser.parse_args()
    if arguments.release and arguments.action != "rollback":
        parser.error(f"{arguments.action} takes no release")
    for sent in (signal.SIGTERM, signal.SIGHUP):
        # As Ctrl-C: whoever is broken off goes back first.
        signal.signal(sent, signal.default_int_handler)
    # Who serves has to read what is built here, whatever this user's own habit is.
    os.umask(0o022)
    try:
        site = Site()
        if arguments.action == "status":
            return status(site)
        with site.releases.locked():
            if arguments.action == "rollback":
                roll_back(site, arguments.release)
            else:
                deploy(site)
    except BROKEN as error:
        say(f"\nFAILED: {reason(error)}")
        return 1
    return 0


def deploy(site: Site) -> None:
    """Build a release, check it, let it serve, check the live site; and go back if that fails.

    Raises:
        DeployError: the release does not serve, or is not well; the text says what serves.
    """
    before = site.releases.well()
    release = site.releases.create()
    try:
        step("1/5 build the release", lambda: build(release))
        step("2/5 check its settings, and that it starts", lambda: check(site, release))
        step("3/5 migrate the database", lambda: site.run(release, "python", "manage.py", "migrate", "--noinput"))
    except BROKEN as error:
        # A migration goes on when nobody waits for it any more, and needs the folder.
        if not isinstance(error, KeyboardInterrupt):
            site.releases.remove(release)
        raise DeployError(f"{reason(error)}\nNothing was switched: {serving(before)}.") from None
    try:
        step("4/5 switch to it, and restart", lambda: site.restart(release))
        step("5/5 check the live site", lambda: site.smoke())
    except BROKEN as error:
        raise DeployError(f"{reason(error)}\n{go_back(site, before, release)}") from None
    release.mark_checked()
    site.releases.prune()
    say(f"\n{release.name} is live and well: {site.url}")
    for path in site.outdated(release):
        say(f"{path} is not what the release has: docs/deploy.md, Install")


def build(release: Release) -> None:
    """Make a release of the commit that is checked out, beside what serves and out of its sight."""
    # What serves comes first.
    os.nice(10)
    if changed := run(["git", "status", "--short"]):
        say(f"Not in the release, since it is not committed:\n{changed}")
    commit = run(["git", "log", "--max-count=1", "--format=%H %s"]).strip()
    archive = release.folder / "archive.tar"
    run(["git", "archive", f"--output={archive}", "HEAD"])
    run(["tar", "--extract", f"--file={archive}"], release.folder)
    archive.unlink()
    # A Python that uv brings has to lie where the service may look, which is not in anybody's home.
    own = {"UV_COMPILE_BYTECODE": "1", "UV_PYTHON_INSTALL_DIR": str(release.folder.parent.parent / "python")}
    run([os.environ.get("UV", "uv"), "sync", "--quiet", "--locked", "--no-default-groups"], release.folder, own)
    python = str(release.folder / ".venv/bin/python")
    # Who serves cannot write what Python would write beside the code.
    run([python, "-m", "compileall", "-q", "apps", "config"], release.folder)
    variables = {**FOR_COLLECTING, **variables_for_building(release), "SECRET_KEY": secrets.token_urlsafe(50)}
    run([python, "manage.py", "collectstatic", "--noinput"], release.folder, variables)
    release.finish(commit)
    say(commit)


def variables_for_building(release: Release) -> dict[str, str]:
    """What a release's settings require beside FOR_COLLECTING."""
    settings = tomllib.loads((release.folder / "pyproject.toml").read_text())
    variables: dict[str, str] = settings["tool"]["smoke"].get("variables", {})
    return variables


def check(site: Site, release: Release) -> None:
    """See that a release accepts the site's environment, and that gunicorn could load it."""
    site.run(release, "python", "manage.py", "check", "--deploy")
    site.run(release, "python", "-m", "gunicorn", "--check-config")


def go_back(site: Site, before: Release | None, failed: Release) -> str:
    """Return to the release before, and say what serves now."""
    if before is None:
        return "There is no release before to go back to. The log may say more: docs/deploy.md has how to read it."
    try:
        step(f"go back to {before.name}", lambda: site.restart(before))
        step("check the live site", lambda: site.smoke())
    except BROKEN as error:
        return f"Going back to {before.name} failed too: {reason(error)}"
    site.releases.remove(failed)
    return f"Went back: {serving(before)}. What {failed.name} has migrated stays migrated: docs/deploy.md."


def roll_back(site: Site, name: str | None) -> None:
    """Go back to the release before, or to the one that is named.

    Raises:
        DeployError: there is none, or it is not well.
    """
    target = site.releases.named(name) if name else site.releases.before(site.releases.current())
    if target is None:
        raise DeployError("there is no release before that was well; nothing was done")
    step(f"1/2 switch to {target.name}, and restart", lambda: site.restart(target))
    step("2/2 check the live site", lambda: site.smoke())
    target.mark_checked()
    say(f"\n{target.name} is live and well: {site.url}\nThe database is as it was: docs/deploy.md, for a migration.")


def status(site: Site) -> int:
    """Print what serves, the other releases, and what needs an eye; gives the exit code."""
    current = site.releases.current()
    for release in site.releases.all():
        remark = "serves" if release == current else "" if release.checked else "failed"
        say(f"{release.name}  {remark:<6}  {release.commit}")
    problems = site.problems()
    say("\n".join(problems) if problems else f"{site.url} is live and well")
    return 1 if problems else 0


def serving(release: Release | None) -> str:
    """What serves, in words."""
    return f"{release.name} serves as before" if release else "nothing serves yet"


def reason(error: BaseException) -> str:
    """Why a step was not done."""
    return "broken off" if isinstance(error, KeyboardInterrupt) else str(error)


def step(name: str, action: Callable[[], object]) -> None:
    """Do one step, and print its name, its outcome and the seconds that it took."""
    say(f"\n{name}")
    started, outcome = time.monotonic(), "failed after"
    try:
        action()
        outcome = "done in"
    finally:
        say(f"{name}: {outcome} {time.monotonic() - started:.1f} s")


if __name__ == "__main__":
    sys.exit(main())

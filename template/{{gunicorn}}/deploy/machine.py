"""Deploy the current commit to this machine, and roll back if the live site is not healthy.

    uv run --locked python deploy/machine.py [deploy]              build a release beside the live one, and switch to it
    uv run --locked python deploy/machine.py rollback [RELEASE]    roll back to the previous release, or to one of `status`
    uv run --locked python deploy/machine.py status                list the releases, and anything that needs attention

Run it as the deploy user on the site's machine, in /srv/<site>/repository. CI runs the same commands, and the first
deploy is like each later one. /etc/sudoers.d/<site> allows the commands that it runs as root.

Exit codes: 0, the site is healthy; 1, failed, and the lines before say which release serves now.
"""

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable

from releases import DeployError, Release
from service import Site, installed_by, run, say

# What can end a step early. In each case the previous release must serve.
BROKEN = (DeployError, KeyboardInterrupt, OSError)


def main() -> int:
    """Run the command line's action, and return the exit code."""
    parser = argparse.ArgumentParser(description="Deploy the current commit, check the site, roll back if that fails.")
    parser.add_argument("action", nargs="?", choices=["deploy", "rollback", "status"], default="deploy")
    parser.add_argument("release", nargs="?", help="for rollback: the release to roll back to")
    arguments = parser.parse_args()
    if arguments.release and arguments.action != "rollback":
        parser.error(f"{arguments.action} takes no release")
    for sent in (signal.SIGTERM, signal.SIGHUP):
        # Handle these like Ctrl-C: roll back before the end.
        signal.signal(sent, signal.default_int_handler)
    # The site's user must be able to read the release, whatever this user's own umask is.
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
    """Build a release, check it, switch to it, and check the live site; roll back if that fails.

    Raises:
        DeployError: the release does not serve, or is not healthy; the text says which release serves.
    """
    before = site.releases.well()
    release = site.releases.create()
    try:
        step("1/5 build the release", lambda: build(release))
        step("2/5 check its settings, and that it starts", lambda: check(site, release))
        step("3/5 migrate the database", lambda: site.run(release, "python", "manage.py", "migrate", "--noinput"))
    except BROKEN as error:
        # After Ctrl-C, keep the folder: a migration may still be running in it.
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
    say(f"\n{release.name} is live and healthy: {site.url}")
    for path in site.outdated(release):
        say(f"{path} is not what the release has: {installed_by(path)}")


def build(release: Release) -> None:
    """Make a release of the current commit, in a folder of its own."""
    # The live site has priority.
    os.nice(10)
    if changed := run(["git", "status", "--short"]):
        say(f"Not in the release, because it is not committed:\n{changed}")
    commit = run(["git", "log", "--max-count=1", "--format=%H %s"]).strip()
    archive = release.folder / "archive.tar"
    run(["git", "archive", f"--output={archive}", "HEAD"])
    run(["tar", "--extract", f"--file={archive}"], release.folder)
    archive.unlink()
    # uv may download a Python. The site's service cannot read home folders, so keep it beside the releases.
    own = {"UV_COMPILE_BYTECODE": "1", "UV_PYTHON_INSTALL_DIR": str(release.folder.parent.parent / "python")}
    run([os.environ.get("UV", "uv"), "sync", "--quiet", "--locked", "--no-default-groups"], release.folder, own)
    python = str(release.folder / ".venv/bin/python")
    # The site's user cannot write to the release, so compile the code now.
    run([python, "-m", "compileall", "-q", "apps", "config"], release.folder)
    run([python, "-m", "operations.placeholders", "collectstatic", "--noinput"], release.folder)
    release.finish(commit)
    say(commit)


def check(site: Site, release: Release) -> None:
    """Check that a release accepts the site's environment, and that gunicorn can load it."""
    site.run(release, "python", "manage.py", "check", "--deploy")
    site.run(release, "python", "-m", "gunicorn", "--check-config")


def go_back(site: Site, before: Release | None, failed: Release) -> str:
    """Roll back to the previous release, and return what serves now, in words."""
    if before is None:
        return "There is no earlier release to roll back to. The log may say more: see docs/deploy.md, Logs."
    try:
        step(f"roll back to {before.name}", lambda: site.restart(before))
        step("check the live site", lambda: site.smoke())
    except BROKEN as error:
        return f"Rolling back to {before.name} failed too: {reason(error)}"
    # Only its own code can undo its migrations.
    site.releases.prune(spared=failed)
    return (
        f"Rolled back: {serving(before)}. If {failed.name} has migrations, they are still applied: "
        "docs/troubleshooting.md, After a deploy that rolled back."
    )


def roll_back(site: Site, name: str | None) -> None:
    """Roll back to the last release of another commit, or to the named one, and check the live site.

    Raises:
        DeployError: there is no such release, or it is not healthy.
    """
    target = site.releases.named(name) if name else site.releases.earlier()
    if target is None:
        raise DeployError("there is no earlier release of another commit that was healthy; nothing was done")
    try:
        step(f"1/2 switch to {target.name}, and restart", lambda: site.restart(target))
        step("2/2 check the live site", lambda: site.smoke())
    except BROKEN as error:
        raise DeployError(
            f"{reason(error)}\n{target.name} is switched on all the same, so do not roll back again: "
            "docs/troubleshooting.md says what to do."
        ) from None
    target.mark_checked()
    say(f"\n{target.name} is live and healthy: {site.url}")
    say("If a newer release has migrations, they are still applied: docs/deploy.md, Undo a migration.")


def status(site: Site) -> int:
    """Print the releases and anything that needs attention, and return the exit code."""
    current = site.releases.current()
    for release in site.releases.all():
        remark = "serves" if release == current else "" if release.checked else "failed"
        say(f"{release.name}  {remark:<6}  {release.commit}")
    problems = site.problems()
    say("\n".join(problems) if problems else f"{site.url} is live and healthy")
    return 1 if problems else 0


def serving(release: Release | None) -> str:
    """Return which release serves, in words."""
    return f"{release.name} serves as before" if release else "nothing serves yet"


def reason(error: BaseException) -> str:
    """Return why a step failed."""
    return "interrupted" if isinstance(error, KeyboardInterrupt) else str(error)


def step(name: str, action: Callable[[], object]) -> None:
    """Run one step, and print its name, outcome and duration in seconds."""
    say(f"\n{name}")
    started, outcome = time.monotonic(), "failed after"
    try:
        action()
        outcome = "done in"
    finally:
        say(f"{name}: {outcome} {time.monotonic() - started:.1f} s")


if __name__ == "__main__":
    sys.exit(main())

"""Deploy the current commit to Heroku, and roll back if the live site is not healthy.

    uv run python deploy/heroku.py                          deploy, the first time and later
    uv run python deploy/heroku.py --force                  deploy to staging, where one branch replaces another
    uv run python deploy/heroku.py --rollback               roll back to the previous code
    uv run python deploy/heroku.py --undo APP MIGRATION     roll back, and undo the migrations after MIGRATION first

People and CI run the same commands. The app is the one that `--app` or HEROKU_APP names, else the one of the git
remote `heroku`. The `heroku` program must be logged in, or HEROKU_API_KEY must hold a token.

Exit codes: 0, done, and the site is healthy; 1, failed, and the last lines say why and which release serves now.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable

from heroku_app import PROJECT, DeployError, Heroku, Release

# pytest's exit code for failed checks. Any other code but 0 says nothing about the site.
CHECKS_FAILED = 1


class NotWellError(DeployError):
    """Say that the live site was checked and is not healthy."""


def main() -> int:
    """Deploy or roll back, and return the exit code."""
    parser = argparse.ArgumentParser(description="Deploy the current commit, check the site, roll back if that fails.")
    parser.add_argument("--app", default=os.environ.get("HEROKU_APP"), help="the app, if no git remote names it")
    parser.add_argument("--rollback", action="store_true", help="roll back to the previous code")
    parser.add_argument(
        "--undo", nargs=2, metavar=("APP", "MIGRATION"), help="undo the migrations after this one, then roll back"
    )
    parser.add_argument("--force", action="store_true", help="deploy even if the last deployed commit is not contained")
    asked = parser.parse_args()
    try:
        heroku = Heroku(asked.app)
        if asked.undo:
            undo(heroku, *asked.undo)
        elif asked.rollback:
            roll_back(heroku)
        else:
            deploy(heroku, force=asked.force)
    except DeployError as error:
        print(f"\nFAILED: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted. `heroku releases` says what serves now.", file=sys.stderr)
        return 1
    return 0


def deploy(heroku: Heroku, *, force: bool) -> None:
    """Push, wait until the new release serves, and check the site; roll back if it is not healthy.

    With `force`, the commit need not contain the one that was pushed last.

    Raises:
        DeployError: the site does not serve this commit, or is not healthy; the text says which release it serves.
    """
    refuse_in_maintenance(heroku)
    refuse_without_checks()
    before = heroku.current()
    known = heroku.workers() if before else {}
    step("1/4 push, and build", lambda: push(heroku, force=force))
    newest = step("2/4 release phase", heroku.wait_for_release)
    of_head = releases_of_head(heroku)
    # The newest release need not be the push's: each config var and each retry makes another release of the same code.
    if newest["slug"]["id"] != of_head[0]["slug"]["id"]:
        made = next((release for release in of_head if release["status"] == "succeeded"), of_head[0])
        again = f", or use it again: `heroku rollback v{made['version']}`" if made["status"] == "succeeded" else ""
        raise DeployError(
            f"Heroku has this commit as v{made['version']} and does not serve it, because somebody rolled it back; "
            f"{serving(before)}. Commit a fix{again}"
        )
    if newest["status"] != "succeeded":
        output = heroku.ask("releases:output", f"v{newest['version']}")
        raise DeployError(
            f"the release phase of v{newest['version']} ({newest['description']}) failed; {serving(before)}. `heroku "
            "releases:retry` tries again; a new commit or a changed config var makes a new release. Its output:\n"
            f"{output.strip()}"
        )
    try:
        start_workers(heroku, known)
        step("3/4 start the dynos", heroku.wait_for_dynos)
        step("4/4 check the live site", lambda: check(heroku))
    except DeployError as error:
        raise DeployError(f"{error}\n{go_back(heroku, before, newest)}") from None
    print(f"\nv{newest['version']} is live and healthy: {heroku.web_url}")


def push(heroku: Heroku, *, force: bool) -> None:
    """Push the current commit to Heroku, and wait until it is built.

    Raises:
        DeployError: the push was refused.
    """
    # The `heroku` program gives git the token, which so is on no command line. The empty helper removes all others.
    helper = ["-c", "credential.helper=", "-c", "credential.helper=!heroku git:credentials"]
    # The plus is a forced push.
    what = "+HEAD:refs/heads/main" if force else "HEAD:refs/heads/main"
    done = subprocess.run(["git", *helper, "push", heroku.git_url, what], cwd=PROJECT, check=False)
    if done.returncode != 0:
        raise DeployError("the push was refused, see above; nothing has changed for the live site")


def releases_of_head(heroku: Heroku) -> list[Release]:
    """Return the releases of the newest build of the current commit, newest first.

    Raises:
        DeployError: there is none.
    """
    line = ["git", "rev-parse", "HEAD"]
    head = subprocess.run(line, cwd=PROJECT, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    releases = heroku.releases()
    for release in releases:
        if release["commit"] and head.startswith(release["commit"]):
            return [one for one in releases if one["slug"]["id"] == release["slug"]["id"]]
    raise DeployError(f"Heroku has no release of {head[:8]}: `heroku releases` lists those that it has")


def start_workers(heroku: Heroku, known: dict[str, int]) -> None:
    """Start one dyno of each new process type, because Heroku itself starts only `web`.

    A process type that is `known` from before and has no dyno was stopped by a person, and stays stopped. On the first
    deploy no type counts as known, because an earlier try may have failed before this program started its dynos.
    """
    if len({release["slug"]["id"] for release in heroku.releases() if release["status"] == "succeeded"}) == 1:
        known = {}
    new = [kind for kind, number in heroku.workers().items() if number == 0 and kind not in known]
    if new:
        heroku.scale(dict.fromkeys(new, 1))


def refuse_in_maintenance(heroku: Heroku) -> None:
    """Refuse to deploy or roll back in maintenance mode: every check would get 503.

    Raises:
        DeployError: the app is in maintenance mode.
    """
    if heroku.maintenance:
        raise DeployError("the app is in maintenance mode and could not be checked: run `heroku maintenance:off` first")


SMOKE = [sys.executable, "-m", "pytest", "smoke", "--quiet"]


def refuse_without_checks() -> None:
    """Refuse to deploy if the smoke suite cannot run here: the deploy could not check the live site.

    Raises:
        DeployError: the smoke suite does not run here; the text says why.
    """
    done = subprocess.run([*SMOKE, "--collect-only"], cwd=PROJECT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = [line.removeprefix("ERROR: ") for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
        reason = said[0] if said else "run `uv sync`, and start this with `uv run python`"
        raise DeployError(f"the smoke suite does not run here: {reason}")


def check(heroku: Heroku) -> None:
    """Run the smoke suite against the live site.

    Raises:
        NotWellError: a check failed.
        DeployError: the checks could not run.
    """
    code = subprocess.run([*SMOKE, "--base-url", heroku.web_url], cwd=PROJECT, check=False).returncode
    if code == CHECKS_FAILED:
        raise NotWellError("the live site does not pass the smoke suite")
    if code != 0:
        raise DeployError(f"the smoke suite ended with pytest's code {code}, so the site is not checked")


def go_back(heroku: Heroku, before: Release | None, failed: Release) -> str:
    """Roll back from a release that failed, and return in words what serves now."""
    version = failed["version"]
    if before is None:
        return f"There is no earlier release to roll back to: v{version} serves. `heroku logs` may say more."
    if before["slug"]["id"] == failed["slug"]["id"]:
        return f"This code was live before, too: v{version} serves."
    try:
        step(f"roll back to v{before['version']}", lambda: heroku.go_to(before["version"]))
    except DeployError as error:
        return f"Rolling back to v{before['version']} failed too: {error}. `heroku releases` says what serves."
    try:
        step("check the live site", lambda: check(heroku))
    except DeployError as error:
        return f"Rolled back, {serving(before)}, and {error}: the cause is not this release's code alone."
    return (
        f"Rolled back: {serving(before)}. If `heroku releases:output v{version}` lists migrations, they are still "
        f"applied. If v{before['version']} does not work with them: "
        "uv run python deploy/heroku.py --undo APP MIGRATION"
    )


def earlier_and_later(heroku: Heroku) -> tuple[Release, Release]:
    """Return the release to roll back to, and the one to roll back from.

    After a rollback, the release that serves is the first of the two.

    Raises:
        DeployError: there is no other code to roll back to, or the newest release never went live.
    """
    every = heroku.releases()
    releases = [release for release in every if release["status"] == "succeeded"]
    # A rollback whose release phase failed may be tried again.
    if releases and every[0]["status"] == "failed" and not every[0]["description"].startswith("Rollback to "):
        raise DeployError(
            f"v{every[0]['version']} ({every[0]['description']}) failed and never went live, so there is nothing to roll "
            f"back: v{releases[0]['version']} serves as before. To go back from it too, name the release: `heroku "
            "rollback v…`; `heroku releases` lists them"
        )
    others = [release for release in releases if release["slug"]["id"] != releases[0]["slug"]["id"]]
    if not others:
        raise DeployError("there is no release of other code to roll back to")

    def made_in(release: Release) -> int:
        return min(one["version"] for one in releases if one["slug"]["id"] == release["slug"]["id"])

    if later := [release for release in others if made_in(release) > made_in(releases[0])]:
        return releases[0], later[0]
    return others[0], releases[0]


def roll_back(heroku: Heroku) -> None:
    """Roll back to the previous code, with the config vars that it had, and check the live site.

    Raises:
        DeployError: it was not done, or the live site is not healthy.
    """
    refuse_in_maintenance(heroku)
    earlier, later = earlier_and_later(heroku)
    if earlier["version"] > later["version"]:
        raise DeployError(
            f"v{earlier['version']} is already a rollback from v{later['version']}. To go further back, name the "
            "release: `heroku rollback v…`; `heroku releases` lists them"
        )
    step(f"1/2 roll back to v{earlier['version']}", lambda: heroku.go_to(earlier["version"]))
    try:
        step("2/2 check the live site", lambda: check(heroku))
    except DeployError as error:
        raise DeployError(
            f"the code of {named(earlier)} serves, and {error}: the cause is not one release's code"
        ) from None
    print(f"\nThe code of {named(earlier)} is live and healthy: {heroku.web_url}")


def undo(heroku: Heroku, app: str, migration: str) -> None:
    """Undo an app's migrations after one, in maintenance mode, and roll back to the previous code.

    Only the later code has these migrations, so it must undo them. Workers are stopped meanwhile, because maintenance
    mode only keeps visitors out.

    Raises:
        DeployError: it was not done, and the text says what is left to do; or the live site is not healthy.
    """
    earlier, later = earlier_and_later(heroku)
    workers = {kind: number for kind, number in heroku.workers().items() if number}
    migrate = ("--exit-code", "--no-tty", "--", "python", "manage.py", "migrate", app, migration)
    step("1/6 turn maintenance mode on", lambda: heroku.ask("maintenance:on"))
    try:
        if workers:
            step(f"stop {' and '.join(workers)}", lambda: heroku.scale(dict.fromkeys(workers, 0)))
        step("2/6 back up the database", lambda: heroku.ask("pg:backups:capture", streams=True))
        if earlier["version"] > later["version"]:
            step(f"return to the code of v{later['version']}", lambda: heroku.go_to(later["version"]))
        step("3/6 undo the migrations", lambda: heroku.ask("run", *migrate, streams=True))
        step(f"4/6 roll back to v{earlier['version']}", lambda: heroku.go_to(earlier["version"]))
        # The previous code may not have all of these process types.
        left = heroku.workers()
        if workers := {kind: number for kind, number in workers.items() if kind in left}:
            step(f"start {' and '.join(workers)} again", lambda: heroku.scale(workers))
        step("5/6 turn maintenance mode off", lambda: heroku.ask("maintenance:off"))
    except (DeployError, KeyboardInterrupt) as error:
        start = "".join(f" {kind}={number}" for kind, number in workers.items())
        raise DeployError(
            f"{str(error) or 'Interrupted.'}\nThe site is still in maintenance mode. Correct the cause, and run the same "
            f"--undo again{f', then `heroku ps:scale{start}`' if start else ''}. To give up, run "
            f"{f'`heroku ps:scale{start}` and ' if start else ''}`heroku maintenance:off`; `heroku releases` shows the code"
            " that serves then, and `heroku run python manage.py showmigrations` its migrations"
        ) from None
    step("6/6 check the live site", lambda: check(heroku))
    print(f"\nThe code of {named(earlier)} is live and healthy: {heroku.web_url}")


def named(release: Release) -> str:
    """Return a release's version with its commit, which a person needs to revert what came later."""
    return f"v{release['version']}{f' (commit {release["commit"]})' if release['commit'] else ''}"


def serving(release: Release | None) -> str:
    """Return which release serves, in words."""
    return f"{named(release)} serves as before" if release else "nothing serves yet"


def step[Result](name: str, action: Callable[[], Result]) -> Result:
    """Run one step, print its name, outcome and duration in seconds, and return its result."""
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

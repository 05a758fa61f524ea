"""Deploys to Heroku what is committed, and goes back to the release before if the live site is not well.

    uv run python deploy/heroku.py                          deploy; a first time and each later one
    uv run python deploy/heroku.py --force                  the same for staging, where one branch replaces another
    uv run python deploy/heroku.py --rollback               go back to the code before
    uv run python deploy/heroku.py --undo APP MIGRATION     the same, and undo the migrations after MIGRATION first

The same for a person and for CI. The app is that of the git remote `heroku`, or of HEROKU_APP, or the one
that `--app` names. The `heroku` program has to be logged in, or to find a token in HEROKU_API_KEY.

Exit codes: 0, the site serves what was asked for and is well; 1, it does not, and the last lines say why and
what serves now.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable

from heroku_app import PROJECT, DeployError, Heroku, Release

# pytest's exit code for checks that failed; any other but 0 says nothing about the site.
CHECKS_FAILED = 1


class NotWellError(DeployError):
    """The live site was checked and is not well."""


def main() -> int:
    """Deploy, or go back; gives the exit code."""
    parser = argparse.ArgumentParser(description="Deploy what is committed, check it, and go back if it fails.")
    parser.add_argument("--app", default=os.environ.get("HEROKU_APP"), help="the app, if no git remote names it")
    parser.add_argument("--rollback", action="store_true", help="go back to the code before")
    parser.add_argument("--undo", nargs=2, metavar=("APP", "MIGRATION"), help="go back, and to this migration first")
    parser.add_argument("--force", action="store_true", help="deploy also what does not contain what was deployed last")
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
        print("\nBroken off. `heroku releases` says what serves now.", file=sys.stderr)
        return 1
    return 0


def deploy(heroku: Heroku, *, force: bool) -> None:
    """Push, wait until the new release serves, check it; and go back if it is not well.

    With `force` it may be a commit that does not contain what was pushed before.

    Raises:
        DeployError: the site does not serve what is committed, or is not well; the text says what it serves.
    """
    if heroku.maintenance:
        raise DeployError("the app rests, and could not be checked: `heroku maintenance:off` first")
    refuse_without_checks()
    before = heroku.current()
    known = heroku.workers() if before else {}
    step("1/4 push, and build", lambda: push(heroku, force=force))
    newest = step("2/4 release phase", heroku.wait_for_release)
    of_head = releases_of_head(heroku)
    # It need not be the one that the push made: each config var and each retry makes another of the same code.
    if newest["slug"]["id"] != of_head[0]["slug"]["id"]:
        made = next((release for release in of_head if release["status"] == "succeeded"), of_head[0])
        again = f", or take it again by `heroku rollback v{made['version']}`" if made["status"] == "succeeded" else ""
        raise DeployError(
            f"Heroku has this commit as v{made['version']} and does not serve it, since somebody went back from "
            f"it; {serving(before)}. Commit what mends it{again}"
        )
    if newest["status"] != "succeeded":
        output = heroku.ask("releases:output", f"v{newest['version']}")
        raise DeployError(
            f"the release phase of v{newest['version']} ({newest['description']}) failed; {serving(before)}. `heroku "
            "releases:retry` tries it again, a new commit or another value of a config var is a new release. It "
            f"said:\n{output.strip()}"
        )
    try:
        start_workers(heroku, known)
        step("3/4 start the dynos", heroku.wait_for_dynos)
        step("4/4 check the live site", lambda: check(heroku))
    except DeployError as error:
        raise DeployError(f"{error}\n{go_back(heroku, before, newest)}") from None
    print(f"\nv{newest['version']} is live and well: {heroku.web_url}")


def push(heroku: Heroku, *, force: bool) -> None:
    """Give Heroku what is committed, which it builds before it answers."""
    # The program hands git the token, so that it stands on no command line; the empty one is for no other to be asked.
    helper = ["-c", "credential.helper=", "-c", "credential.helper=!heroku git:credentials"]
    # The plus lets it replace commits that it does not contain.
    what = "+HEAD:refs/heads/main" if force else "HEAD:refs/heads/main"
    done = subprocess.run(["git", *helper, "push", heroku.git_url, what], cwd=PROJECT, check=False)
    if done.returncode != 0:
        raise DeployError("the push was refused, as said above; nothing has changed for the live site")


def releases_of_head(heroku: Heroku) -> list[Release]:
    """All releases, newest first, of what was built last from the commit that is checked out.

    Heroku names the commit in the description of the first of them alone; the others have its slug.

    Raises:
        DeployError: there is none.
    """
    line = ["git", "rev-parse", "HEAD"]
    head = subprocess.run(line, cwd=PROJECT, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    releases = heroku.releases()
    for release in releases:
        kind, _, commit = release["description"].partition(" ")
        if kind == "Deploy" and commit and head.startswith(commit):
            return [one for one in releases if one["slug"]["id"] == release["slug"]["id"]]
    raise DeployError(f"Heroku has made no release of {head[:8]}: `heroku releases` says what it made")


def start_workers(heroku: Heroku, known: dict[str, int]) -> None:
    """Start a dyno of each process type that is new, since Heroku itself starts one of `web` alone.

    Of those that are `known` from before, a person may have stopped one, and it stays so. As long as there was no
    other code, none is known: a first release may have failed, and been tried again without this program.
    """
    if len({release["slug"]["id"] for release in heroku.releases() if release["status"] == "succeeded"}) == 1:
        known = {}
    new = [kind for kind, number in heroku.workers().items() if number == 0 and kind not in known]
    if new:
        heroku.scale(dict.fromkeys(new, 1))


SMOKE = [sys.executable, "-m", "pytest", "smoke", "--quiet"]


def refuse_without_checks() -> None:
    """Refuse before anything changes: checks that cannot run here would look like a site that is not well.

    Raises:
        DeployError: the smoke suite does not run here; the text says why.
    """
    done = subprocess.run([*SMOKE, "--collect-only"], cwd=PROJECT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = [line.removeprefix("ERROR: ") for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
        reason = said[0] if said else "`uv sync`, and start this by `uv run python`"
        raise DeployError(f"the smoke suite does not run here: {reason}")


def check(heroku: Heroku) -> None:
    """Run the smoke suite against the live site.

    Raises:
        NotWellError: a check failed.
        DeployError: they could not be made.
    """
    code = subprocess.run([*SMOKE, "--base-url", heroku.web_url], cwd=PROJECT, check=False).returncode
    if code == CHECKS_FAILED:
        raise NotWellError("the live site does not pass the smoke suite")
    if code != 0:
        raise DeployError(f"the smoke suite ended with pytest's code {code}, and the site is not checked")


def go_back(heroku: Heroku, before: Release | None, failed: Release) -> str:
    """Return to the release before one that failed, and say what serves now."""
    version = failed["version"]
    if before is None:
        return f"There is no release before to go back to: v{version} serves. `heroku logs` may say more."
    if before["slug"]["id"] == failed["slug"]["id"]:
        return f"This code was live before, too: v{version} serves."
    try:
        step(f"go back to v{before['version']}", lambda: heroku.go_to(before["version"]))
    except DeployError as error:
        return f"Going back to v{before['version']} failed too: {error}. `heroku releases` says what serves."
    try:
        step("check the live site", lambda: check(heroku))
    except DeployError as error:
        return f"Went back, {serving(before)}, and {error}: what is wrong is not this release alone."
    return (
        f"Went back: {serving(before)}. Migrations of v{version} are still applied. If v{before['version']} cannot "
        "live with them: deploy/heroku.py --undo APP MIGRATION"
    )


def earlier_and_later(heroku: Heroku) -> tuple[Release, Release]:
    """The release to go back to, and the one with the code to go back from.

    Where somebody has gone back already, the release that serves is the first of the two.

    Raises:
        DeployError: there is no other code to go back to.
    """
    releases = [release for release in heroku.releases() if release["status"] == "succeeded"]
    others = [release for release in releases if release["slug"]["id"] != releases[0]["slug"]["id"]]
    if not others:
        raise DeployError("there is no release of other code to go back to")

    def made_in(release: Release) -> int:
        return min(one["version"] for one in releases if one["slug"]["id"] == release["slug"]["id"])

    if later := [release for release in others if made_in(release) > made_in(releases[0])]:
        return releases[0], later[0]
    return others[0], releases[0]


def roll_back(heroku: Heroku) -> None:
    """Go back to the code before, with the config vars that it had, and check the live site."""
    earlier, later = earlier_and_later(heroku)
    if earlier["version"] > later["version"]:
        raise DeployError(
            f"v{earlier['version']} is already what was gone back to from v{later['version']}. To go further, name the "
            "release: `heroku rollback v…`, and `heroku releases` lists them"
        )
    step(f"1/2 go back to v{earlier['version']}", lambda: heroku.go_to(earlier["version"]))
    step("2/2 check the live site", lambda: check(heroku))
    print(f"\nThe code of v{earlier['version']} is live and well: {heroku.web_url}")


def undo(heroku: Heroku, app: str, migration: str) -> None:
    """Undo an app's migrations after one, while the site rests, and go back to the code before.

    The later code has the way back, so it is what undoes them, and serves nobody meanwhile. Workers stop meanwhile,
    since maintenance keeps out visitors alone.

    Raises:
        DeployError: it was not done, and the text says what is left to do; or the live site is not well.
    """
    earlier, later = earlier_and_later(heroku)
    workers = {kind: number for kind, number in heroku.workers().items() if number}
    migrate = ("--exit-code", "--no-tty", "--", "python", "manage.py", "migrate", app, migration)
    step("1/6 let the site rest", lambda: heroku.ask("maintenance:on"))
    try:
        if workers:
            step(f"stop {' and '.join(workers)}", lambda: heroku.scale(dict.fromkeys(workers, 0)))
        step("2/6 back the database up", lambda: heroku.ask("pg:backups:capture", streams=True))
        if earlier["version"] > later["version"]:
            step(f"take the code of v{later['version']} again", lambda: heroku.go_to(later["version"]))
        step("3/6 undo the migrations", lambda: heroku.ask("run", *migrate, streams=True))
        step(f"4/6 go back to v{earlier['version']}", lambda: heroku.go_to(earlier["version"]))
        # The code before may not have all of them.
        left = heroku.workers()
        if workers := {kind: number for kind, number in workers.items() if kind in left}:
            step(f"start {' and '.join(workers)} again", lambda: heroku.scale(workers))
        step("5/6 let the site serve", lambda: heroku.ask("maintenance:off"))
    except (DeployError, KeyboardInterrupt) as error:
        start = "".join(f" {kind}={number}" for kind, number in workers.items())
        raise DeployError(
            f"{str(error) or 'Broken off.'}\nThe site still rests. `heroku releases` says which code it has, and `heroku "
            f"run python manage.py showmigrations` which tables; then {f'`heroku ps:scale{start}` and ' if start else ''}"
            "`heroku maintenance:off`"
        ) from None
    step("6/6 check the live site", lambda: check(heroku))
    print(f"\nThe code of v{earlier['version']} is live and well: {heroku.web_url}")


def serving(release: Release | None) -> str:
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

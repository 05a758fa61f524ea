"""Make a release, or the tags of all releases in a clone that lacks them: `make release VERSION=0.7.0`, `make tags`.

    python -m scripts.release [--check] VERSION
    python -m scripts.release --tags

A release is two commits. The first gives the changelog's section its version and date, and is tagged. The second puts
that commit into the table of releases in tests/support/releases.py, since no commit can hold its own name.
`--check` says what prevents it, and changes nothing.
"""

import argparse
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from tests.support.releases import RELEASES, tag

ROOT = Path(__file__).resolve().parents[1]
CHANGELOG = Path("CHANGELOG.md")
SETTINGS = Path("pyproject.toml")
TABLE = Path("tests/support/releases.py")
UNRELEASED = re.compile(r"^## Unreleased\n+(?=\S)(?!## )", re.MULTILINE)


def git(*arguments: str) -> str:
    """Run git in the repository; return what it printed.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    return subprocess.run(["git", *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def numbers(version: str) -> list[int]:
    """Return a version's parts as numbers, to sort by."""
    return [int(part) for part in version.split(".")]


def problems(version: str) -> list[str]:
    """Return what prevents a release of this version, one sentence for each problem."""
    found = []
    newest = max(RELEASES, key=numbers)
    if not re.fullmatch(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)", version):
        found.append(f'"{version}" is no version. Use one like {newest}: https://semver.org')
    elif numbers(version) <= numbers(newest):
        found.append(f"{version} does not follow {newest}, the newest release. Use a higher version.")
    if not UNRELEASED.search((ROOT / CHANGELOG).read_text()):
        found.append(f'{CHANGELOG} has no text under "## Unreleased". Write there what changes for projects.')
    if git("status", "--porcelain"):
        found.append("There are changes which no commit has. Commit them, or take them back.")
    if git("branch", "--show-current") != "main":
        found.append("This branch is not main. Releases are made from main: git switch main")
    return found


def changed(file: Path, pattern: str, replacement: str) -> None:
    """Replace the single match of a pattern in a file.

    Raises:
        SystemExit: the pattern does not match exactly once.
    """
    text, count = re.subn(pattern, replacement, (ROOT / file).read_text(), flags=re.MULTILINE)
    if count != 1:
        raise SystemExit(f"{file} has {count} places like {pattern}, and not one.")
    (ROOT / file).write_text(text)


def release(version: str) -> None:
    """Make both commits and the tag of a release."""
    today = datetime.now(UTC).date().isoformat()
    try:
        changed(CHANGELOG, "^## Unreleased$", f"## {version} - {today}")
        changed(SETTINGS, '^version = ".+"$', f'version = "{version}"')
        git("commit", "--quiet", "--message", f"Release {version}", str(CHANGELOG), str(SETTINGS))
        commit = git("rev-parse", "HEAD")
        git("tag", tag(version), commit)
        changed(TABLE, r"^(RELEASES = \{\n(?:    .+\n)+)(?=\})", rf'\g<1>    "{version}": "{commit}",\n')
        git("commit", "--quiet", "--message", f"Try each update from {version} too", str(TABLE))
    except BaseException:
        git("checkout", "--quiet", "HEAD", "--", str(CHANGELOG), str(SETTINGS), str(TABLE))
        raise
    sys.stdout.write(f"{version} is released here. To publish it: git push origin main {tag(version)}\n")


def make_tags() -> None:
    """Tag the commit of each release whose tag is missing.

    Raises:
        SystemExit: this clone lacks a commit, or a tag is on another commit.
    """
    made = []
    for version, commit in RELEASES.items():
        present = git("tag", "--list", "--format=%(objectname) %(*objectname)", tag(version)).split()
        if present and commit not in present:
            raise SystemExit(f"{tag(version)} is the tag of {present[-1]}, and the release is {commit}.")
        if not present:
            try:
                git("tag", tag(version), f"{commit}^{{commit}}")
            except subprocess.CalledProcessError:
                raise SystemExit(f"This clone lacks release {version}. Run: git fetch --unshallow") from None
            made.append(tag(version))
    sys.stdout.write(f"{' '.join(made)}: made. To publish them: git push --tags\n" if made else "No tag is missing.\n")


def main() -> None:
    """Run the command that the command line names.

    Raises:
        SystemExit: it cannot be done; the message gives the reasons.
    """
    parser = argparse.ArgumentParser(description="Make a release, or the tags of all releases.", allow_abbrev=False)
    parser.add_argument("version", nargs="?", default="", help="like 0.7.0")
    parser.add_argument("--check", action="store_true", help="say what prevents it, and change nothing")
    parser.add_argument("--tags", action="store_true", help="make the tags that this clone lacks")
    arguments = parser.parse_args()
    if arguments.tags:
        make_tags()
        return
    if found := problems(arguments.version):
        raise SystemExit("\n".join(found))
    if not arguments.check:
        release(arguments.version)


if __name__ == "__main__":
    main()

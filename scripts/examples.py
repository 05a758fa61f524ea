"""Render a project for each platform from the two newest releases, and compare them: `make examples`.

Writes `build/examples/VERSION/PLATFORM/`, to be looked at, and `build/examples/PLATFORM.diff`: what an update between
the two changes in a project that its owner has not touched. The working tree is the newest where it differs from the
newest release.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from scripts.pages import DEFAULTS, project
from scripts.renders import File, Renders
from tests.support.releases import RELEASES, MissingReleaseError
from tests.support.rendering import ROOT, TEMPLATE, question_choices, render, template_copy

FOLDER = ROOT / "build/examples"
NEXT = "next"


@dataclass(frozen=True)
class Change:
    """An update's changes in one file: the number of added and removed lines, and git's diff."""

    path: str
    kind: str
    added: int
    removed: int


def git(*arguments: str) -> str:
    """Run git in the repository; return its output.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout


def pair() -> tuple[str, str]:
    """Return the two versions to compare, the older one first.

    Raises:
        MissingReleaseError: this clone lacks the commit of a release; the message says what to do.
    """
    *_, before, newest = RELEASES
    try:
        changed = git("diff", "--name-only", RELEASES[newest], "--", *TEMPLATE)
        git("cat-file", "-e", f"{RELEASES[before]}^{{commit}}")
    except subprocess.CalledProcessError:
        raise MissingReleaseError(f"{ROOT} lacks the commit of release {newest}: git fetch --unshallow") from None
    return (newest, NEXT) if changed else (before, newest)


def released(version: str) -> Path:
    """Return the folder with a release's project for each platform; it is cached, since a release does not change."""
    folder = FOLDER / version
    if folder.exists():
        return folder
    with TemporaryDirectory() as temporary:
        template, projects = Path(temporary, "template"), Path(temporary, "projects")
        template.mkdir()
        command = ["git", "archive", RELEASES[version], "copier.yml", "questions", "template"]
        packed = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True)
        subprocess.run(["tar", "-x"], cwd=template, input=packed.stdout, check=True)
        for platform in question_choices("platform"):
            render(template, projects / platform, platform=platform)
            # This file has the template's path, which is temporary.
            (projects / platform / ".copier-answers.yml").unlink()
        FOLDER.mkdir(parents=True, exist_ok=True)
        shutil.copytree(projects, folder)
    return folder


def working_tree(files: Mapping[str, File]) -> Path:
    """Return the folder with the working tree's project for each platform."""
    shutil.rmtree(FOLDER / NEXT, ignore_errors=True)
    for platform in question_choices("platform"):
        for path, text in project(files, {**DEFAULTS, "platform": platform}).items():
            if path != ".copier-answers.yml":
                (FOLDER / NEXT / platform / path).parent.mkdir(parents=True, exist_ok=True)
                (FOLDER / NEXT / platform / path).write_text(text)
    return FOLDER / NEXT


def make(files: Mapping[str, File]) -> tuple[str, str]:
    """Render both versions, and return them.

    Args:
        files: what the working tree renders.

    Raises:
        MissingReleaseError: this clone lacks the commit of a release; the message says what to do.
    """
    before, after = pair()
    released(before)
    if after == NEXT:
        working_tree(files)
    else:
        released(after)
    return before, after


def compared(before: str, after: str, platform: str, *options: str) -> str:
    """Return git's diff between two versions of a platform's project."""
    command = ["git", "diff", "--no-index", "--no-color", "--find-renames", *options]
    done = subprocess.run(
        [*command, f"{before}/{platform}", f"{after}/{platform}"],
        cwd=FOLDER,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    return done.stdout


def difference(before: str, after: str, platform: str) -> str:
    """Return the lines that an update changes, as `git diff` would show them in the project itself."""
    text = compared(before, after, platform)
    return re.sub(r"^(diff --git |--- |\+\+\+ |rename (?:from|to) |Binary files ).*$", own, text, flags=re.MULTILINE)


def own(line: re.Match[str]) -> str:
    """Return a line of a diff, with the project's paths."""
    return re.sub(r"(?P<side>[ab]/|(?<=from )|(?<=to ))[^/ ]+/[a-z]+/", r"\g<side>", line[0])


def changed_files(before: str, after: str, platform: str) -> list[Change]:
    """Return an update's changes, file by file."""
    parts = compared(before, after, platform, "--numstat", "-z").split("\0")
    found = []
    for counted, old, new in zip(parts[::3], parts[1::3], parts[2::3], strict=False):
        added, removed, _ = counted.split("\t")
        names = [path.split("/", 2)[-1] for path in (old, new)]
        match (old, new):
            case ("/dev/null", _):
                kind = "new"
            case (_, "/dev/null"):
                kind = "deleted"
            case _:
                kind = "changed" if names[0] == names[1] else f"moved from `{names[0]}`"
        path = names[0] if new == "/dev/null" else names[1]
        found.append(Change(path, kind, int(added), int(removed)))
    return sorted(found, key=lambda each: each.path)


def page(before: str, after: str, platform: str, name: str) -> str:
    """Return the page about an update of a platform's project; the diff is in a file beside it."""
    found = changed_files(before, after, platform)
    title = f"{before} to {after}" if after != NEXT else f"{before} to the next release"
    lines = [
        "---",
        f"title: {name}",
        "search:",
        "  exclude: true",
        "---",
        "",
        f"# {name}: {title}",
        "",
        f"What `copier update` changes in a project with the default answers that nobody has touched: {len(found)} files. Lines of your own",
        "stay, and where both changed the same lines, `make conflicts` lists them: [updating](../updating.md). What to do by hand is in the",
        f"[changelog](https://github.com/copier-django/copier-django/blob/main/CHANGELOG.md). All lines: [{platform}.diff.txt]({platform}.diff.txt).",
        "",
        "| file | | lines added | removed |",
        "| --- | --- | ---: | ---: |",
        *(f"| `{each.path}` | {each.kind} | {each.added:,} | {each.removed:,} |" for each in found),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Render the projects, and write the differences."""
    with TemporaryDirectory() as folder:
        files = Renders(template_copy(Path(folder, "template"))).files()
    try:
        before, after = make(files)
    except MissingReleaseError as error:
        raise SystemExit(str(error)) from None
    for platform in question_choices("platform"):
        (FOLDER / f"{platform}.diff").write_text(difference(before, after, platform))
        sys.stdout.write(
            f"{platform}: {len(changed_files(before, after, platform))} files change from {before} to {after}\n"
        )
    sys.stdout.write(f"The projects and the differences are in {FOLDER}\n")


if __name__ == "__main__":
    main()

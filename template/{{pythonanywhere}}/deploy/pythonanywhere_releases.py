"""Manage a site's folder in a PythonAnywhere account, and the releases in it.

    repository/     the git clone
    .env            the variables of the next release
    releases/       a folder per release, with its code, its static files, and its copy of `.env`
    environments/   the installed packages, which releases with the same lock share
    current         a link to the live release
    media/ logs/ backups/

A deploy never changes the live release: it makes a new one, and switches the link. A rollback switches the link back.
The script runs before anything is installed, and must tell an old Python that it is too old. So it uses only the
standard library, and no new syntax.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pythonanywhere_disk import (
    FIRST_PACKAGES,
    GROWTH,
    SPARE,
    DeployError,
    disk_in_words,
    has_room,
    in_megabytes,
    taken,
)
from pythonanywhere_packages import WHOLE, install, lock_of, see_that_they_agree, size_of_packages

# How many releases are kept, with the live one. Fewer if the disk is too small: each may have its own packages.
RELEASES_KEPT = 3
# The prefix of unfinished releases. A release gets its name when it is finished.
UNFINISHED = ".new"
DETAILS = "release.json"


@dataclass(frozen=True)
class Release:
    """Describe a release, finished or not.

    Attributes:
        folder: its folder.
        commit: the hash of its commit.
        before: the name of the previous release, if there was one.
    """

    folder: Path
    commit: str
    before: str | None

    @property
    def name(self) -> str:
        """Return its name."""
        return self.folder.name

    @property
    def python(self) -> Path:
        """Return the path of its Python, which has its packages."""
        return self.folder / ".venv" / "bin" / "python"


class SiteFolder:
    """Manage the folder of a site, `~/todo-list`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.repository = root / "repository"
        self.env_file = root / ".env"
        self.releases = root / "releases"
        self.environments = root / "environments"
        self.current = root / "current"

    def prepare(self) -> None:
        """Create the missing folders."""
        for name in ("releases", "environments", "media", "logs", "backups"):
            (self.root / name).mkdir(mode=0o755 if name == "media" else 0o700, exist_ok=True)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Lock out other deploys until the end of the block.

        Raises:
            DeployError: another deploy is running.
        """
        with (self.root / ".deploy.lock").open("w") as file:
            try:
                # This kind of lock also works on a network disk.
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise DeployError("another deploy is at work. Wait for it to end, then run this again") from None
            yield

    def live(self) -> Release | None:
        """Return the live release; None if there is none."""
        return self.find(self.current.readlink().name) if self.current.is_symlink() else None

    def find(self, name: str | None) -> Release | None:
        """Return the finished release of that name, if there is one."""
        folder = self.releases / (name or UNFINISHED)
        try:
            details = json.loads((folder / DETAILS).read_text())
        except (OSError, ValueError):
            return None
        return Release(folder, details["commit"], details["before"])

    def git(self, *arguments: str) -> str:
        """Run git in the clone, and return its output. It never asks for a password.

        Raises:
            DeployError: it failed; the text is git's message.
        """
        env = {**os.environ, "GIT_TERMINAL_PROMPT": "0"}
        command = ["git", *arguments]
        done = subprocess.run(command, cwd=self.repository, env=env, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise DeployError(f"`git {' '.join(arguments)}` said:\n{done.stderr.strip()}")
        return done.stdout.strip()

    def pull(self, commit: str | None, *, force: bool) -> None:
        """Pull a commit, or the newest. Without `force`, it must contain the commit that is here.

        Raises:
            DeployError: it does not, or somebody changed files here.
        """
        changed = self.git("status", "--porcelain")
        if changed:
            clone = shlex.quote(str(self.repository))
            raise DeployError(
                f"files in {self.repository} are not as git has them:\n{changed}\nCommit and push them from where you work,"
                f" or give them up: git -C {clone} stash --include-untracked"
            )
        self.git("fetch", "--quiet")
        wanted = self.git("rev-parse", "--verify", f"{commit or '@{upstream}'}^{{commit}}")
        try:
            self.git(*(["reset", "--quiet", "--hard"] if force else ["merge", "--quiet", "--ff-only"]), wanted)
        except DeployError as error:
            raise DeployError(
                f"{error}\nWhat was pushed does not follow from what is here: see `git log`. On a staging site, --force"
            ) from None
        if self.git("rev-parse", "HEAD") != wanted:
            raise DeployError(f"{wanted[:8]} is older than what is here. To deploy it all the same, add --force")

    def give_back(self) -> None:
        """Delete what a failed deploy left, as far as possible.

        Completely installed packages are kept for the next try, unless the disk is too full.
        """
        for path in self.releases.glob(f"*{UNFINISHED}"):
            shutil.rmtree(path, ignore_errors=True)
        unused = self.unused_packages()
        for path in unused:
            if not (path / WHOLE).exists():
                shutil.rmtree(path, ignore_errors=True)
        if not has_room(self.root, FIRST_PACKAGES):
            for path in unused:
                shutil.rmtree(path, ignore_errors=True)

    def unused_packages(self) -> list[Path]:
        """Return the sets of packages that no release uses."""
        used = {(path / ".venv").resolve() for path in self.releases.iterdir()}
        return [path for path in self.environments.iterdir() if path.resolve() not in used]

    @disk_in_words()
    def make_room(self, python: str) -> None:
        """Make room on the disk for one more release, before anything of it is written.

        If there is too little, delete packages that no release uses, then the oldest releases, but never the live one.

        Args:
            python: the Python that the packages will be for.

        Raises:
            DeployError: there is still too little room.
        """
        self.give_back()
        live = self.live()
        packages = self.packages(self.repository, python)
        needed = SPARE + int(GROWTH * taken(live.folder if live else self.repository))
        if not (packages / WHOLE).exists():
            needed += int(GROWTH * (size_of_packages(live.folder / ".venv") if live else 0)) or FIRST_PACKAGES
        others = [path for path in self.releases.iterdir() if live is None or path != live.folder]
        # Delete releases newer than the live one first: they were rolled back.
        others.sort(key=lambda path: (live is not None and path.name < live.name, path.name))
        unused = [path for path in self.unused_packages() if path != packages]
        while not has_room(self.root, needed):
            if not unused and not others:
                raise DeployError(
                    f"the disk has no room for a release, which takes up to {in_megabytes(needed)}. Delete files that you do"
                    " not need, or take a plan with more space: docs/troubleshooting.md"
                )
            going = unused or [others.pop(0)]
            for path in going:
                print(f"deleting {path}, since the disk has no room for the next release beside it")
                shutil.rmtree(path)
            unused = [path for path in self.unused_packages() if path != packages]

    @disk_in_words()
    def make(self) -> Release:
        """Make a new release that is not finished yet: the pulled code, and the variables.

        Raises:
            DeployError: there is no `.env`, or git has one, or the disk refuses.
        """
        if not self.env_file.is_file():
            example = self.repository / ".env.example"
            raise DeployError(f"{self.env_file} is not there. Make it from {example}: docs/deploy.md has the commands")
        numbers = [int(path.name[:4]) for path in self.releases.iterdir() if path.name[:4].isdecimal()]
        commit = self.git("rev-parse", "HEAD")
        live = self.live()
        folder = self.releases / f"{max(numbers, default=0) + 1:04}-{commit[:8]}{UNFINISHED}"
        folder.mkdir()
        archive = folder / ".tar"
        self.git("archive", f"--output={archive}", commit)
        shutil.unpack_archive(archive, folder, "tar", filter="data")
        archive.unlink()
        if (folder / ".env").exists():
            raise DeployError("git has the file .env, with what it says: git rm --cached .env, and change its secrets")
        # Copy it, so that a rollback also restores the variables, and a mistake affects only its own release.
        shutil.copy(self.env_file, folder / ".env")
        (folder / ".env").chmod(0o600)
        if not re.search(r"^(export )?MEDIA_ROOT=", text_of(folder / ".env"), re.MULTILINE):
            with (folder / ".env").open("a", encoding="utf-8") as file:
                file.write(f"\nMEDIA_ROOT='{self.root}/media'\n")
        # Sentry reads the commit from this file, and people can, too.
        (folder / "COMMIT").write_text(f"{commit}\n")
        return Release(folder, commit, live.name if live else None)

    def install(self, release: Release, python: str) -> str:
        """Install a release's packages, and return in words where they come from.

        uv installs them from uv.lock. Without uv, pip installs them from requirements.txt, which is exported from
        uv.lock. Both check the hash of each package.

        Raises:
            DeployError: it failed, or there is no lock.
        """
        lock = lock_of(release.folder)
        if not shutil.which("uv"):
            see_that_they_agree(lock, release.folder / "uv.lock")
        environment = self.packages(release.folder, python)
        (release.folder / ".venv").symlink_to(environment)
        if (environment / WHOLE).exists():
            return f"the packages are those of an earlier release: {environment}"
        shutil.rmtree(environment, ignore_errors=True)
        try:
            install(lock, environment, python)
            size = taken(environment)
            (environment / WHOLE).write_text(f"{size}\n")
        except BaseException:
            # Delete a partial installation: the live site's database needs the disk.
            shutil.rmtree(environment, ignore_errors=True)
            raise
        return f"installed into {environment} ({in_megabytes(size)})"

    def packages(self, folder: Path, python: str) -> Path:
        """Return the folder for the packages of a folder's lock, whether it exists or not.

        Raises:
            DeployError: there is no lock.
        """
        lock = lock_of(folder)
        return self.environments / hashlib.sha256(f"{python} {lock.name}\n{lock.read_text()}".encode()).hexdigest()[:12]

    @disk_in_words()
    def finish(self, release: Release) -> Release:
        """Finish the release: give it its name.

        Raises:
            DeployError: the disk refuses.
        """
        details = {"commit": release.commit, "before": release.before}
        (release.folder / DETAILS).write_text(json.dumps(details) + "\n")
        return Release(release.folder.rename(release.folder.with_suffix("")), release.commit, release.before)

    def switch(self, release: Release) -> None:
        """Point the link to a release. It serves after the web app's next reload."""
        link = self.root / ".current"
        link.unlink(missing_ok=True)
        link.symlink_to(release.folder)
        link.replace(self.current)

    def tidy(self) -> None:
        """Delete all releases but the last ones, and packages that they do not use. Print what could not be deleted."""
        folders: list[Path] = []
        release = self.live()
        while release and len(folders) < RELEASES_KEPT:
            folders.append(release.folder)
            release = self.find(release.before)
        environments = {(folder / ".venv").resolve() for folder in folders}
        for path in [*self.releases.iterdir(), *self.environments.iterdir()]:
            if path not in folders and path.resolve() not in environments:
                try:
                    shutil.rmtree(path)
                except OSError as error:
                    # Failing to delete old files is no reason to roll back a healthy release.
                    print(f"{path} is left over, and could not be deleted ({error.strerror}): delete it by hand")


def text_of(path: Path) -> str:
    """Return the text of a `.env`. Replace what is not UTF-8: the settings refuse it later, and name the line."""
    return path.read_text(encoding="utf-8-sig", errors="replace")


def own_environment(release: Release) -> dict[str, str]:
    """Return the environment for a release's commands. Like for the web server, its own `.env` counts."""
    names = re.findall(r"^\s*(?:export\s+)?([A-Za-z_]\w*)\s*=", text_of(release.folder / ".env"), re.MULTILINE)
    kept = {name: value for name, value in os.environ.items() if name not in names and name != "API_TOKEN"}
    return {**kept, "DJANGO_SETTINGS_MODULE": "config.settings.production"}

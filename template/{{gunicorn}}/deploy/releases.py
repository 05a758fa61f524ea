"""Manage the releases of a site on this machine: a folder for each, and a link to the one that serves."""

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

# How many healthy releases are kept: the live one, and those to roll back to.
KEPT = 5


class DeployError(Exception):
    """Say why a step failed, and what to do about it."""


@dataclass(frozen=True, order=True)
class Release:
    """Hold one release: a folder with the code of one commit, its packages and its static files.

    Attributes:
        folder: its path. The folder's name is the time when it was made.
    """

    folder: Path

    @property
    def name(self) -> str:
        """Return the time when it was made, in UTC."""
        return self.folder.name

    @property
    def commit(self) -> str:
        """Return its commit's hash and subject; empty if the release is not finished."""
        with contextlib.suppress(FileNotFoundError):
            return (self.folder / "COMMIT").read_text().strip()
        return ""

    @property
    def checked(self) -> bool:
        """Return whether it has served and was healthy."""
        return (self.folder / "CHECKED").exists()

    def finish(self, commit: str) -> None:
        """Mark the release as finished. The next deploy removes unfinished ones."""
        (self.folder / "COMMIT").write_text(f"{commit}\n")

    def mark_checked(self) -> None:
        """Mark the release as healthy, so that a rollback can choose it."""
        (self.folder / "CHECKED").touch()


class Releases:
    """Manage a site's releases in /srv/<site>/releases, and the link /srv/<site>/current to the live one."""

    def __init__(self, site: Path) -> None:
        """Open a site's folder.

        Raises:
            DeployError: it has no folder for releases.
        """
        self.site = site
        self.folder = site / "releases"
        self.link = site / "current"
        if not self.folder.is_dir():
            raise DeployError(f"there is no {self.folder}. Run this on the site's machine, in {site}/repository")

    def all(self) -> list[Release]:
        """Return the finished releases, newest first."""
        found = (Release(path) for path in self.folder.iterdir() if path.is_dir())
        return sorted((release for release in found if release.commit), reverse=True)

    def current(self) -> Release | None:
        """Return the release that the link points to."""
        return Release(self.link.resolve()) if self.link.exists() else None

    def named(self, name: str) -> Release:
        """Return a release by its name.

        Raises:
            DeployError: there is none.
        """
        for release in self.all():
            if release.name == name:
                return release
        raise DeployError(f"there is no release {name}; `deploy/machine.py status` lists them")

    def before(self, release: Release | None) -> Release | None:
        """Return the newest healthy release that is older than another one."""
        return next((each for each in self.all() if each.checked and (release is None or each < release)), None)

    def earlier(self) -> Release | None:
        """Return the newest healthy release of another commit that is older than the live one, if one is live."""
        live = self.current()
        healthy = (each for each in self.all() if each.checked)
        return next((each for each in healthy if live is None or (each < live and each.commit != live.commit)), None)

    def well(self) -> Release | None:
        """Return the release to roll back to: the live one if it was healthy, else the last healthy one before it."""
        current = self.current()
        return current if current is None or current.checked else self.before(current)

    def create(self) -> Release:
        """Make the folder of a new release, and remove what interrupted deploys left.

        Raises:
            DeployError: there is a release of this second already.
        """
        for path in self.folder.iterdir():
            if not Release(path).commit:
                # An interrupted deploy left it.
                shutil.rmtree(path)
        release = Release(self.folder / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}")
        try:
            release.folder.mkdir()
        except FileExistsError:
            raise DeployError(f"{release.folder} already exists; the clock may have been set back") from None
        return release

    def remove(self, release: Release) -> None:
        """Delete a release, unless the link points to it."""
        if release != self.current():
            shutil.rmtree(release.folder)

    def prune(self, spared: Release | None = None) -> None:
        """Keep KEPT releases that were healthy, and the spared one. Delete all others."""
        checked = [release for release in self.all() if release.checked]
        for release in self.all():
            if release not in (*checked[:KEPT], spared):
                self.remove(release)

    def switch(self, release: Release) -> None:
        """Point the link to a release. Running processes stay in the release that they were started in."""
        before = self.current()
        if before and before != release:
            lend_static_files(before, release)
        new = self.site / ".current"
        new.unlink(missing_ok=True)
        new.symlink_to(release.folder.relative_to(self.site))
        # Replace the link in one step, so that there is always one.
        new.replace(self.link)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Lock out other deploys and rollbacks. The lock ends with this process, even if it is killed.

        Raises:
            DeployError: another process has the lock.
        """
        with (self.site / ".lock").open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise DeployError("another deploy or rollback is under way; nothing was done") from None
            yield


def lend_static_files(served: Release, next_one: Release) -> None:
    """Add the static files of the live release to the next one.

    Browsers may ask for them after the switch, for pages that they loaded before. File names contain a hash of the
    content, so none replaces another. A release passes on only the files in its own manifest, and none that it got this
    way.
    """
    with contextlib.suppress(FileNotFoundError):
        manifest = json.loads((served.folder / "staticfiles/staticfiles.json").read_text())
        for name in manifest["paths"].values():
            for suffix in ("", ".gz", ".br"):
                source, target = (release.folder / "staticfiles" / f"{name}{suffix}" for release in (served, next_one))
                if source.exists() and not target.exists():
                    target.parent.mkdir(parents=True, exist_ok=True)
                    os.link(source, target)

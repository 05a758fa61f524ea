"""The releases of a site on this machine: folders side by side, and a link to the one that serves."""

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

# How many are kept: the one that serves, and those that one can go back to.
KEPT = 5


class DeployError(Exception):
    """A step failed; the text is what a person should read."""


@dataclass(frozen=True, order=True)
class Release:
    """A folder with the code of one commit, all that it needs, and its static files.

    Attributes:
        folder: where it stands; its name is when it was made.
    """

    folder: Path

    @property
    def name(self) -> str:
        """When it was made, in UTC."""
        return self.folder.name

    @property
    def commit(self) -> str:
        """What it was made of, in a line; nothing while it is not finished."""
        with contextlib.suppress(FileNotFoundError):
            return (self.folder / "COMMIT").read_text().strip()
        return ""

    @property
    def checked(self) -> bool:
        """Whether it has served, and was well."""
        return (self.folder / "CHECKED").exists()

    def finish(self, commit: str) -> None:
        """Call it whole: until then the next deploy removes it."""
        (self.folder / "COMMIT").write_text(f"{commit}\n")

    def mark_checked(self) -> None:
        """Call it one that one can go back to."""
        (self.folder / "CHECKED").touch()


class Releases:
    """The folder of a site's releases, /srv/<site>/releases, and the link /srv/<site>/current beside it."""

    def __init__(self, site: Path) -> None:
        """Open a site's folder.

        Raises:
            DeployError: it is not laid out as one.
        """
        self.site = site
        self.folder = site / "releases"
        self.link = site / "current"
        if not self.folder.is_dir():
            raise DeployError(f"{self.folder} is not there. Run this on the site's machine, in {site}/repository")

    def all(self) -> list[Release]:
        """Those that are finished, newest first."""
        found = (Release(path) for path in self.folder.iterdir() if path.is_dir())
        return sorted((release for release in found if release.commit), reverse=True)

    def current(self) -> Release | None:
        """The one that the link leads to."""
        return Release(self.link.resolve()) if self.link.exists() else None

    def named(self, name: str) -> Release:
        """One by its name.

        Raises:
            DeployError: there is none.
        """
        for release in self.all():
            if release.name == name:
                return release
        raise DeployError(f"there is no release {name}; `deploy/machine.py status` lists them")

    def before(self, release: Release | None) -> Release | None:
        """The newest that was well and is older than another one."""
        return next((each for each in self.all() if each.checked and (release is None or each < release)), None)

    def well(self) -> Release | None:
        """What to go back to: the one that serves, or, after a deploy that was broken off, the last that was well."""
        current = self.current()
        return current if current is None or current.checked else self.before(current)

    def create(self) -> Release:
        """A new folder for a release."""
        for path in self.folder.iterdir():
            if not Release(path).commit:
                # Left over from a deploy that was broken off.
                shutil.rmtree(path)
        release = Release(self.folder / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}")
        try:
            release.folder.mkdir()
        except FileExistsError:
            raise DeployError(f"{release.folder} is there already; the clock may have been set back") from None
        return release

    def remove(self, release: Release) -> None:
        """Delete one, unless the link leads to it."""
        if release != self.current():
            shutil.rmtree(release.folder)

    def prune(self) -> None:
        """Delete the oldest, beyond those that are kept."""
        for release in self.all()[KEPT:]:
            self.remove(release)

    def switch(self, release: Release) -> None:
        """Let the link lead to a release. What runs goes on from where it was started."""
        before = self.current()
        if before and before != release:
            lend_static_files(before, release)
        new = self.site / ".current"
        new.unlink(missing_ok=True)
        new.symlink_to(release.folder.relative_to(self.site))
        # In one go: there is no moment without a link.
        new.replace(self.link)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep others from changing anything; the lock goes with this process, however it ends.

        Raises:
            DeployError: somebody else has it.
        """
        with (self.site / ".lock").open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise DeployError("another deploy or rollback is under way; nothing was done") from None
            yield


def lend_static_files(served: Release, next_one: Release) -> None:
    """Give the next release the static files of the one that serves now, beside its own.

    Pages that visitors have loaded name them, and browsers may ask for them later. A name has the hash of what is in the
    file, so none is in the way of another; and what is lent is not lent on, since it is not in the manifest.
    """
    with contextlib.suppress(FileNotFoundError):
        manifest = json.loads((served.folder / "staticfiles/staticfiles.json").read_text())
        for name in manifest["paths"].values():
            for suffix in ("", ".gz", ".br"):
                source, target = (release.folder / "staticfiles" / f"{name}{suffix}" for release in (served, next_one))
                if source.exists() and not target.exists():
                    target.parent.mkdir(parents=True, exist_ok=True)
                    os.link(source, target)

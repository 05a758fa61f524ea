"""The account's disk, which the live site's database shares: room is checked before it is taken.

Like the deploy script, it runs on the standard library alone.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

MEGABYTE = 1024**2
# Packages before any were installed: those of a project with all of the template's extras take 170 MB.
FIRST_PACKAGES = 200 * MEGABYTE
# What a new release may take more than the one that serves, and what the site writes meanwhile.
GROWTH = 1.25
SPARE = 16 * MEGABYTE
FULL = (errno.ENOSPC, errno.EDQUOT)


class DeployError(Exception):
    """A step failed; the text is what a person should read."""


@contextlib.contextmanager
def disk_in_words() -> Iterator[None]:
    """Turn what the disk refuses in the block into a step that fails.

    Raises:
        DeployError: a file could not be read, written or deleted; the text names it, where the system does.
    """
    try:
        yield
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise DeployError(f"{where}{error.strerror or error}. docs/deploy.md, When something is wrong") from None


def taken(folder: Path) -> int:
    """Return the bytes that the files of a folder take on the disk."""
    return sum(path.lstat().st_blocks * 512 for path in folder.rglob("*"))


def in_megabytes(size: int) -> str:
    """Return a number of bytes for a person."""
    return f"{size // MEGABYTE} MB"


def has_room(folder: Path, size: int) -> bool:
    """Tell whether the disk that a folder is on takes so many bytes more.

    What a disk says is free may be more than the account may have of it. So the bytes are also taken, in one go, and
    given back at once.
    """
    if shutil.disk_usage(folder).free < size:
        return False
    probe = folder / ".room"
    try:
        with probe.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, size)
    except OSError as error:
        if error.errno not in FULL:
            raise
        return False
    finally:
        probe.unlink(missing_ok=True)
    return True

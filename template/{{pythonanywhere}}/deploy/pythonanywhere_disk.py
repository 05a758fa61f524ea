"""Check that the account's disk has room before a deploy uses it: the live site's database is on the same disk.

Like the deploy script, this uses only the standard library.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

MEGABYTE = 1024**2
# Packages before any were installed: those of a project with all of the template's extras take 190 MB.
FIRST_PACKAGES = 200 * MEGABYTE
# Extra bytes for a new release that is larger than the live one, and for what the site writes meanwhile.
GROWTH = 1.25
SPARE = 16 * MEGABYTE
FULL = (errno.ENOSPC, errno.EDQUOT)


class DeployError(Exception):
    """Say why a step failed, and what to do about it."""


@contextlib.contextmanager
def disk_in_words() -> Iterator[None]:
    """Turn errors of the disk in the block into a failed step.

    Raises:
        DeployError: a file could not be read, written or deleted; the text names it if the system does.
    """
    try:
        yield
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise DeployError(f"{where}{error.strerror or error}. See docs/troubleshooting.md") from None


def taken(folder: Path) -> int:
    """Return the number of bytes that a folder's files use on the disk."""
    return sum(path.lstat().st_blocks * 512 for path in folder.rglob("*"))


def in_megabytes(size: int) -> str:
    """Return a number of bytes in a readable unit."""
    return f"{size // MEGABYTE} MB"


def has_room(folder: Path, size: int) -> bool:
    """Return whether a folder's disk has room for a number of bytes.

    The disk may report more free space than the account's quota allows. So this also allocates the bytes, and frees
    them at once.
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

"""Who may run beside whom: tests that are marked `alone` have the machine to themselves, the others share it."""

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def turn(folder: Path, *, alone: bool) -> Iterator[None]:
    """Wait until a test may begin, and let the others know when it has ended.

    Who wants to be alone closes a gate behind those that are in, so that no stream of others keeps it out.

    Args:
        folder: what all processes of the run share.
        alone: whether nobody else may be in.
    """
    with (folder / "gate").open("w") as gate, (folder / "room").open("w") as room:
        fcntl.flock(gate, fcntl.LOCK_EX)
        fcntl.flock(room, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(gate, fcntl.LOCK_UN)
        yield

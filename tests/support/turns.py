"""Let tests that are marked `alone` run without others beside them; the rest run in parallel."""

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO


class Turn:
    """A test's permission to run."""

    def __init__(self, gate: TextIO, room: TextIO) -> None:
        self.gate, self.room = gate, room

    def begin(self, *, alone: bool) -> None:
        """Wait until the test may run.

        A test that wants to be alone first stops others from starting, so that it does not wait forever.
        """
        fcntl.flock(self.gate, fcntl.LOCK_EX)
        fcntl.flock(self.room, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(self.gate, fcntl.LOCK_UN)

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Run alone until the end of the block, in a test that otherwise runs beside others."""
        # Release the shared lock first: two tests here would otherwise wait for each other.
        fcntl.flock(self.room, fcntl.LOCK_UN)
        self.begin(alone=True)
        try:
            yield
        finally:
            fcntl.flock(self.room, fcntl.LOCK_SH)


@contextlib.contextmanager
def turn(folder: Path, *, alone: bool) -> Iterator[Turn]:
    """Wait until a test may start, and make way for others when it has ended.

    Args:
        folder: a folder that all processes of the run share.
        alone: True if no other test may run beside this one.
    """
    with (folder / "gate").open("w") as gate, (folder / "room").open("w") as room:
        taken = Turn(gate, room)
        taken.begin(alone=alone)
        yield taken

"""Who may run beside whom: tests that are marked `alone` have the machine to themselves, the others share it."""

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO


class Turn:
    """The time in which a test may run."""

    def __init__(self, gate: TextIO, room: TextIO) -> None:
        self.gate, self.room = gate, room

    def begin(self, *, alone: bool) -> None:
        """Wait until the test may run.

        Who wants to be alone closes a gate behind those that are in, so that no stream of others keeps it out.
        """
        fcntl.flock(self.gate, fcntl.LOCK_EX)
        fcntl.flock(self.room, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(self.gate, fcntl.LOCK_UN)

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Let nobody else run for the length of a block, in a test that otherwise runs beside others."""
        # Two that both wait for this must not wait for each other.
        fcntl.flock(self.room, fcntl.LOCK_UN)
        self.begin(alone=True)
        try:
            yield
        finally:
            fcntl.flock(self.room, fcntl.LOCK_SH)


@contextlib.contextmanager
def turn(folder: Path, *, alone: bool) -> Iterator[Turn]:
    """Wait until a test may begin, and let the others know when it has ended.

    Args:
        folder: what all processes of the run share.
        alone: whether nobody else may be in.
    """
    with (folder / "gate").open("w") as gate, (folder / "room").open("w") as room:
        taken = Turn(gate, room)
        taken.begin(alone=alone)
        yield taken

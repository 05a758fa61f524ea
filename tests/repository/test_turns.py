"""Tests that are marked `alone` run without others, and do not wait forever for them."""

from pathlib import Path
from threading import Event, Thread

from tests.support.servers import HANGS
from tests.support.turns import turn

# Seconds after which a test that may run would have started.
AT_ONCE = 0.3


class Someone:
    """A test that waits for its turn."""

    def __init__(self, folder: Path, *, alone: bool = False) -> None:
        self.folder, self.alone = folder, alone
        self.came_in, self.may_go = Event(), Event()
        self.thread = Thread(target=self.be, daemon=True)
        self.thread.start()

    def be(self) -> None:
        """Wait for the turn, run until `leaves` is called, and end."""
        with turn(self.folder, alone=self.alone):
            self.came_in.set()
            self.may_go.wait(HANGS)

    def leaves(self) -> None:
        """End it, and wait until it has ended."""
        self.may_go.set()
        self.thread.join(HANGS)


def test_others_share_the_machine(tmp_path: Path) -> None:
    first, second = Someone(tmp_path), Someone(tmp_path)
    assert first.came_in.wait(HANGS)
    assert second.came_in.wait(HANGS)
    first.leaves()
    second.leaves()


def test_one_that_is_alone_waits_for_those_before_and_not_for_those_after(tmp_path: Path) -> None:
    before = Someone(tmp_path)
    assert before.came_in.wait(HANGS)
    alone = Someone(tmp_path, alone=True)
    assert not alone.came_in.wait(AT_ONCE)
    after = Someone(tmp_path)
    assert not after.came_in.wait(AT_ONCE)
    before.leaves()
    assert alone.came_in.wait(HANGS)
    assert not after.came_in.wait(AT_ONCE)
    alone.leaves()
    assert after.came_in.wait(HANGS)
    after.leaves()


def test_one_that_runs_beside_others_can_be_alone_for_a_while(tmp_path: Path) -> None:
    other = Someone(tmp_path)
    assert other.came_in.wait(HANGS)
    alone, may_go, shared = Event(), Event(), Event()

    def be() -> None:
        with turn(tmp_path, alone=False) as taken:
            with taken.alone():
                alone.set()
                may_go.wait(HANGS)
            shared.set()
            other_again.came_in.wait(HANGS)

    thread = Thread(target=be, daemon=True)
    thread.start()
    assert not alone.wait(AT_ONCE)
    other.leaves()
    assert alone.wait(HANGS)
    other_again = Someone(tmp_path)
    assert not other_again.came_in.wait(AT_ONCE)
    may_go.set()
    assert shared.wait(HANGS)
    assert other_again.came_in.wait(HANGS)
    other_again.leaves()
    thread.join(HANGS)

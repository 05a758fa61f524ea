"""Emulate an app's log, and the sessions that read it: devcenter, "Application Logs"."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Condition

# Seconds between two checks for a reader that has left.
INTERVAL = 0.5


@dataclass(frozen=True)
class Line:
    """A line of the log: time, source ("app" or "heroku"), process, and message."""

    when: datetime
    source: str
    process: str
    message: str

    def __str__(self) -> str:
        """Return the line in Heroku's format."""
        return f"{self.when.isoformat(timespec='microseconds')} {self.source}[{self.process}]: {self.message}"


class Log:
    """The lines of all sources in order; readers can wait for more."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.changed = Condition()
        self.closed = False

    def __str__(self) -> str:
        """Return all lines."""
        return "\n".join(map(str, self.lines))

    def write(self, source: str, process: str, message: str) -> None:
        """Add a line; the source is `app` for the app's own output, `heroku` for the platform."""
        with self.changed:
            self.lines.append(Line(datetime.now(UTC), source, process, message))
            self.changed.notify_all()

    def close(self) -> None:
        """End all readers."""
        with self.changed:
            self.closed = True
            self.changed.notify_all()

    def read(self, last: int, source: str | None, process: str | None, *, tail: bool) -> Iterator[Line]:
        """Yield the last lines of a source or a process (`web` or `web.1`), and with `tail` new lines as they come."""

        def wanted(line: Line) -> bool:
            names = {line.process, line.process.split(".")[0]}
            return (not source or line.source == source) and (not process or process in names)

        with self.changed:
            new = self.lines[:]
        read = len(new)
        found = [line for line in new if wanted(line)]
        yield from found[-last:]
        while tail and not self.closed:
            with self.changed:
                self.changed.wait(INTERVAL)
                new = self.lines[read:]
            read += len(new)
            yield from filter(wanted, new)

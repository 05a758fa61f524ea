"""Emulate dynos. Each runs a process of an app in its own copy of the slug: devcenter, "Dynos and the Dyno Manager"."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from threading import Event, Lock, Thread
from types import MappingProxyType

from stand_ins.heroku.logs import Log
from tests.support.servers import free_port

# Seconds for a web process to listen at PORT: devcenter, "Web Dyno Startup (R10)".
BOOT_TIMEOUT = 60.0
# Seconds from SIGTERM to SIGKILL: devcenter, "Dyno Shutdown Behavior".
PATIENCE = 30.0
# Seconds between the router's last request and SIGTERM, in which the process can read the request.
SETTLE = 0.2

# What the Python buildpack's profile scripts set where config vars do not: bin/compile and vendor/ of its release 351.
DEFAULTS = {
    "GUNICORN_CMD_ARGS": "--access-logfile -",
    "LANG": "en_US.UTF-8",
}
# What they set whatever config vars say.
FORCED = {"FORWARDED_ALLOW_IPS": "*", "PYTHONUNBUFFERED": "true"}
# A dyno's memory in MB and its cores, from which they compute the number of web processes: devcenter, "Dyno Types".
MACHINES = {"Standard-2X": (1024, 8), "Performance-M": (2560, 2), "Performance-L": (14336, 8)}
SMALL = (512, 8)
MB_FOR_A_PROCESS = 256
SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"


@dataclass(frozen=True)
class Slug:
    """The result of a build.

    Attributes:
        tree: the app's files; each dyno gets its own copy.
        python: the install of Python with what the app depends on, which each dyno has as .heroku/python.
        processes: the Procfile's lines.
        commit: what was built.
    """

    id: str
    tree: Path
    python: Path
    processes: dict[str, str]
    commit: str

    @cached_property
    def size(self) -> int:
        """Return the size of all its files in bytes. It is cached, because each request for the app shows it."""
        return sum(file.lstat().st_size for part in (self.tree, self.python) for file in part.rglob("*"))


class Dyno:
    """A process and its children, in a folder of their own and with a dyno's environment.

    Attributes:
        name: its process type and number: `web.1`.
        version: the release that it runs.
        one_off: True if it runs one command and is not part of the formation.
        state: starting, up, stopping, crashed or complete.
        pid: the ID of its first process, once it is started.
        killed: the processes that were ended by SIGKILL, each with its command.
    """

    def __init__(self, name: str, command: str, slug: Slug, config: dict[str, str], folder: Path, log: Log) -> None:
        self.id = str(uuid.uuid4())
        self.name = name
        self.type = name.split(".")[0]
        self.command = command
        self.slug = slug
        self.config = config
        self.folder = folder / self.id
        self.log = log
        self.version = 0
        self.one_off = False
        self.size = "Basic"
        self.port = free_port()
        self.state = "starting"
        self.since = datetime.now(UTC)
        self.code: int | None = None
        self.killed: list[str] = []
        self.process: subprocess.Popen[bytes] | None = None
        self.listener: Callable[[bytes], None] | None = None
        self.changed: Callable[[], None] = lambda: None
        self.printed = bytearray()
        self.ended = Event()
        self.changing = Lock()

    @property
    def pid(self) -> int:
        """Return the ID of its first process; 0 before it is started."""
        return self.process.pid if self.process else 0

    @property
    def home(self) -> Path:
        """Return the app's home folder in the dyno."""
        return self.folder / "app"

    def output(self) -> str:
        """Return the output of its processes so far."""
        return self.printed.decode(errors="replace")

    def environment(self, variables: Mapping[str, str]) -> dict[str, str]:
        """Return the environment of its processes, without this machine's variables; `variables` override config vars."""
        memory, cores = MACHINES.get(self.size, SMALL)
        computed = {} if "WEB_CONCURRENCY" in self.config else {"WEB_CONCURRENCY_SET_BY": "heroku/python"}
        python = self.home / ".heroku/python"
        return {
            **DEFAULTS,
            "PYTHONPATH": str(self.home),
            "WEB_CONCURRENCY": str(min(max(memory // MB_FOR_A_PROCESS, 1), cores * 2 + 1)),
            **computed,
            **self.config,
            **variables,
            **FORCED,
            "DYNO": self.name,
            "DYNO_RAM": str(memory),
            "HOME": str(self.home),
            "LD_LIBRARY_PATH": f"{python}/lib",
            "LIBRARY_PATH": f"{python}/lib",
            "PATH": f"{python}/bin:{SYSTEM_PATH}",
            "PORT": str(self.port),
            "PWD": str(self.home),
            "PYTHONHOME": str(python),
        }

    def start(
        self,
        stdin: int = subprocess.DEVNULL,
        stdout: int | None = None,
        variables: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Start it, unless it was stopped before.

        Args:
            stdin: its standard input; if `stdout` is the same file, a terminal.
            stdout: its standard output; by default the log.
            variables: more environment variables.
        """
        with self.changing:
            if self.state != "starting":
                return
            shutil.copytree(self.slug.tree, self.home, symlinks=True)
            (self.home / ".heroku").mkdir()
            (self.home / ".heroku/python").symlink_to(self.slug.python)
            self.log.write("heroku", self.name, f"Starting process with command `{self.command}`")
            reading, writing = os.pipe() if stdout is None else (None, stdout)
            # In a new session, which gets the terminal as its controlling one.
            session = ["setsid", "--ctty"] if stdin == stdout else ["setsid"]
            self.process = subprocess.Popen(
                [*session, "bash", "-c", self.command],
                cwd=self.home,
                env=self.environment(variables),
                stdin=stdin,
                stdout=writing,
                stderr=writing,
            )
            if reading is not None:
                os.close(writing)
                Thread(target=self._read, args=(reading,)).start()
            if self.type != "web":
                self._turn("up")
            Thread(target=self._wait).start()

    def hear(self, piece: bytes) -> None:
        """Record the output of its processes."""
        self.printed += piece
        if self.listener:
            self.listener(piece)

    def _read(self, reading: int) -> None:
        rest = b""
        with open(reading, "rb", buffering=0) as file:
            while piece := file.read(64 * 1024):
                self.hear(piece)
                *lines, rest = (rest + piece).split(b"\n")
                for line in lines:
                    self.log.write("app", self.name, line.decode(errors="replace"))
        if rest:
            self.log.write("app", self.name, rest.decode(errors="replace"))

    def _wait(self) -> None:
        assert self.process is not None
        code = self.process.wait()
        self.code = 128 - code if code < 0 else code
        self.log.write("heroku", self.name, f"Process exited with status {self.code}")
        # The processes that it started end with it.
        self._signal(signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)
        crashed = self.state in {"starting", "up"} and (self.type == "web" or self.code != 0)
        self._turn("crashed" if crashed else "complete")
        self.ended.set()

    def watch_boot(self, address: str) -> None:
        """Wait until it listens at PORT on an address that other machines can reach."""
        deadline = time.monotonic() + BOOT_TIMEOUT
        while self.state == "starting":
            with contextlib.suppress(OSError), socket.create_connection((address, self.port), 1):
                self._turn("up", only_if="starting")
                return
            if time.monotonic() > deadline:
                self.log.write(
                    "heroku",
                    self.name,
                    "Error R10 (Boot timeout) -> Web process failed to bind to $PORT within 60 seconds of launch",
                )
                self._signal(signal.SIGKILL)
                return
            time.sleep(0.02)

    def _turn(self, state: str, only_if: str | None = None) -> None:
        before = self.state
        if before == state or (only_if and before != only_if):
            return
        self.state = state
        self.since = datetime.now(UTC)
        self.log.write("heroku", self.name, f"State changed from {before} to {state}")
        self.changed()

    def processes(self) -> list[int]:
        """Return the IDs of all its processes, also of those that left its session."""
        mark = f"HOME={self.home}".encode()
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            # A process may end while it is read.
            with contextlib.suppress(OSError):
                if mark in (entry / "environ").read_bytes().split(b"\0") or os.getsid(int(entry.name)) == self.pid:
                    found.append(int(entry.name))
        return found

    def _signal(self, sent: signal.Signals) -> list[int]:
        found = self.processes()
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, sent)
        return found

    def stop(self, patience: float = PATIENCE) -> None:
        """Send SIGTERM to each of its processes, and SIGKILL to those that are left after `patience` seconds.

        The router sends it no more requests from the start. Source: devcenter, "Dyno Shutdown Behavior".
        """
        if self.state != "crashed":
            self._turn("stopping")
        with self.changing:
            if self.process is None:
                self.ended.set()
            if self.ended.is_set():
                return
            time.sleep(SETTLE)
            self.log.write("heroku", self.name, "Stopping all processes with SIGTERM")
            self._signal(signal.SIGTERM)
            if not self.ended.wait(patience):
                self.killed = [f"{pid} {command(pid)}" for pid in self.processes()]
                self.log.write("heroku", self.name, "Error R12 (Exit timeout) -> At least one process failed to exit")
                self._signal(signal.SIGKILL)
                self.ended.wait()


def command(pid: int) -> str:
    """Return a process's command line; empty if the process has ended."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    return ""

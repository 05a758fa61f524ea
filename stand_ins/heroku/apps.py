"""Emulate an app: its config vars, releases, dynos and everything else that Heroku keeps for it."""

import random
import secrets
import uuid
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from threading import Condition, Thread

from stand_ins.heroku.dynos import Dyno, Slug
from stand_ins.heroku.logs import Log
from stand_ins.heroku.records import AddOn, Release, Transfer

# Seconds that a request waits for a dyno to boot: devcenter, "Heroku Error Codes", H20.
BOOT_QUEUE = 75.0


class App:
    """An app.

    Attributes:
        host: its host name under herokuapp.com, with the random suffix: devcenter, "Custom Domain Names for Apps".
        address: the dynos' IP address; not 127.0.0.1, so that an app that listens only there fails, as on Heroku.
        current: the release that its dynos run.
        formation: the number and size of the dynos of each process type.
    """

    def __init__(self, name: str, folder: Path, address: str) -> None:
        self.id = str(uuid.uuid4())
        self.name = name
        self.host = f"{name}-{secrets.token_hex(6)}.herokuapp.com"
        self.folder = folder / name
        self.address = address
        self.created_at = datetime.now(UTC)
        self.config: dict[str, str] = {}
        self.addons: list[AddOn] = []
        self.transfers: list[Transfer] = []
        self.schedules: list[dict[str, str]] = []
        self.releases: list[Release] = []
        self.current: Release | None = None
        self.formation: dict[str, tuple[int, str]] = {}
        self.dynos: list[Dyno] = []
        self.ended: list[Dyno] = []
        self.domains: dict[str, str] = {}
        self.maintenance = False
        self.acm = False
        self.stack = "heroku-24"
        self.buildpacks: list[str] = []
        self.log = Log()
        # Held for each change of state; notifies requests that wait for a dyno.
        self.changed = Condition()
        # One worker, so that releases take effect in order.
        self.work = ThreadPoolExecutor(1, f"releases of {name}")
        self.endings: list[Thread] = []
        self.restarted: set[tuple[int, str]] = set()
        self.closed = False
        self.faults: list[str] = []

    @property
    def repository(self) -> Path:
        """Return the Git repository that developers push to."""
        return self.folder / "repository.git"

    @property
    def slug(self) -> Slug | None:
        """Return the slug of the newest release, which the next one uses unless it has a new one."""
        return self.releases[-1].slug if self.releases else None

    def release(
        self, description: str, *, slug: Slug | None = None, config: dict[str, str] | None = None, command: bool = True
    ) -> Release:
        """Make a release of a new slug or new config vars, and start it in the background.

        Its release command runs first. Its dynos start only if that succeeds: devcenter, "Release Phase".

        Args:
            description: a description of the change.
            slug: the new slug; by default the newest release's.
            config: all config vars; by default the current ones.
            command: True if it has a release phase; a release that an add-on makes has none.
        """
        with self.changed:
            self.config = dict(self.config if config is None else config)
            addons = [f"{addon.service}:{addon.plan}" for addon in self.addons]
            release = Release(len(self.releases) + 1, description, slug or self.slug, self.config, addons)
            line = release.slug.processes.get("release") if release.slug and command else None
            if line:
                release.output = bytearray()
            self.releases.append(release)
            self.log.write("app", "api", f"{description} by user developer@example.com")
            self.log.write("app", "api", f"Release v{release.version} created by user developer@example.com")
            future = self.work.submit(self._carry_out, release, line)
        future.add_done_callback(lambda ended: self._end_release(release, ended))
        return release

    def _carry_out(self, release: Release, line: str | None) -> None:
        if line and self._run_release_command(release, line) != 0:
            return
        with self.changed:
            if not self.closed:
                release.status = "succeeded"
                self.current = release
                if release.slug:
                    self._fit_formation(release.slug)
                    self.exchange()

    def _end_release(self, release: Release, ended: Future[None]) -> None:
        if not ended.cancelled() and (error := ended.exception()):
            self.faults.append(f"{type(error).__name__}: {error}")
        if release.status == "pending":
            release.status = "failed"
        release.done.set()

    def _run_release_command(self, release: Release, line: str) -> int:
        dyno = self.one_off(line, "release", release)
        output = release.output

        def hear(piece: bytes) -> None:
            if output is not None:
                output.extend(piece)

        dyno.listener = hear
        dyno.start()
        dyno.ended.wait()
        return 1 if dyno.code is None else dyno.code

    def _fit_formation(self, slug: Slug) -> None:
        # The first deploy starts one web dyno and no others: devcenter, "Scaling Your Dyno Formation".
        size = self.formation["web"][1] if "web" in self.formation else "Basic"
        kept = {kind: self.formation.get(kind, (0, size)) for kind in slug.processes}
        if "web" in kept and "web" not in self.formation:
            kept["web"] = (1, "Basic")
        self.formation = kept

    def one_off(self, command: str, kind: str, release: Release | None = None) -> Dyno:
        """Return a dyno for one command, not yet started, for a release or by default the current one.

        Raises:
            LookupError: the app has no code.
        """
        release = release or self.current
        if not release or not release.slug:
            raise LookupError("no code")
        # A command that is the name of a process type runs its command from the Procfile: devcenter, "One-Off Dynos".
        first, _, rest = command.partition(" ")
        line = release.slug.processes.get(first, first) + (f" {rest}" if rest else "")
        dyno = self._dyno(f"{kind}.{random.randint(1000, 9999)}", line, release)  # noqa: S311 - no secret
        dyno.one_off = True
        with self.changed:
            self.dynos.append(dyno)
        return dyno

    def _dyno(self, name: str, line: str, release: Release) -> Dyno:
        assert release.slug is not None
        dyno = Dyno(name, line, release.slug, release.config, self.folder / "dynos", self.log)
        dyno.version = release.version
        dyno.size = self.formation.get(dyno.type, (0, "Basic"))[1]
        dyno.changed = lambda: self._follow(dyno)
        return dyno

    def _follow(self, dyno: Dyno) -> None:
        with self.changed:
            if dyno in self.dynos and dyno.state in {"complete", "crashed"}:
                if dyno.one_off:
                    self.dynos.remove(dyno)
                    self.ended.append(dyno)
                else:
                    self._restart(dyno)
            self.changed.notify_all()

    def _restart(self, crashed: Dyno) -> None:
        # Restart at once after the first crash. Later restarts wait longer than any test: devcenter, "Dyno Crash Restart Policy".
        again = (crashed.version, crashed.name)
        if again not in self.restarted and not self.closed:
            self.restarted.add(again)
            self.exchange(lambda dyno: dyno is crashed)

    def exchange(self, chosen: Callable[[Dyno], bool] = lambda _: True) -> None:
        """Replace all or the chosen dynos by new ones, as without preboot: devcenter, "Preboot".

        The old dynos get SIGTERM as the new ones start, so for a moment there is no web dyno. The router holds requests
        meanwhile.
        """
        with self.changed:
            release = self.current
            if not release or not release.slug:
                return
            wanted = {
                f"{kind}.{number}": release.slug.processes[kind]
                for kind, (quantity, _) in self.formation.items()
                for number in range(1, quantity + 1)
            }
            running = [dyno for dyno in self.dynos if not dyno.one_off]
            old = [dyno for dyno in running if dyno.name not in wanted or chosen(dyno)]
            kept = {dyno.name for dyno in running if dyno not in old}
            new = [self._dyno(name, line, release) for name, line in wanted.items() if name not in kept]
            self.dynos = [dyno for dyno in self.dynos if dyno not in old] + new
            self.ended += old
            self.endings = [thread for thread in self.endings if thread.is_alive()]
            self.endings += [self._thread(dyno.stop) for dyno in old] + [self._thread(self._boot, dyno) for dyno in new]
            self.changed.notify_all()

    def _thread(self, target: Callable[..., None], *args: object) -> Thread:
        thread = Thread(target=target, args=args)
        thread.start()
        return thread

    def _boot(self, dyno: Dyno) -> None:
        dyno.start()
        if dyno.type == "web":
            dyno.watch_boot(self.address)

    def scale(self, kind: str, quantity: int, size: str) -> None:
        """Set the number of dynos of a process type; the others keep running."""
        resized = self.formation[kind][1] != size
        self.formation[kind] = (quantity, size)
        self.exchange(lambda dyno: resized and dyno.type == kind)

    def web_dyno(self) -> Dyno | str:
        """Return a random web dyno that is up, after waiting for one that boots, or an error code.

        The codes are from devcenter, "Heroku Error Codes".
        """
        with self.changed:
            self.changed.wait_for(lambda: self._up() or not self._booting(), BOOT_QUEUE)
            if up := self._up():
                return random.choice(up)  # noqa: S311 - no secret
            if self._booting():
                return "H20"
            return "H10" if any(dyno.type == "web" for dyno in self.dynos) else "H14"

    def _up(self) -> list[Dyno]:
        return [dyno for dyno in self.dynos if dyno.type == "web" and dyno.state == "up"]

    def _booting(self) -> bool:
        return any(dyno.type == "web" and dyno.state == "starting" for dyno in self.dynos)

    def close(self, patience: float) -> None:
        """Stop all dynos, and remove the databases."""
        self.closed = True
        self.work.shutdown(wait=False, cancel_futures=True)
        with self.changed:
            running = [*self.dynos, *self.ended]
        for thread in [self._thread(dyno.stop, patience) for dyno in running] + self.endings:
            thread.join()
        self.work.shutdown()
        self.log.close()
        for addon in self.addons:
            if addon.resource:
                addon.resource.drop()


def find_by_name_or_id[T: (AddOn, App, Dyno)](found: Iterable[T], wanted: str) -> T | None:
    """Return the first item with this name or ID, or None."""
    return next((one for one in found if wanted in {one.name, one.id}), None)

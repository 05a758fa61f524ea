"""Emulate as much of Heroku as a runbook needs: on loopback, under its real host names, for the real programs.

For commands that are run by `Heroku.command`, api.heroku.com, git.heroku.com, the apps' host names and a few more
resolve to the emulated Heroku. At the end of its block it stops everything that it has started.
"""

import contextlib
import itertools
import os
import secrets
import shutil
import ssl
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from stand_ins.git_host import has_password
from stand_ins.heroku import addons_api, data_api, developers, dynos_api, git, platform_api, rendezvous
from stand_ins.heroku.api import Api, Call, RefusedError
from stand_ins.heroku.apps import App
from stand_ins.heroku.logs import Log
from stand_ins.heroku.router import Router
from stand_ins.heroku.servers import Certificates, Exchange, Front, Server, Site
from tests.support.databases import PostgreSQL
from tests.support.names import LoopbackNames, loopback_names

API = "api.heroku.com"
DATA = "api.data.heroku.com"
# The program asks this host for the account's billing state at each use of the account.
PARTICLEBOARD = "particleboard.heroku.com"
BUILDPACKS = "buildpack-registry.heroku.com"
# The URL that the program shows as heroku/python, the only buildpack here.
PYTHON_BUILDPACK = "https://buildpack-registry.s3.amazonaws.com/buildpacks/heroku/python.tgz"
NAMES = [
    API,
    DATA,
    PARTICLEBOARD,
    git.HOST,
    platform_api.LOG_HOST,
    platform_api.OUTPUT_HOST,
    rendezvous.HOST,
    data_api.STORAGE_HOST,
    BUILDPACKS,
]

# Seconds that dynos have to stop at the end of a test.
LAST_PATIENCE = 5.0


class Heroku:
    """The platform with all of its apps.

    Attributes:
        apps: the apps by name.
        token: the developer's API token.
        log: the calls of the APIs.
        faults: unknown calls, and errors of the emulation itself.
        certificates: its certificate authority. Programs trust `ca_file`, which includes this machine's authorities.
    """

    def __init__(self, folder: Path, database: PostgreSQL, names: LoopbackNames) -> None:
        self.folder = folder
        self.database = database
        self.names = names
        self.apps: dict[str, App] = {}
        self.token = f"HRKU-{uuid.uuid4()}"
        self.log: list[str] = []
        self.faults: list[str] = []
        self.certificates = Certificates([*NAMES, "*.herokuapp.com"])
        self.ca_file = folder / "ca.pem"
        self.git = git.Git(names.address)
        self.router = Router()
        self.rendezvous = rendezvous.Rendezvous()
        self.sessions: dict[str, tuple[Log, dict[str, Any]]] = {}
        self.platform_api = self._platform_api()
        self._write_ca_file()
        developers.make_home(folder, {API: self.token, git.HOST: self.token})

    def command(self, command: Sequence[str]) -> list[str]:
        """Return the command that runs `command` with Heroku's host names."""
        return self.names.command(command)

    def environment(self, **variables: str) -> dict[str, str]:
        """Return the environment of a logged-in developer's shell with heroku, uv, python and psql."""
        return {**developers.environment(self.folder, self.ca_file), **variables}

    def _write_ca_file(self) -> None:
        usual = os.environ.get("SSL_CERT_FILE") or ssl.get_default_verify_paths().cafile
        own = self.certificates.authority.cert_pem.bytes()
        self.ca_file.write_bytes(own + (Path(usual).read_bytes() if usual else b""))

    def site(self, host: str) -> Site:
        """Return the function that answers for a host name."""
        sites: dict[str, Site] = {
            API: lambda exchange: self._call(self.platform_api, exchange),
            DATA: lambda exchange: self._call(data_api.api, exchange),
            PARTICLEBOARD: lambda exchange: exchange.reply_json(200, {}),
            git.HOST: self._git,
            platform_api.LOG_HOST: self._log_session,
            platform_api.OUTPUT_HOST: self._release_output,
            data_api.STORAGE_HOST: self._stored,
            BUILDPACKS: lambda exchange: exchange.reply_json(200, {"blob_url": PYTHON_BUILDPACK}),
        }
        if host in sites:
            return sites[host]
        app = next((app for app in self.apps.values() if host in {app.host, *app.domains}), None)
        return (lambda exchange: self.router.route(exchange, app)) if app else self.router.no_such_app

    def _call(self, api: Api, exchange: Exchange) -> None:
        if exchange.headers.get("Authorization") != f"Bearer {self.token}":
            exchange.reply_json(401, {"id": "unauthorized", "message": "Invalid credentials provided."})
            return
        self.log.append(f"{exchange.command} {exchange.host}{exchange.path}")
        try:
            if not api.serve(exchange, self.apps):
                self.faults.append(f"no answer is known to {self.log[-1]}")
        except (LookupError, TypeError, ValueError) as error:
            # Without an answer, the program would retry without end.
            self.faults.append(f"{self.log[-1]} fails: {type(error).__name__}: {error}")
            exchange.reply_json(500, {"id": "server_error", "message": "Internal server error."})

    def _platform_api(self) -> Api:
        api = Api()
        api.on("POST", "/apps")(self._create)
        api.on("DELETE", "/apps/{app}")(self._destroy)
        api.on("POST", "/apps/{app}/domains")(self._add_domain)
        api.on("DELETE", "/apps/{app}/domains/{domain}")(self._remove_domain)
        api.on("POST", "/apps/{app}/acm")(self._enable_acm)
        api.on("POST", "/apps/{app}/addons")(lambda call: addons_api.create(call, self.database))
        api.on("POST", "/apps/{app}/dynos")(lambda call: dynos_api.run(call, self.rendezvous))
        api.on("POST", "/apps/{app}/log-sessions")(lambda call: platform_api.log_session(call, self.sessions))
        api.calls += platform_api.api.calls + dynos_api.api.calls + addons_api.api.calls
        return api

    def _create(self, call: Call) -> Any:
        asked = call.exchange.json()
        name = asked.get("name") or f"fierce-plains-{secrets.randbelow(90000) + 10000}"
        if not platform_api.NAME.fullmatch(name):
            message = (
                "Name must start with a letter, end with a letter or digit and can only contain lowercase letters, "
                "digits, and dashes."
            )
            raise RefusedError(422, "invalid_params", message)
        if name in self.apps:
            raise RefusedError(422, "invalid_params", f"Name {name} is already taken")
        app = App(name, self.folder / "apps", self.names.address)
        app.folder.mkdir(parents=True)
        app.faults = self.faults
        self.git.create(app)
        app.release("Initial release")
        app.release("Enable Logplex")
        self.apps[name] = app
        self.names.add(app.host)
        call.status = 201
        return platform_api.app_json(app)

    def _destroy(self, call: Call) -> Any:
        app = call.app
        shown = platform_api.app_json(app)
        del self.apps[app.name]
        app.close(LAST_PATIENCE)
        return shown

    def _add_domain(self, call: Call) -> Any:
        app, name = call.app, call.exchange.json()["hostname"]
        if any(name in {other.host, *other.domains} for other in self.apps.values()):
            raise RefusedError(422, "invalid_params", f"{name} is currently in use by another app.")
        app.domains[name] = f"{secrets.token_hex(8)}.herokudns.com"
        self._certify(app)
        call.status = 201
        return platform_api.domain_json(app, name)

    def _remove_domain(self, call: Call) -> Any:
        shown = platform_api.domain_info(call)
        del call.app.domains[shown["hostname"]]
        return shown

    def _enable_acm(self, call: Call) -> Any:
        call.app.acm = True
        self._certify(call.app)
        return platform_api.app_json(call.app)

    def _certify(self, app: App) -> None:
        """Issue a certificate for an app. Custom domains get none: devcenter, "Automated Certificates"."""
        for name in app.domains if app.acm else ():
            self.certificates.issue(name)

    def _git(self, exchange: Exchange) -> None:
        name = exchange.path.strip("/").split("/")[0].removesuffix(".git")
        pushed = exchange.path.removeprefix("/pushed/")
        if pushed in self.apps:
            self.git.pushed(exchange, self.apps[pushed])
        elif not has_password(exchange, self.token):
            exchange.reply(401, b"Invalid credentials provided.", "text/plain", WWW_Authenticate='Basic realm="Heroku"')
        elif name in self.apps:
            self.git.serve(exchange, self.apps[name])
        else:
            exchange.reply(404, b"Couldn't find that app.", "text/plain")

    def _log_session(self, exchange: Exchange) -> None:
        found = self.sessions.get(exchange.path.rpartition("/")[2])
        if not found:
            exchange.reply(404, b"", "text/plain")
            return
        log, asked = found
        last = int(asked.get("lines") or 100)
        lines = log.read(last, asked.get("source"), asked.get("dyno"), tail=bool(asked.get("tail")))
        # Set the retry delay: after a log ends, the program waits that long before it exits, by default three seconds.
        begin = [b"retry: 10\n\n"]
        pieces = (f"id: {number}\ndata: {line}\n\n".encode() for number, line in enumerate(lines))
        exchange.stream(200, [("Content-Type", "text/event-stream")], itertools.chain(begin, pieces))

    def _release_output(self, exchange: Exchange) -> None:
        releases = {release.id: release for app in self.apps.values() for release in app.releases}
        release = releases.get(exchange.path.rpartition("/")[2])
        if not release or release.output is None:
            exchange.reply(404, b"", "text/plain")
            return
        release.done.wait()
        exchange.reply(200, bytes(release.output), "text/plain")

    def _stored(self, exchange: Exchange) -> None:
        file = data_api.stored(exchange.path, [one for app in self.apps.values() for one in app.transfers])
        exchange.reply(200 if file else 404, file.read_bytes() if file else b"", "application/octet-stream")


@contextlib.contextmanager
def heroku(folder: Path, database: PostgreSQL) -> Iterator[Heroku]:
    """Emulate Heroku until the end of the block, with databases on `database`'s server and its files in the new `folder`.

    Raises:
        AssertionError: after the block, if a program made an unknown call or the emulation failed.
        pytest.skip.Exception: this process may not set host names, or there is no heroku program.
    """
    folder.mkdir(parents=True)
    with loopback_names(folder / "names", NAMES) as names, contextlib.ExitStack() as stack:
        platform = Heroku(folder, database, names)
        tls, faults = platform.certificates.context, platform.faults
        for server in (
            Front((names.address, 443), tls, faults, platform.site),
            Front((names.address, 80), None, faults, platform.site),
            Server((names.address, rendezvous.PORT), platform.rendezvous.handler(), tls, faults),
        ):
            stack.enter_context(server.serving())
        try:
            yield platform
        except BaseException as error:
            for fault in faults:
                error.add_note(fault)
            raise
        finally:
            for app in list(platform.apps.values()):
                app.close(LAST_PATIENCE)
            platform.router.close()
            for part in ("slugs", "dynos"):
                for leftover in folder.glob(f"apps/*/{part}"):
                    shutil.rmtree(leftover, ignore_errors=True)
    assert not platform.faults, "\n".join(platform.faults)

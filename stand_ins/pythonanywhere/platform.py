"""Emulate PythonAnywhere: its API, its web servers, and one account.

The calls, their fields and the rate limit are from https://help.pythonanywhere.com/pages/API. The answers are those that
the platform's own library and program expect (pythonanywhere-core 0.3.3, pythonanywhere 0.19.3). Unknown calls are
refused.
"""

import contextlib
import http.client
import json
import re
import socket
import ssl
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import trustme
from requests.utils import DEFAULT_CA_BUNDLE_PATH

from stand_ins.pythonanywhere.account import API_HOST, TOKEN, Account
from stand_ins.pythonanywhere.web import DEFAULT_WSGI, AlwaysOn, Exchange, Front, WebApp, WebServer
from tests.support.names import loopback_names

LIMIT = 40
PYTHONS = {"python310": "3.10", "python311": "3.11", "python312": "3.12", "python313": "3.13"}
FIELDS = ("id", "domain_name", "python_version", "source_directory", "virtualenv_path", "force_https")
ANSWER = tuple[int, Any]


@dataclass
class Page:
    """An answer from one of the platform's hosts."""

    status: int
    headers: Mapping[str, str]
    text: str


class Platform:
    """The platform, with one account.

    Attributes:
        account: the account.
        paid: True for a paid account; a free one has one web app, no custom domain and no scheduled tasks.
        webapps: the web apps by domain.
        tasks: the scheduled tasks.
        always_on: the always-on tasks, which are restarted when they end.
        minute: the length of the rate limit's minute in seconds.
        broken: calls that fail, by method and the end of the path, with their answers.
        calls: the accepted calls, as "GET /webapps/".
    """

    def __init__(self, account: Account, folder: Path) -> None:
        self.account = account
        self.folder = folder
        self.paid = True
        self.webapps: dict[str, WebApp] = {}
        self.servers: dict[str, WebServer] = {}
        self.tasks: dict[int, dict[str, Any]] = {}
        self.always_on: dict[int, AlwaysOn] = {}
        self.minute = 60.0
        self.recent: dict[str, deque[float]] = defaultdict(deque)
        self.broken: dict[tuple[str, str], ANSWER] = {}
        self.calls: list[str] = []
        self.ids = iter(range(1, 1000))

    @property
    def domain(self) -> str:
        """Return the host name of the account's web app."""
        return f"{self.account.user}.{self.account.site.removeprefix('www.')}"

    def ask(
        self,
        host: str,
        path: str,
        *,
        method: str = "GET",
        fields: Any = None,
        tls: bool = True,
        headers: Mapping[str, str] | None = None,
    ) -> Page:
        """Send a request to a host as a visitor or an external program does; do not follow redirects.

        Args:
            host: one of the platform's host names.
            path: the path, with its query.
            method: the HTTP method.
            fields: fields to send as JSON, if any.
            tls: True for HTTPS.
            headers: more headers.
        """
        context = ssl.create_default_context(cafile=self.account.environment["REQUESTS_CA_BUNDLE"])
        with socket.create_connection((self.account.names.address, 443 if tls else 80), timeout=30) as plain:
            connection = http.client.HTTPConnection(host)
            connection.sock = context.wrap_socket(plain, server_hostname=host) if tls else plain
            sent = {} if fields is None else {"Content-Type": "application/json"}
            connection.request(
                method, path, None if fields is None else json.dumps(fields), {**sent, **(headers or {})}
            )
            answer = connection.getresponse()
            page = Page(answer.status, dict(answer.getheaders()), answer.read().decode())
            connection.close()
        return page

    def serve(self, webapp: WebApp) -> None:
        """Add a web app, and start it."""
        folder = self.folder / f"webapp-{webapp.id}"
        folder.mkdir()
        self.webapps[webapp.domain_name] = webapp
        self.servers[webapp.domain_name] = WebServer(self.account, folder)
        self.servers[webapp.domain_name].restart(webapp)

    def answer(self, exchange: Exchange) -> None:
        """Answer a request for any of the platform's hosts."""
        if exchange.host == self.account.site:
            status, content = self.called(exchange)
            headers = {"Retry_After": str(wait_told(content))} if status == 429 else {}
            exchange.reply(status, json.dumps(content).encode(), "application/json", **headers)
        elif exchange.host in self.servers:
            exchange.visit(self.webapps[exchange.host], self.servers[exchange.host])
        else:
            exchange.reply(404, b"<h1>Coming Soon!</h1>")

    def called(self, exchange: Exchange) -> ANSWER:
        """Return the API's answer to a call."""
        path, method = exchange.path.partition("?")[0], exchange.command
        match = re.fullmatch(r"/api/v0/user/([^/]+)(/.*/)", path)
        if not match or not exchange.server.context:
            return 404, {"detail": "Not found."}
        if exchange.headers.get("Authorization") != f"Token {TOKEN}":
            return 401, {"detail": "Invalid token."}
        if match[1] != self.account.user:
            return 403, {"detail": "You do not have permission to perform this action."}
        endpoint = match[2]
        if left := self.over_the_limit(f"{method} {re.sub('[0-9]+', 'N', endpoint)}"):
            return 429, {"detail": f"Request was throttled. Expected available in {left} seconds."}
        self.calls.append(f"{method} {endpoint}")
        for (broken, end), answer in self.broken.items():
            if broken == method and endpoint.endswith(end):
                return answer
        for pattern, known in CALLS.items():
            if parts := re.fullmatch(pattern, endpoint):
                if method not in known:
                    return 405, {"detail": f'Method "{method}" not allowed.'}
                return known[method](self, given(exchange), *parts.groups())
        return 404, {"detail": "Not found."}

    def over_the_limit(self, endpoint: str) -> int:
        """Return the seconds until an endpoint accepts its next call; 0 if it does now."""
        now, recent = time.monotonic(), self.recent[endpoint]
        while recent and recent[0] <= now - self.minute:
            recent.popleft()
        if len(recent) >= LIMIT:
            return int(recent[0] + self.minute - now) + 1
        recent.append(now)
        return 0

    # --- Web apps

    def list_webapps(self, _: dict[str, Any]) -> ANSWER:
        """Return all web apps."""
        return 200, [described(webapp) for webapp in self.webapps.values()]

    def create_webapp(self, fields: dict[str, Any]) -> ANSWER:
        """Create a web app, which shows "Hello, World!"."""
        missing = {
            name: ["This field is required."] for name in ("domain_name", "python_version") if not fields.get(name)
        }
        if missing:
            return 400, missing
        if fields["python_version"] not in PYTHONS:
            return 400, {"python_version": [f'"{fields["python_version"]}" is not a valid choice.']}
        domain = fields["domain_name"].lower()
        if domain in self.webapps:
            return 400, {
                "status": "ERROR",
                "error_type": "domain_in_use",
                "error_message": f"{domain} is already in use",
            }
        if not self.paid and (self.webapps or domain != self.domain):
            return 403, {"detail": "You have reached your maximum number of web apps."}
        webapp = WebApp(next(self.ids), domain, PYTHONS[fields["python_version"]])
        (self.account.www / Path(webapp.wsgi_file).name).write_text(DEFAULT_WSGI)
        self.serve(webapp)
        return 200, {"status": "OK"}

    def get_webapp(self, _: dict[str, Any], domain: str) -> ANSWER:
        """Return a web app."""
        return (200, described(self.webapps[domain])) if domain in self.webapps else unknown()

    def change_webapp(self, fields: dict[str, Any], domain: str) -> ANSWER:
        """Change some fields; refuse those that are fixed at creation."""
        if domain not in self.webapps:
            return unknown()
        for name, value in fields.items():
            if name == "force_https":
                if str(value).lower() not in ("true", "false"):
                    return 400, {name: ["Must be a valid boolean."]}
                self.webapps[domain].force_https = str(value).lower() == "true"
            elif name == "python_version":
                if value not in PYTHONS:
                    return 400, {name: [f'"{value}" is not a valid choice.']}
                self.webapps[domain].python_version = PYTHONS[value]
            elif name in ("source_directory", "virtualenv_path"):
                setattr(self.webapps[domain], name, value)
            else:
                return 400, {name: ["This field is not known here."]}
        return 200, described(self.webapps[domain])

    def reload_webapp(self, _: dict[str, Any], domain: str) -> ANSWER:
        """Restart a web app."""
        if domain not in self.webapps:
            return unknown()
        self.servers[domain].restart(self.webapps[domain])
        if not domain.endswith(".pythonanywhere.com"):
            # The platform's answer when the web app was reloaded but its domain's CNAME was not found.
            return 409, {"status": "ERROR", "error": "cname_error"}
        return 200, {"status": "OK"}

    def list_static_files(self, _: dict[str, Any], domain: str) -> ANSWER:
        """Return the mapped static folders."""
        return (200, self.webapps[domain].static_files) if domain in self.webapps else unknown()

    def map_static_files(self, fields: dict[str, Any], domain: str) -> ANSWER:
        """Map a static folder."""
        if domain not in self.webapps:
            return unknown()
        if not str(fields.get("url", "")).startswith("/") or not str(fields.get("path", "")).startswith("/"):
            return 400, {"url": ["This field is required."], "path": ["This field is required."]}
        mapping = {"id": next(self.ids), "url": fields["url"], "path": fields["path"]}
        self.webapps[domain].static_files.append(mapping)
        return 201, mapping

    def change_static_files(self, fields: dict[str, Any], domain: str, number: str) -> ANSWER:
        """Change the mapping of a static folder."""
        for mapping in self.webapps[domain].static_files if domain in self.webapps else []:
            if mapping["id"] == int(number):
                mapping.update({name: value for name, value in fields.items() if name in ("url", "path")})
                return 200, mapping
        return unknown()

    def delete_static_files(self, _: dict[str, Any], domain: str, number: str) -> ANSWER:
        """Delete the mapping of a static folder."""
        for mapping in self.webapps[domain].static_files if domain in self.webapps else []:
            if mapping["id"] == int(number):
                self.webapps[domain].static_files.remove(mapping)
                return 204, None
        return unknown()

    # --- Scheduled tasks

    def list_tasks(self, _: dict[str, Any]) -> ANSWER:
        """Return all scheduled tasks."""
        return 200, list(self.tasks.values())

    def create_task(self, fields: dict[str, Any]) -> ANSWER:
        """Create a scheduled task, which needs a time."""
        if not self.paid:
            return 403, {"detail": "Your plan has no scheduled tasks."}
        problems = {name: ["This field is required."] for name in ("command", "minute") if name not in fields}
        if fields.get("interval") not in ("daily", "hourly"):
            problems["interval"] = ['"" is not a valid choice.']
        if fields.get("interval") == "daily" and not isinstance(fields.get("hour"), int):
            problems["hour"] = ["This field is required."]
        if problems:
            return 400, problems
        number = next(self.ids)
        hour = fields.get("hour")
        self.tasks[number] = {
            **fields,
            "id": number,
            "user": self.account.user,
            "can_enable": True,
            "expiry": None,
            "printable_time": f"{hour:02}:{fields['minute']:02}" if hour is not None else f"{fields['minute']} past",
        }
        return 201, self.tasks[number]

    def delete_task(self, _: dict[str, Any], number: str) -> ANSWER:
        """Delete a scheduled task."""
        return (204, None) if self.tasks.pop(int(number), None) else unknown()

    # --- Always-on tasks

    def list_always_on(self, _: dict[str, Any]) -> ANSWER:
        """Return all always-on tasks."""
        return 200, [task.fields for task in self.always_on.values()]

    def create_always_on(self, fields: dict[str, Any]) -> ANSWER:
        """Create an always-on task, and start it unless it is disabled."""
        if not self.paid:
            return 403, {"detail": "Your plan has no always-on tasks."}
        if not fields.get("command"):
            return 400, {"command": ["This field is required."]}
        number = next(self.ids)
        told = {
            "description": "",
            "enabled": True,
            **fields,
            "id": number,
            "user": self.account.user,
            "state": "Running",
        }
        self.always_on[number] = AlwaysOn(self.account, self.folder / f"always-on-{number}.log", told)
        if told["enabled"]:
            self.always_on[number].restart()
        return 201, told

    def change_always_on(self, fields: dict[str, Any], number: str) -> ANSWER:
        """Change an always-on task, and start it."""
        if int(number) not in self.always_on:
            return unknown()
        task = self.always_on[int(number)]
        task.fields.update({name: value for name, value in fields.items() if name in ("command", "enabled")})
        if task.fields["enabled"]:
            task.restart()
        return 200, task.fields

    def restart_always_on(self, _: dict[str, Any], number: str) -> ANSWER:
        """Restart an always-on task."""
        if int(number) not in self.always_on:
            return unknown()
        self.always_on[int(number)].restart()
        return 200, self.always_on[int(number)].fields


Known = Callable[..., ANSWER]

CALLS: dict[str, dict[str, Known]] = {
    "/webapps/": {"GET": Platform.list_webapps, "POST": Platform.create_webapp},
    "/webapps/([^/]+)/": {"GET": Platform.get_webapp, "PATCH": Platform.change_webapp, "PUT": Platform.change_webapp},
    "/webapps/([^/]+)/reload/": {"POST": Platform.reload_webapp},
    "/webapps/([^/]+)/static_files/": {"GET": Platform.list_static_files, "POST": Platform.map_static_files},
    "/webapps/([^/]+)/static_files/([0-9]+)/": {
        "PATCH": Platform.change_static_files,
        "DELETE": Platform.delete_static_files,
    },
    "/always_on/": {"GET": Platform.list_always_on, "POST": Platform.create_always_on},
    "/always_on/([0-9]+)/": {"PATCH": Platform.change_always_on},
    "/always_on/([0-9]+)/restart/": {"POST": Platform.restart_always_on},
    "/schedule/": {"GET": Platform.list_tasks, "POST": Platform.create_task},
    "/schedule/([0-9]+)/": {"DELETE": Platform.delete_task},
}


def described(webapp: WebApp) -> dict[str, Any]:
    """Return a web app in the API's format."""
    return {name: getattr(webapp, name) for name in FIELDS}


def unknown() -> ANSWER:
    """Return the answer for something that does not exist."""
    return 404, {"detail": "Not found."}


def wait_told(content: Any) -> int:
    """Return the seconds to wait that a refusal states."""
    found = re.search("[0-9]+", content["detail"])
    return int(found[0]) if found else 0


def given(exchange: Exchange) -> dict[str, Any]:
    """Return a call's fields, sent as a form or as JSON."""
    if not exchange.body:
        return {}
    if exchange.headers.get("Content-Type", "").startswith("application/json"):
        fields: dict[str, Any] = json.loads(exchange.body)
        return fields
    return dict(parse_qsl(exchange.body.decode(), keep_blank_values=True))


@contextlib.contextmanager
def pythonanywhere(folder: Path, user: str, site: str = API_HOST) -> Iterator[Platform]:
    """Emulate the platform with an account until the end of the block, then remove everything.

    Raises:
        pytest.skip.Exception: this process may not set host names.
    """
    hosts = [site, f"{user}.{site.removeprefix('www.')}"]
    with loopback_names(folder / "names", hosts) as names, contextlib.ExitStack() as stack:
        authority = trustme.CA()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(*hosts, "www.example.com").configure_cert(context)
        platform = Platform(Account(folder / "account", user, names, trusted(folder, authority), site), folder)
        for port, its_context in ((443, context), (80, None)):
            stack.enter_context(Front((names.address, port), its_context, platform.answer).serving())
        try:
            yield platform
        finally:
            for task in platform.always_on.values():
                task.stop()
            for server in platform.servers.values():
                server.stop()


def trusted(folder: Path, authority: trustme.CA) -> Path:
    """Return a file with the certificates that this machine trusts, and the platform's."""
    file = folder / "ca.pem"
    own = ssl.get_default_verify_paths().cafile or DEFAULT_CA_BUNDLE_PATH
    file.write_text(f"{Path(own).read_text()}\n{authority.cert_pem.bytes().decode()}")
    return file

"""Emulate the common part of Heroku's two APIs: paths, tokens and errors."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import unquote, urlsplit

from stand_ins.heroku.apps import App, find_by_name_or_id
from stand_ins.heroku.servers import Exchange

# The only developer account.
ACCOUNT = {
    "id": "01234567-89ab-cdef-0123-456789abcdef",
    "email": "developer@example.com",
    "name": "Developer",
    "beta": False,
    "verified": True,
    "default_team": None,
    "federated": False,
}
OWNER = {"id": ACCOUNT["id"], "email": ACCOUNT["email"]}


class RefusedError(Exception):
    """Raised to refuse a call; the fields are from the Platform API Reference, "Error Responses"."""

    def __init__(self, status: int, id: str, message: str, **more: str) -> None:  # noqa: A002 - the API's name
        super().__init__(message)
        self.status = status
        self.body = {"id": id, "message": message, **more}


class NotFoundError(RefusedError):
    """Raised if the requested resource does not exist."""

    def __init__(self, what: str, resource: str) -> None:
        super().__init__(404, "not_found", f"Couldn't find that {what}.", resource=resource)


@dataclass
class Call:
    """A call of an API.

    Attributes:
        exchange: the HTTP request and its answer.
        path: the path's parameters by name.
        apps: all apps by name.
        status: the answer's status.
    """

    exchange: Exchange
    path: dict[str, str]
    apps: dict[str, App]
    status: int = 200

    @property
    def app(self) -> App:
        """Return the app that the path names.

        Raises:
            NotFoundError: there is no app with this name or ID.
        """
        if found := find_by_name_or_id(self.apps.values(), self.path["app"]):
            return found
        raise NotFoundError("app", "app")

    def page[T](self, found: list[T]) -> list[T]:
        """Return the requested part of a list: Platform API Reference, "Ranges"."""
        asked = self.exchange.headers.get("Range", "")
        ordered = list(reversed(found)) if "order=desc" in asked else found
        most = re.search(r"max=(\d+)", asked)
        return ordered[: int(most[1])] if most else ordered


type Answer = Callable[[Call], Any]


class Api:
    """The known calls, by method and path: `@api.on("GET", "/apps/{app}")`."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, re.Pattern[str], Answer]] = []

    def on(self, method: str, path: str) -> Callable[[Answer], Answer]:
        """Register a function that answers a call with its result as JSON, or with None if it has answered itself."""
        pattern = re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path))

        def register(answer: Answer) -> Answer:
            self.calls.append((method, pattern, answer))
            return answer

        return register

    def serve(self, exchange: Exchange, apps: dict[str, App]) -> bool:
        """Answer a call; return False if it is unknown."""
        path = urlsplit(exchange.path).path
        for method, pattern, answer in self.calls:
            if method == exchange.command and (match := pattern.fullmatch(path)):
                call = Call(exchange, {name: unquote(value) for name, value in match.groupdict("").items()}, apps)
                try:
                    content = answer(call)
                except RefusedError as refusal:
                    exchange.reply_json(refusal.status, refusal.body)
                else:
                    if content is not None:
                        exchange.reply_json(call.status, content)
                return True
        message = "The requested API endpoint was not found. Are you using the right HTTP verb?"
        exchange.reply_json(404, {"id": "not_found", "message": message})
        return False


def time(moment: datetime) -> str:
    """Return a time in the APIs' format."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")

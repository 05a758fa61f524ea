"""Keep an app's records: its releases, its add-ons, and their backups."""

import secrets
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from stand_ins.heroku.broker import Broker
from stand_ins.heroku.dynos import Slug
from stand_ins.heroku.postgres import Database

if TYPE_CHECKING:
    from stand_ins.heroku.apps import App


@dataclass
class Release:
    """A slug with config vars: devcenter, "Releases".

    Attributes:
        status: pending, succeeded or failed.
        output: the release command's output; None if none ran.
        done: set when the release is no longer pending.
    """

    version: int
    description: str
    slug: Slug | None
    config: dict[str, str]
    addons: list[str]
    status: str = "pending"
    output: bytearray | None = None
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    done: Event = field(default_factory=Event)


@dataclass
class AddOn:
    """An app's add-on: a database, a broker, or one without a URL.

    Attributes:
        service: the add-on service, such as `heroku-postgresql`.
        resource: the add-on's database or server; None if it has neither.
        state: provisioning, provisioned or deprovisioned.
        attachments: the names under which it is attached, with their IDs.
        upgraded_to: the versions of PostgreSQL that a database was upgraded to.
    """

    app: "App"
    service: str
    resource: Database | Broker | None
    plan: str
    name: str
    state: str = "provisioning"
    attachments: dict[str, str] = field(default_factory=dict)
    upgraded_to: list[str] = field(default_factory=list)
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def config_vars(self) -> list[str]:
        """Return the config vars with its URL."""
        return [f"{name}_URL" for name in self.attachments] if self.resource else []

    @property
    def database(self) -> Database:
        """Return its database.

        Raises:
            TypeError: it is not a database.
        """
        if not isinstance(self.resource, Database):
            raise TypeError(f"{self.name} is no database")
        return self.resource


@dataclass
class Transfer:
    """A backup or a restore of a database."""

    number: int
    addon: AddOn
    kind: str
    file: Path
    succeeded: bool = False
    log: str = ""
    size: int = 0
    source_size: int = 0
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    key: str = field(default_factory=lambda: secrets.token_urlsafe(20))
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    finished_at: datetime = field(default_factory=lambda: datetime.now(UTC))

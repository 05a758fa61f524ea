"""Emulate the add-on heroku-redis: a server of its own, but without TLS, which the real one has."""

import shutil
import tempfile
from pathlib import Path

from tests.support.redis import Redis
from tests.support.servers import free_port

# Monthly prices in cents.
PRICES = {"mini": 300}
# Of the plan mini: devcenter, "Heroku Key-Value Store".
CONNECTIONS = 20


class Broker:
    """A Redis server."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="heroku-redis-"))
        self.server = Redis(self.folder, free_port())
        self.url = self.server.url

    def create(self) -> None:
        """Start it, with as many connections as the plan has."""
        self.server.start()
        assert self.server.ask(f"CONFIG SET maxclients {CONNECTIONS}") == "+OK"

    def drop(self) -> None:
        """Stop the server, and delete its data."""
        self.server.stop()
        shutil.rmtree(self.folder)

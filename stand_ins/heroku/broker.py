"""The add-on heroku-redis: a server of its own, without the TLS that the real one speaks."""

import shutil
import tempfile
from pathlib import Path

from tests.support.redis import Redis
from tests.support.servers import free_port

# A month's price in cents.
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
        """Stop it, and forget what it held."""
        self.server.stop()
        shutil.rmtree(self.folder)

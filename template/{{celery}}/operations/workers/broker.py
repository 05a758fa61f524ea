"""Celery's broker: what its address has to be, and how it is spoken to."""

import ssl
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

from environs import EnvError

from operations.environment.databases import is_cut_short
from operations.environment.parsers import EXAMPLES

EXAMPLE = "Examples: redis://localhost:6379/0 or amqp://user:password@host:5672/site"
EXAMPLES["CELERY_BROKER_URL"] = EXAMPLE

REDIS = ("redis", "rediss")
RABBITMQ = ("amqp", "amqps")
# It loses what a worker has read when it was killed, and has no remote control: docs/environment.md.
POSTGRESQL = "sqla+postgresql"


def broker(text: str) -> str:
    """The address of Redis, of RabbitMQ, or of PostgreSQL through SQLAlchemy."""
    try:
        url = urlsplit(text)
        complete = bool(url.hostname) and (url.port or 1) > 0 and not is_cut_short(text)
    except ValueError:
        complete, url = False, urlsplit("")
    if not complete or url.scheme not in (*REDIS, *RABBITMQ, POSTGRESQL):
        # It may hold a password, and is not repeated.
        raise EnvError(f"not a broker's URL. {EXAMPLE}")
    if url.scheme == POSTGRESQL and find_spec("sqlalchemy") is None:
        raise EnvError("PostgreSQL as a broker needs SQLAlchemy, which is not installed: uv add sqlalchemy")
    return text


def transport_options(url: str, lease: int) -> dict[str, Any]:
    """How a broker is spoken to, by its address.

    Args:
        url: the address.
        lease: seconds after which a task goes to another worker, if the one that has it says nothing.
    """
    scheme = urlsplit(url).scheme
    if scheme in RABBITMQ:
        # It sees a connection end, and gives its tasks to another worker at once.
        return {
            # A task is sent when RabbitMQ says that it has it, and not when it is on its way.
            "confirm_publish": True,
            # Seconds: a broker that hangs shall not hang the page.
            "read_timeout": 2,
            "write_timeout": 2,
        }
    if scheme not in REDIS:
        return {}
    return {
        # Above the time limit of a task, or Redis would give it to a second worker while the first one runs it.
        "visibility_timeout": lease,
        # What is above it is looked for every ten seconds, and not every hundred.
        "unacked_restore_throttle": 1,
        # Tasks of the queue `high` are done first, and not in turns.
        "queue_order_strategy": "priority",
        # Seconds: a broker that hangs shall not hang the page.
        "socket_connect_timeout": 2,
        "socket_timeout": 2,
        "socket_keepalive": True,
    }


def encryption(url: str, *, verify: bool) -> dict[str, Any] | None:
    """How the connection to a broker is encrypted, by its address; `verify` says whether its certificate is checked."""
    address = urlsplit(url)
    if address.scheme == "rediss":
        # Some hosts of Redis have certificates of their own making.
        return {"ssl_cert_reqs": ssl.CERT_REQUIRED if verify else ssl.CERT_NONE}
    if address.scheme == "amqps":
        # Without a name, a certificate of any host would do.
        return {"server_hostname": address.hostname} if verify else {"cert_reqs": ssl.CERT_NONE}
    return None

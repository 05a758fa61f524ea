"""Check the URL of Celery's broker, and choose the connection's options by it."""

import ssl
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

from operations.environment.databases import is_cut_short
from operations.environment.parsers import EXAMPLES
from operations.environment.variables import EnvError

EXAMPLE = "Examples: redis://localhost:6379/0 or amqp://user:password@host:5672/site"
EXAMPLES["CELERY_BROKER_URL"] = EXAMPLE

REDIS = ("redis", "rediss")
RABBITMQ = ("amqp", "amqps")
# Loses the tasks that a killed worker has read, and has no remote control: docs/environment.md.
POSTGRESQL = "sqla+postgresql"


def broker(text: str) -> str:
    """Return the URL of Redis, RabbitMQ, or PostgreSQL through SQLAlchemy.

    Raises:
        EnvError: it is not such a URL, or SQLAlchemy is not installed.
    """
    try:
        url = urlsplit(text)
        complete = bool(url.hostname) and (url.port or 1) > 0 and not is_cut_short(text)
    except ValueError:
        complete, url = False, urlsplit("")
    if not complete or url.scheme not in (*REDIS, *RABBITMQ, POSTGRESQL):
        # Do not repeat the URL: it may contain a password.
        raise EnvError(f"not a broker's URL. {EXAMPLE}")
    if url.scheme == POSTGRESQL and find_spec("sqlalchemy") is None:
        raise EnvError("PostgreSQL as a broker needs SQLAlchemy, which is not installed: uv add sqlalchemy")
    return text


def transport_options(url: str, lease: int) -> dict[str, Any]:
    """Return the options of the connection to a broker, as Celery's `broker_transport_options`.

    Args:
        url: the broker's URL.
        lease: seconds after which Redis gives an unfinished task to another worker.
    """
    scheme = urlsplit(url).scheme
    if scheme in RABBITMQ:
        # RabbitMQ needs no lease: when a worker's connection ends, it gives the tasks to another worker at once.
        return {
            # Wait until RabbitMQ confirms that it has the task.
            "confirm_publish": True,
            # Seconds. A broker that hangs must not block the page.
            "read_timeout": 2,
            "write_timeout": 2,
        }
    if scheme not in REDIS:
        return {}
    return {
        # Above a task's time limit, or Redis would give the task to a second worker while the first one still runs it.
        "visibility_timeout": lease,
        # Look for tasks above that age every ten seconds, and not every hundred.
        "unacked_restore_throttle": 1,
        # Run tasks of the queue `high` first, instead of taking turns.
        "queue_order_strategy": "priority",
        # Seconds. A broker that hangs must not block the page.
        "socket_connect_timeout": 2,
        "socket_timeout": 2,
        "socket_keepalive": True,
    }


def encryption(url: str, *, verify: bool) -> dict[str, Any] | None:
    """Return the TLS options of the connection to a broker; None without TLS. `verify` checks the certificate."""
    address = urlsplit(url)
    if address.scheme == "rediss":
        # Some Redis providers use self-signed certificates.
        return {"ssl_cert_reqs": ssl.CERT_REQUIRED if verify else ssl.CERT_NONE}
    if address.scheme == "amqps":
        # Without the name, a certificate for any host would be accepted.
        return {"server_hostname": address.hostname} if verify else {"cert_reqs": ssl.CERT_NONE}
    return None

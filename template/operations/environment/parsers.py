"""Parse the text of environment variables.

Every function takes the text or its default, and returns the value for Django's settings. It raises EnvError with what
is wrong and what to write instead. It never repeats the text, because a secret may be in the wrong variable.
"""

import os
import re
from email.utils import parseaddr
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from operations.environment import databases
from operations.environment.databases import database, is_cut_short
from operations.environment.variables import EnvError

__all__ = [
    "address",
    "cache_url",
    "count",
    "database",
    "flag",
    "folder",
    "hosts",
    "level",
    "log_file",
    "mailer",
    "number",
    "origins",
    "proxies",
    "secret_key",
    "secret_keys",
]

MAKE_A_KEY = "Make one: python -c 'import secrets; print(secrets.token_urlsafe(50))'"
PLACEHOLDERS = ("django-insecure", "change-me", "changeme", "change_me", "placeholder", "your-secret", "example")
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
# Half as long again is still a number of 32 bits, and as seconds a time that Python can reckon with.
MOST = 1_000_000_000
HOST = re.compile(r"\.?([a-z0-9_]([a-z0-9_-]*[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?|\[[0-9a-f:.]+\]", re.I)
HOST_EXAMPLE = "Example: www.example.com"
ADDRESS_EXAMPLE = "Example: Todo List <site@example.com>"
# What to write for a required variable that is not set.
EXAMPLES = {
    "ALLOWED_HOSTS": HOST_EXAMPLE,
    "DATABASE_URL": databases.EXAMPLES,
    "DEFAULT_FROM_EMAIL": f"EMAIL_URL needs it. {ADDRESS_EXAMPLE}",
    "SECRET_KEY": MAKE_A_KEY,
}


def items(text: str | list[str]) -> list[str]:
    """Return the parts of a comma-separated text, without surrounding spaces and empty parts."""
    parts = text.split(",") if isinstance(text, str) else text
    return [part.strip() for part in parts if part.strip()]


def wrong_item(number: int, parts: list[str]) -> str:
    """Return which of several parts is wrong, without repeating it."""
    return f"entry {number} of {len(parts)} is" if len(parts) > 1 else "it is"


def flag(text: str | bool) -> bool:
    """Return True or False."""
    words = {"true": True, "on": True, "yes": True, "1": True, "false": False, "off": False, "no": False, "0": False}
    if isinstance(text, bool):
        return text
    if text.strip().lower() not in words:
        raise EnvError("neither true nor false. Write one of the two")
    return words[text.strip().lower()]


def number(text: str | int, *, least: int = 0, most: int = MOST) -> int:
    """Return a whole number from `least` to `most`."""
    digits = str(text).strip()
    if not re.fullmatch(r"[0-9]{1,12}", digits) or not least <= int(digits) <= most:
        raise EnvError(f"not a whole number from {least} to {most}. Write it in digits")
    return int(digits)


def count(text: str | int, *, most: int = MOST) -> int:
    """Return a whole number from 1 to `most`."""
    return number(text, least=1, most=most)


def secret_key(text: str) -> str:
    """Return a key of at least 50 characters, as Django's check security.W009 requires."""
    if len(text) < 50 or len(set(text)) < 5:
        raise EnvError(f"too easy to guess: under 50 characters, or under 5 different ones. {MAKE_A_KEY}")
    if any(placeholder in text.lower() for placeholder in PLACEHOLDERS):
        raise EnvError(f"a placeholder that others know. {MAKE_A_KEY}")
    return text


def secret_keys(text: str | list[str]) -> list[str]:
    """Return comma-separated earlier values of `SECRET_KEY`."""
    return [secret_key(key) for key in items(text)]


def hosts(text: str | list[str]) -> list[str]:
    """Return comma-separated host names. One that starts with a dot includes its subdomains."""
    if isinstance(text, str) and not items(text):
        raise EnvError(f"names no host. {HOST_EXAMPLE}")
    for number, host in enumerate(items(text), 1):
        if not HOST.fullmatch(host):
            which = wrong_item(number, items(text))
            raise EnvError(f"{which} not a host name: no https://, port, path or '*'. {HOST_EXAMPLE}")
    return items(text)


def origins(text: str | list[str]) -> list[str]:
    """Return comma-separated origins of forms on other hosts, each with scheme and host."""
    for number, origin in enumerate(items(text), 1):
        if not re.fullmatch(r"https?://(\*\.)?[a-z0-9.-]+(:\d{1,5})?", origin, re.IGNORECASE):
            which = wrong_item(number, items(text))
            raise EnvError(f"{which} not a scheme and a host. Example: https://www.example.com")
    return items(text)


def proxies(text: str) -> str:
    """Return comma-separated IP addresses and networks of proxies, or `*` for any client."""
    for number, address in enumerate(items(text), 1):
        try:
            if address != "*":
                ip_network(address)
        except ValueError:
            which = wrong_item(number, items(text))
            raise EnvError(f"{which} not an address or a network. Example: 127.0.0.1,10.0.0.0/8") from None
    return ",".join(items(text))


def cache_url(text: str | None) -> str | None:
    """The URL of a Redis server, which the cache is in.

    `rediss://` speaks TLS. Options are in the query: redis-py's `from_url` lists them.
    """
    if text is None:
        return None
    try:
        # Only who has Redis waits for its library.
        import redis

        url = urlsplit(text)
        # It looks at the query too, and opens no connection.
        redis.ConnectionPool.from_url(text).make_connection()
        complete = bool(url.hostname) and re.fullmatch(r"/?|/\d+", url.path) and not is_cut_short(text)
        valid = url.scheme in ("redis", "rediss") and complete
    except Exception:  # noqa: BLE001 - whatever it is, its text may hold the password
        valid = None
    if not valid:
        raise EnvError(
            "not a Redis server's URL (% # / in a password as %25 %23 %2F). Example: redis://user:password@host:6379/0"
        )
    return text


def mailer(text: str | None) -> dict[str, Any] | None:
    """The entry of Django's MAILERS for a mail server's URL.

    `smtp://` sends in the clear (port 25), `smtp+tls://` starts TLS (port 587), `smtps://`
    speaks TLS from the first byte (port 465).
    """
    if text is None:
        return None
    ports = {"smtp": 25, "smtp+tls": 587, "smtps": 465}
    try:
        url = urlsplit(text)
        host, port = url.hostname, url.port
    except ValueError:
        host, port, url = None, None, urlsplit("")
    if url.scheme not in ports or not host or " " in host or url.path.strip("/") or url.query or url.fragment:
        raise EnvError(
            "not a mail server's URL (% # / in a password as %25 %23 %2F). Example: smtp+tls://user:password@host:587"
        )
    if bool(url.username) != bool(url.password):
        # Django would not log in at all.
        raise EnvError("has a user or a password without the other. Example: smtp+tls://user:password@host:587")
    return {
        "BACKEND": "django.core.mail.backends.smtp.EmailBackend",
        "OPTIONS": {
            "host": host,
            "port": port or ports[url.scheme],
            "username": unquote(url.username or ""),
            "password": unquote(url.password or ""),
            "use_tls": url.scheme == "smtp+tls",
            "use_ssl": url.scheme == "smtps",
            # Seconds; a mail server that hangs must not hang the page.
            "timeout": 10,
        },
    }


def address(text: str) -> str:
    """The sender of the site's mails: an address, or a name and an address."""
    found = parseaddr(text)[1]
    try:
        # A URL with a password may read as the address "password@host", and would be in each email.
        if "://" in text or not text.strip().endswith((f"<{found}>", found)):
            raise ValidationError("more than a name and an address")
        validate_email(found)
    except ValidationError:
        raise EnvError(f"not an email address. {ADDRESS_EXAMPLE}") from None
    return text


def level(text: str) -> str:
    """The name of a level of Python's logging."""
    if text.strip().upper() not in LEVELS:
        raise EnvError(f"not a level. Write one of {', '.join(LEVELS)}")
    return text.strip().upper()


def folder(text: str | None) -> Path | None:
    """The path of a folder that can be written, or that can be made."""
    if text is None:
        return None
    path = Path(text)
    if not path.is_absolute() or not os.access(path if path.exists() else path.parent, os.W_OK) or path.is_file():
        raise EnvError("not the absolute path of a folder that can be written or made. Example: /var/lib/site/media")
    return path


def log_file(text: str | None) -> str | None:
    """The path of a file that can be written."""
    if text is None:
        return None
    path = Path(text)
    if not path.is_absolute() or not os.access(path if path.exists() else path.parent, os.W_OK) or path.is_dir():
        raise EnvError("not the absolute path of a file in a folder that can be written. Example: /var/log/site.log")
    return text

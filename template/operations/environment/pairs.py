"""Variables that are right alone and harmful together."""

from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from operations.environment import BASE_DIR, Environment

LOCAL = ("localhost", "127.0.0.1", "::1")


def keep_paths_apart(
    env: Environment,
    *,
    static: Path,
    media: Path | None,
    backups: Path | None,
    log: str | None,
    database: dict[str, Any] | None,
) -> None:
    """Refuse paths of which one is in another where its files would be shown, overwritten or deleted.

    Args:
        env: what the values were read from, and what refuses. One that is missing or malformed is None.
        static: STATIC_ROOT. The site gives out all that is in it.
        media: MEDIA_ROOT. The site gives out all that is in it, and `cleanup` deletes what no row names.
        backups: BACKUP_DIR. `restore` takes the newest file in it that is called like a backup.
        log: LOG_FILE.
        database: the settings of the database at DATABASE_URL, which may be a file.
    """
    sqlite = database is not None and database["ENGINE"].endswith("sqlite3") and database["NAME"] != ":memory:"
    file = Path(database["NAME"]) if sqlite and database else None
    log_file = Path(log) if log else None
    shown = "whose files visitors can read"
    for name, inner, outer_name, outer, why in (
        ("MEDIA_ROOT", media, "STATIC_ROOT", static, "from which a page could load an upload as a script"),
        ("BACKUP_DIR", backups, "STATIC_ROOT", static, shown),
        ("LOG_FILE", log_file, "STATIC_ROOT", static, shown),
        ("DATABASE_URL", file, "STATIC_ROOT", static, shown),
        ("BACKUP_DIR", backups, "MEDIA_ROOT", media, f"{shown} and `cleanup` deletes"),
        ("LOG_FILE", log_file, "MEDIA_ROOT", media, f"{shown} and `cleanup` deletes"),
        ("DATABASE_URL", file, "MEDIA_ROOT", media, f"{shown} and `cleanup` deletes"),
    ):
        if inner and outer and inner.resolve().is_relative_to(outer.resolve()):
            env.problem(**{name: f"the path is in {outer_name}, {why}. Choose one outside it"})
    if media and backups and backups.resolve() in media.resolve().parents:
        env.problem(MEDIA_ROOT="the path is in BACKUP_DIR, where an upload could be taken for a backup. Choose another")
    if media and BASE_DIR.resolve().is_relative_to(media.resolve()):
        env.problem(MEDIA_ROOT="this folder holds the project itself, which would be shown and deleted. Choose another")
    if file and log_file and file.resolve() == log_file.resolve():
        env.problem(LOG_FILE="the path is that of the database. Choose another")


def redis_database(url: str | None) -> tuple[str, int, int] | None:
    """Return the host, port and number of the Redis database at a URL; None where it is not Redis."""
    parts = urlsplit(url or "")
    if parts.scheme not in ("redis", "rediss"):
        return None
    number = parse_qs(parts.query).get("db", [parts.path.strip("/")])[0]
    host = (parts.hostname or "").lower()
    return "localhost" if host in LOCAL else host, parts.port or 6379, int(number) if number.isdecimal() else 0


def keep_redis_apart(env: Environment, *, cache: str | None, broker: str | None) -> None:
    """Refuse one Redis database for the cache and the broker: clearing the cache would delete all tasks that wait.

    Args:
        env: what the values were read from, and what refuses.
        cache: CACHE_URL.
        broker: CELERY_BROKER_URL.
    """
    if cache and redis_database(cache) == redis_database(broker):
        env.problem(
            CACHE_URL="the Redis database is the one of CELERY_BROKER_URL, and clearing the cache would delete all tasks that wait. "
            "Choose another number behind the last /"
        )

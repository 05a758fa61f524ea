"""The site starts with what the environment says, or does not start and says why."""

import os
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
from django.contrib.staticfiles import storage
from django.contrib.staticfiles.storage import ManifestStaticFilesStorage
from django.core.handlers.wsgi import WSGIHandler
from django.core.servers.basehttp import get_internal_wsgi_application

from operations import environment
from operations.environment import databases, parsers
from operations.environment.variables import EnvError
from operations.mail import NO_MAIL_SERVER

Production = Callable[..., SimpleNamespace]

KEY = "0123456789-abcdefghijklmnopqrstuvwxyz-ABCDEFGHIJKLMNOPQRSTUVWXYZ"
KEY_BEFORE = KEY[::-1]
SMTP = "django.core.mail.backends.smtp.EmailBackend"


@pytest.mark.parametrize(
    ("parser", "text", "value"),
    [
        (parsers.flag, " Yes ", True),
        (parsers.flag, "0", False),
        (parsers.flag, True, True),
        (parsers.number, "0", 0),
        (parsers.number, " 3600 ", 3600),
        (parsers.number, 600, 600),
        (parsers.count, "2", 2),
        (parsers.secret_key, KEY, KEY),
        (parsers.secret_keys, f"{KEY} , {KEY_BEFORE},", [KEY, KEY_BEFORE]),
        (parsers.secret_keys, [], []),
        (
            parsers.hosts,
            "www.example.com, .example.org,[::1],localhost",
            ["www.example.com", ".example.org", "[::1]", "localhost"],
        ),
        (
            parsers.origins,
            "https://example.com, https://*.example.org:8443",
            ["https://example.com", "https://*.example.org:8443"],
        ),
        (parsers.cache_url, None, None),
        (parsers.cache_url, "redis://localhost:6379/1", "redis://localhost:6379/1"),
        (parsers.cache_url, "rediss://h?ssl_cert_reqs=none", "rediss://h?ssl_cert_reqs=none"),
        (parsers.mailer, None, None),
        (parsers.address, "site@example.com", "site@example.com"),
        (parsers.address, "Todo List <site@example.com>", "Todo List <site@example.com>"),
        (parsers.level, " debug ", "DEBUG"),
        (parsers.log_file, None, None),
        (parsers.folder, None, None),
        (parsers.folder, "/tmp", Path("/tmp")),  # noqa: S108 - a folder that every machine has; nothing is written
    ],
)
def test_a_value_is_read(parser: Callable[[Any], Any], text: Any, value: Any) -> None:
    assert parser(text) == value


@pytest.mark.parametrize(
    ("parser", "text", "reason"),
    [
        (parsers.flag, "maybe", "neither true nor false"),
        (parsers.number, "-1", "not a whole number"),
        (parsers.number, "1.5", "not a whole number"),
        (parsers.number, "9" * 13, "not a whole number"),
        (parsers.number, "1000000001", "not a whole number from 0 to 1000000000"),
        (parsers.number, "\u0663", "not a whole number"),
        (parsers.count, "0", "not a whole number from 1 to 1000000000"),
        (parsers.secret_key, KEY[:49], "too easy to guess"),
        (parsers.secret_key, "abcd" * 20, "too easy to guess"),
        (parsers.secret_key, f"django-insecure-{KEY}", "a placeholder"),
        (parsers.secret_keys, f"{KEY},short", "too easy to guess"),
        (parsers.hosts, "https://example.com", "not a host name"),
        (parsers.hosts, "example.com:8000", "not a host name"),
        (parsers.hosts, "*", "not a host name"),
        (parsers.hosts, " , ", "names no host"),
        (parsers.origins, "example.com", "not a scheme and a host"),
        (parsers.origins, "https://example.com/", "not a scheme and a host"),
        (parsers.database, "s3cret", "not a database's URL"),
        (parsers.database, "postgresql://user:s3cret@host:port/name", "not a database's URL"),
        (parsers.database, "postgresql://user:s3cret@host", "names no database"),
        (parsers.database, "sqlite:///", "names no database"),
        (parsers.database, "sqlite:////no/such/folder/db.sqlite3", "the folder /no/such/folder is not there"),
        (parsers.database, "sqlite:////usr", "/usr is a folder"),
        (parsers.database, "sqlite:///db.sqlite3 ", "a space around the database's name"),
        (parsers.database, "sqlite:///db.sqlite3?s3cret-=1", "its option"),
        (parsers.database, "sqlite:///db.sqlite3?timeout=soon", "its option timeout is not a whole number"),
        (
            parsers.database,
            "sqlite:///db.sqlite3?transaction_mode=s3cret",
            "its option transaction_mode is none of DEFERRED, ",
        ),
        (
            parsers.database,
            "sqlite:///db.sqlite3?isolation_level=s3cret",
            "its option isolation_level is none of DEFERRED, ",
        ),
        (parsers.database, "sqlite:///db.sqlite3?detect_types=s3cret", "its option detect_types is not a whole number"),
        (parsers.database, "sqlite:///db.sqlite3?init_command=s3cret", "its option init_command is no statement"),
        (parsers.database, "sqlite:///db%00.sqlite3", "holds a NUL character"),
        (parsers.database, f"sqlite:////tmp/{'x' * 300}", "its file cannot be read"),
        (parsers.database, "sqlite:////dev/null", "/dev/null is not a file"),
        (parsers.database, f"sqlite:///{__file__}", "a file of another kind"),
        (parsers.database, "postgresql://user:1/s3cret@host/name", "cut short by a sign in its password"),
        (parsers.database, "postgresql://user:1#s3cret@host/name", "cut short by a sign in its password"),
        (parsers.database, "postgresql://user:1?s3cret@host/name", "cut short by a sign in its password"),
        (parsers.proxies, "10.0.0.1,proxy", "entry 2 of 2 is not an address"),
        (parsers.database, "mysql://user:s3cret@host/name", "neither PostgreSQL nor SQLite"),
        (parsers.cache_url, "s3cret", "not a Redis server's URL"),
        (parsers.cache_url, "memcached://user:s3cret@host", "not a Redis server's URL"),
        (parsers.cache_url, "redis://user:42#s3cret@host", "not a Redis server's URL"),
        (parsers.cache_url, "redis://user:42/s3cret@host", "not a Redis server's URL"),
        (parsers.cache_url, "redis://user:s3cret@", "not a Redis server's URL"),
        (parsers.cache_url, "redis://user:s3cret@host:port", "not a Redis server's URL"),
        (parsers.cache_url, "redis://user:s3cret@host/cache", "not a Redis server's URL"),
        (parsers.cache_url, "redis://user:s3cret@host?timeout=soon", "not a Redis server's URL"),
        (parsers.mailer, "s3cret", "not a mail server's URL"),
        (parsers.mailer, "smtp://user:s3cret@", "not a mail server's URL"),
        (parsers.mailer, "smtp://user:s3cret#@host", "not a mail server's URL"),
        (parsers.mailer, "smtp://user:s3cret@host:port", "not a mail server's URL"),
        (parsers.mailer, "https://user:s3cret@host", "not a mail server's URL"),
        (parsers.mailer, "smtp://user:s3cret@mail server", "not a mail server's URL"),
        (parsers.mailer, "smtp://s3cret@host", "a user or a password without the other"),
        (parsers.mailer, "smtp://:s3cret@host", "a user or a password without the other"),
        (parsers.address, "nobody", "not an email address"),
        (parsers.address, "smtp://user:s3cret@mail.example.com", "not an email address"),
        (parsers.address, "smtp+tls://s3cret@mail.example.com:587", "not an email address"),
        (parsers.level, "loud", "not a level"),
        (parsers.folder, "backups", "not the absolute path"),
        (parsers.folder, "/no/such/folder", "not the absolute path"),
        (parsers.log_file, "site.log", "not the absolute path"),
        (parsers.log_file, "/", "not the absolute path"),
        (parsers.log_file, "/no/such/folder/site.log", "not the absolute path"),
    ],
)
def test_a_value_that_cannot_be_meant_is_refused(parser: Callable[[Any], Any], text: str, reason: str) -> None:
    with pytest.raises(EnvError, match=reason) as refused:
        parser(text)
    assert "s3cret" not in str(refused.value)


SECRETS = [
    "s3cret",
    "https://user:s3cret@example.com",
    "smtp://user:s3cret@mail.example.com",
    "redis://:s3cret@host:6379/0",
    "postgresql://user:s3cret@host/name",
    "/s3cret/folder",
    "example.com,s3cret/word",
    "10.0.0.1,s3cret",
    "s3cret@",
]


@pytest.mark.parametrize("parser", parsers.__all__)
def test_a_secret_in_the_wrong_variable_is_shown_by_no_refusal(parser: str) -> None:
    for secret in SECRETS:
        try:
            getattr(parsers, parser)(secret)
        except EnvError as refusal:
            assert "s3cret" not in str(refusal)  # noqa: PT017 - some of these words are what a variable may hold


@pytest.mark.parametrize(
    ("url", "port", "use_tls", "use_ssl"),
    [
        ("smtp://user:p%40ss@mail.example.com", 25, False, False),
        ("smtp+tls://user:p%40ss@mail.example.com", 587, True, False),
        ("smtps://user:p%40ss@mail.example.com:4650", 4650, False, True),
    ],
)
def test_a_mail_server_is_read(url: str, port: int, use_tls: bool, use_ssl: bool) -> None:
    mailer = parsers.mailer(url)
    assert mailer
    assert mailer["BACKEND"] == SMTP
    assert mailer["OPTIONS"] == {
        "host": "mail.example.com",
        "port": port,
        "username": "user",
        "password": "p@ss",
        "use_tls": use_tls,
        "use_ssl": use_ssl,
        "timeout": 10,
    }


def test_a_server_of_databases_needs_its_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(databases, "find_spec", lambda _: None)
    with pytest.raises(EnvError, match="psycopg"):
        parsers.database("postgresql://host/name")


def test_writers_of_a_database_file_queue_instead_of_failing() -> None:
    settings = parsers.database("sqlite:///data.sqlite3?timeout=5")
    assert settings["NAME"] == str(environment.BASE_DIR / "data.sqlite3")
    assert settings["OPTIONS"]["transaction_mode"] == "IMMEDIATE"
    assert settings["OPTIONS"]["timeout"] == 5


def test_production_needs_three_variables(production: Production, production_environment: dict[str, str]) -> None:
    settings = vars(production())
    assert settings["SECRET_KEY"] == production_environment["SECRET_KEY"]
    assert settings["ALLOWED_HOSTS"] == ["www.example.com"]
    assert settings["DATABASES"]["default"]["NAME"] == str(settings["BASE_DIR"] / "nothing.sqlite3")


def test_production_without_them_names_all_three_and_an_example_of_each(
    production: Production, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        production(SECRET_KEY="", ALLOWED_HOSTS=" ", DATABASE_URL="")
    assert ended.value.code == 3
    title, *lines = capsys.readouterr().err.splitlines()
    assert "3 problem(s)" in title
    assert [line.split(": ")[0].strip() for line in lines] == ["SECRET_KEY", "ALLOWED_HOSTS", "DATABASE_URL"]
    assert "token_urlsafe" in lines[0]
    assert "www.example.com" in lines[1]
    assert "postgresql://" in lines[2]


def test_production_names_every_problem_at_once_and_no_secret(
    production: Production, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = {
        "SECRET_KEY": "s3cret",
        "ALLOWED_HOSTS": "https://example.com",
        "DATABASE_URL": "postgresql//user:s3cret@host/name",
        "CONN_MAX_AGE": "long",
        "SECURE_SSL_REDIRECT": "maybe",
        "EMAIL_URL": "smtp:/user:s3cret@host",
        "LOG_LEVEL": "loud",
    }
    with pytest.raises(SystemExit):
        production(**wrong)
    _, *lines = capsys.readouterr().err.splitlines()
    assert [line.split(": ")[0].strip() for line in lines] == list(wrong)
    assert "s3cret" not in "".join(lines)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "65536"),
        ("WEB_CONCURRENCY", "1001"),
        ("GUNICORN_THREADS", "1001"),
        ("GUNICORN_TIMEOUT", "100001"),
        ("CLEANUP_UPLOADS_INTERVAL_HOURS", "100001"),
        ("CLEANUP_UPLOADS_MIN_AGE_HOURS", "999999999"),
        ("CONN_MAX_AGE", "1000000001"),
    ],
)
def test_a_number_that_nothing_could_work_with_is_refused(
    production: Production, capsys: pytest.CaptureFixture[str], name: str, value: str
) -> None:
    with pytest.raises(SystemExit):
        production(**{name: value})
    assert f"  {name}: not a whole number from " in capsys.readouterr().err


def test_what_gunicorn_reads_by_itself_may_not_be_empty(
    production: Production, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SystemExit):
        production(WEB_CONCURRENCY="")
    assert "  WEB_CONCURRENCY: empty. gunicorn cannot start on it" in capsys.readouterr().err
    # gunicorn does not see what only `.env` has.
    monkeypatch.setattr(environment, "from_dotenv", {"WEB_CONCURRENCY"})
    production(WEB_CONCURRENCY="")


def test_an_empty_variable_counts_as_one_that_is_not_set(production: Production) -> None:
    settings = production(CONN_MAX_AGE="", EMAIL_URL="", LOG_LEVEL=" ")
    assert settings.DATABASES["default"]["CONN_MAX_AGE"] == 600
    assert settings.MAILERS["default"]["BACKEND"] == NO_MAIL_SERVER
    assert settings.LOGGING["root"]["level"] == "INFO"


def test_a_mail_server_needs_a_sender(production: Production, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        production(EMAIL_URL="smtp://mail.example.com")
    assert "DEFAULT_FROM_EMAIL: not set. EMAIL_URL needs it." in capsys.readouterr().err
    settings = production(EMAIL_URL="smtp://mail.example.com", DEFAULT_FROM_EMAIL="site@example.com")
    assert settings.MAILERS["default"]["BACKEND"] == SMTP
    assert settings.ACCOUNT_EMAIL_VERIFICATION == "mandatory"


def test_a_secret_can_stand_in_a_file(production: Production, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(f"{KEY_BEFORE}\n")
    assert production(SECRET_KEY="", SECRET_KEY_FILE=str(file)).SECRET_KEY == KEY_BEFORE


@pytest.mark.parametrize(
    ("content", "key", "reason"),
    [
        (None, "", "SECRET_KEY: SECRET_KEY_FILE names a file that cannot be read (No such file or directory)"),
        (b"\xff\xfe", "", "SECRET_KEY: SECRET_KEY_FILE names a file that cannot be read (line 1: UTF-16. Save"),
        (b"a\n\0", "", "SECRET_KEY: SECRET_KEY_FILE names a file that cannot be read (line 2: a NUL character. Save"),
        (KEY.encode(), KEY, "SECRET_KEY: given twice. Unset it or SECRET_KEY_FILE"),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused(
    production: Production,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    content: bytes | None,
    key: str,
    reason: str,
) -> None:
    file = tmp_path / "key"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SystemExit):
        production(SECRET_KEY=key, SECRET_KEY_FILE=str(file))
    assert reason in capsys.readouterr().err


STATIC = str(environment.BASE_DIR / "staticfiles")
HARMFUL = {
    "backups in the uploads": ("BACKUP_DIR", {"BACKUP_DIR": "{tmp}/media/backups", "MEDIA_ROOT": "{tmp}/media"}),
    "backups are the uploads": ("BACKUP_DIR", {"BACKUP_DIR": "{tmp}/media", "MEDIA_ROOT": "{tmp}/media/"}),
    "backups in the uploads by a link": ("BACKUP_DIR", {"BACKUP_DIR": "{tmp}/link", "MEDIA_ROOT": "{tmp}/media"}),
    "backups in the uploads by dots": ("BACKUP_DIR", {"BACKUP_DIR": "{tmp}/x/../media/b", "MEDIA_ROOT": "{tmp}/media"}),
    "backups in the static files": ("BACKUP_DIR", {"BACKUP_DIR": STATIC}),
    "uploads in the backups": ("MEDIA_ROOT", {"BACKUP_DIR": "{tmp}", "MEDIA_ROOT": "{tmp}/media"}),
    "uploads in the static files": ("MEDIA_ROOT", {"MEDIA_ROOT": STATIC}),
    "uploads around the project": (
        "MEDIA_ROOT",
        {"MEDIA_ROOT": str(environment.BASE_DIR), "DATABASE_URL": "sqlite:///{tmp}/db.sqlite3"},
    ),
    "the log in the uploads": ("LOG_FILE", {"LOG_FILE": "{tmp}/media/site.log", "MEDIA_ROOT": "{tmp}/media"}),
    "the log is the database": ("LOG_FILE", {"LOG_FILE": "{tmp}/site.log", "DATABASE_URL": "sqlite:///{tmp}/site.log"}),
    "the database in the uploads": (
        "DATABASE_URL",
        {"DATABASE_URL": "sqlite:///{tmp}/media/db.sqlite3", "MEDIA_ROOT": "{tmp}/media"},
    ),
}


@pytest.mark.parametrize("pair", HARMFUL)
def test_two_variables_that_are_harmful_together_are_refused(
    production: Production, tmp_path: Path, capsys: pytest.CaptureFixture[str], pair: str
) -> None:
    (tmp_path / "media").mkdir()
    (tmp_path / "x").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "media")
    refused, variables = HARMFUL[pair]
    with pytest.raises(SystemExit):
        production(**{name: value.replace("{tmp}", str(tmp_path)) for name, value in variables.items()})
    title, *lines = capsys.readouterr().err.splitlines()
    assert "1 problem(s)" in title
    assert [line.split(": ")[0].strip() for line in lines] == [refused]


def test_folders_side_by_side_are_fine(production: Production, tmp_path: Path) -> None:
    variables = {
        "MEDIA_ROOT": "media",
        "BACKUP_DIR": "media-backups",
        "LOG_FILE": "media.log",
        "DATABASE_URL": "sqlite:///{tmp}/media.sqlite3",
    }
    told = {name: value.replace("{tmp}/", f"{tmp_path}/") for name, value in variables.items()}
    settings = production(**{name: text if ":" in text else str(tmp_path / text) for name, text in told.items()})
    assert tmp_path / "media" == settings.MEDIA_ROOT


@pytest.mark.parametrize(
    ("broker", "same"),
    [
        ("redis://localhost:6379/0", True),
        ("rediss://:s3cret@127.0.0.1:6379", True),
        ("redis://LOCALHOST:6379?db=0", True),
        ("redis://localhost:6379/1", False),
        ("redis://localhost:6380/0", False),
        ("redis://broker:6379/0", False),
        ("amqp://localhost:6379/0", False),
        (None, False),
    ],
)
def test_the_cache_and_the_broker_have_a_redis_database_each(broker: str | None, same: bool) -> None:
    env = environment.Environment()
    environment.keep_redis_apart(env, cache="redis://user:s3cret@localhost:6379/0", broker=broker)
    assert bool(env.problems) is same


@pytest.mark.parametrize(
    ("direct", "reason"),
    [
        ({}, "DATABASE_URL is a pooler's"),
        ({"ENGINE": "sqlite3", "DISABLE_SERVER_SIDE_CURSORS": False}, "of another kind"),
        ({"ENGINE": "postgresql", "DISABLE_SERVER_SIDE_CURSORS": True}, "a pooler's too"),
        ({"ENGINE": "postgresql", "DISABLE_SERVER_SIDE_CURSORS": False}, ""),
        (None, ""),
    ],
)
def test_commands_go_past_a_pooler(direct: dict[str, Any] | None, reason: str) -> None:
    env = environment.Environment()
    pages = {"ENGINE": "postgresql", "DISABLE_SERVER_SIDE_CURSORS": True}
    environment.check_direct(env, pages=pages, direct=direct)
    said = "".join(env.problems.get("DATABASE_DIRECT_URL", []))
    assert reason in said
    assert bool(said) == bool(reason)


def test_a_build_needs_no_database(production: Production) -> None:
    assert production(DATABASE_URL="sqlite://:memory:").DATABASE_DIRECT == {}


def test_what_is_logged_can_be_set(production: Production, tmp_path: Path) -> None:
    file = str(tmp_path / "site.log")
    logging = production(LOG_LEVEL="debug", REQUEST_LOG_LEVEL="warning", LOG_FILE=file).LOGGING
    assert logging["root"]["level"] == "DEBUG"
    assert logging["loggers"]["requests"]["level"] == "WARNING"
    assert logging["handlers"]["file"]["path"] == file


@pytest.fixture
def dotenv(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., dict[str, str]]:
    """Return what reads a `.env` as manage.py does: `dotenv(content, *arguments, **variables)` gives the environment."""
    monkeypatch.setattr(environment, "BASE_DIR", tmp_path)
    monkeypatch.setattr(environment, "is_developers", lambda: True)
    monkeypatch.setattr(environment, "from_dotenv", set())

    def read(content: str | bytes, *arguments: str, **variables: str) -> dict[str, str]:
        (tmp_path / ".env").write_bytes(content if isinstance(content, bytes) else content.encode())
        with mock.patch.dict(os.environ, variables, clear=True):
            environment.load_dotenv(["manage.py", *arguments])
            return dict(os.environ)

    return read


def test_what_is_set_wins_over_the_file_of_variables(dotenv: Callable[..., dict[str, str]]) -> None:
    read = dotenv("CONN_MAX_AGE=1\nSECRET_KEY='a$b${c}d'\n", CONN_MAX_AGE="2")
    assert read == {"CONN_MAX_AGE": "2", "SECRET_KEY": "a$b${c}d"}


@pytest.mark.parametrize(
    ("content", "value"),
    [
        ("A=b c # comment\n", "b c"),
        ("# comment\n\nexport A=b\n", "b"),
        ("A='b # c'\n", "b # c"),
        ('A="b\nc" # comment', "b\nc"),
        ("A = b\r\n\r\n", "b"),
        ("A=\n", ""),
        (b"\xef\xbb\xbfA=\xc3\xa4", "\u00e4"),
        ("A=b#c", "b#c"),
    ],
)
def test_a_line_of_the_file_is_read(dotenv: Callable[..., dict[str, str]], content: str | bytes, value: str) -> None:
    assert dotenv(content) == {"A": value}


@pytest.mark.parametrize(
    ("content", "line", "reason"),
    [
        ("A=b\n\nSIGNUP_OPEN: s3cret\n", 3, "not NAME=value"),
        ("A=b\nSIGNUP_OPEN:s3cret\n", 2, "not NAME=value"),
        ("# comment\r\nA=b\r\ns3cret\r\n", 3, "not NAME=value"),
        ("export s3cret\n", 1, "not NAME=value"),
        ("set A=s3cret\n", 1, "not NAME=value"),
        ("s3cret$=b\n", 1, "not NAME=value"),
        ('A="s3cret\nB=b\n', 1, "a quote is not closed"),
        ("A='s3cret' more\n", 1, "not NAME=value"),
        (b"A=b\nB=s3cret\0\n", 2, "a NUL character"),
        (b"A=b\nB=s3cret\xe4\n", 2, "not UTF-8"),
        ("A=s3cret\n".encode("utf-16"), 1, "UTF-16"),
        ("A=s3cret\n".encode("utf-16-le"), 1, "a NUL character"),
    ],
)
def test_a_line_that_cannot_be_read_is_named(
    dotenv: Callable[..., dict[str, str]],
    capsys: pytest.CaptureFixture[str],
    content: str | bytes,
    line: int,
    reason: str,
) -> None:
    with pytest.raises(SystemExit) as ended:
        dotenv(content)
    said = capsys.readouterr().err
    assert ended.value.code == 3
    assert f".env, line {line}: " in said
    assert reason in said
    assert "s3cret" not in said


FOR_PRODUCTION = "DJANGO_SETTINGS_MODULE=config.settings.production\nDATABASE_URL=postgresql://live\n"


@pytest.mark.parametrize(
    ("arguments", "variables"),
    [
        (("check", "--settings", "config.settings.development"), {}),
        (("check", "--settings=config.settings.development"), {}),
        (("check",), {"DJANGO_SETTINGS_MODULE": "config.settings.development"}),
    ],
)
def test_development_takes_nothing_of_productions_file(
    dotenv: Callable[..., dict[str, str]],
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    variables: dict[str, str],
) -> None:
    assert dotenv(FOR_PRODUCTION, *arguments, **variables) == variables
    assert capsys.readouterr().err == (
        "Settings: config.settings.development; .env is not read, because it is for config.settings.production\n"
    )


def test_whose_settings_are_on_is_said_where_the_file_has_chosen_them(
    dotenv: Callable[..., dict[str, str]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert dotenv(FOR_PRODUCTION, "check")["DATABASE_URL"] == "postgresql://live"
    assert capsys.readouterr().err == (
        "Settings: config.settings.production, from .env"
        " (for development's, add: --settings config.settings.development)\n"
    )
    dotenv("DATABASE_URL=sqlite:///mine.sqlite3\n", "check")
    assert capsys.readouterr().err == "Settings: config.settings.development, with DATABASE_URL from .env\n"
    # Known to who has chosen them, or to nobody's surprise.
    for chosen in ("config.settings.production", "config.settings.base"):
        dotenv(FOR_PRODUCTION, "check", DJANGO_SETTINGS_MODULE=chosen)
    dotenv("A=b\n", "check", "--settings")
    dotenv(FOR_PRODUCTION, "check", RUN_MAIN="true")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("content", "arguments", "variables"),
    [
        ("", (), {"DJANGO_SETTINGS_MODULE": "config.settings.s3cret"}),
        ("", (), {"DJANGO_SETTINGS_MODULE": "config.settings"}),
        ("", (), {"DJANGO_SETTINGS_MODULE": "s3cret"}),
        ("", (), {"DJANGO_SETTINGS_MODULE": "../s3cret"}),
        ("DJANGO_SETTINGS_MODULE=s3cret@host\n", (), {}),
        ("", ("--settings", "s3cret.production"), {}),
        ("", ("--settings=s3cret",), {"DJANGO_SETTINGS_MODULE": "config.settings.production"}),
    ],
)
def test_settings_that_are_not_there_are_refused_in_a_line(
    dotenv: Callable[..., dict[str, str]],
    capsys: pytest.CaptureFixture[str],
    content: str,
    arguments: tuple[str, ...],
    variables: dict[str, str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        dotenv(content, "check", *arguments, **variables)
    said = capsys.readouterr().err
    assert ended.value.code == 3
    assert "DJANGO_SETTINGS_MODULE, or --settings, names no settings. Write config.settings.production or" in said
    assert "s3cret" not in said


@pytest.mark.parametrize("name", ["", " "])
def test_an_empty_name_of_settings_counts_as_none(dotenv: Callable[..., dict[str, str]], name: str) -> None:
    assert dotenv("", DJANGO_SETTINGS_MODULE=name) == {}
    assert dotenv(f"DJANGO_SETTINGS_MODULE='{name}'\n") == {}


def test_a_file_that_may_not_be_read_is_refused_and_a_folder_is_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert environment.read_dotenv(tmp_path) == environment.read_dotenv(tmp_path / "none") == {}

    def refuse(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(SystemExit):
        environment.read_dotenv(tmp_path / ".env")
    assert ".env cannot be read: Permission denied" in capsys.readouterr().err


def test_a_process_that_refuses_to_start_writes_no_traceback() -> None:
    command = [sys.executable, "-m", "django", "check", "--settings", "config.settings.production"]
    done = subprocess.run(command, env={}, cwd=environment.BASE_DIR, capture_output=True, text=True, check=False)  # noqa: S603 - this Python, and words of our own
    assert done.returncode == 3
    assert done.stderr.startswith("Not starting: ")
    assert "Traceback" not in done.stderr


def test_development_needs_no_variable() -> None:
    with mock.patch.dict(os.environ, clear=True):
        settings = runpy.run_module("config.settings.development")
    assert settings["DEBUG"]
    assert settings["DATABASES"]["default"]["NAME"] == str(environment.BASE_DIR / "db.sqlite3")


@pytest.mark.parametrize(
    ("variables", "hosts", "origins"),
    [
        ({}, set(), []),
        (
            {"DEVELOPMENT_HOSTS": "a.ngrok.example, .b.example,192.168.1.20"},
            {"a.ngrok.example", ".b.example", "192.168.1.20"},
            ["https://a.ngrok.example", "https://*.b.example", "https://192.168.1.20"],
        ),
        (
            {"GITHUB_CODESPACES_PORT_FORWARDING_DOMAIN": "app.github.dev"},
            {".app.github.dev"},
            ["https://*.app.github.dev"],
        ),
    ],
)
def test_development_answers_to_other_hosts_where_it_is_told(
    variables: dict[str, str], hosts: set[str], origins: list[str]
) -> None:
    with mock.patch.dict(os.environ, variables, clear=True):
        settings = runpy.run_module("config.settings.development")
    assert set(settings["ALLOWED_HOSTS"]) == {"localhost", "127.0.0.1", "[::1]", ".localhost"} | hosts
    assert settings["CSRF_TRUSTED_ORIGINS"] == origins


def test_development_refuses_where_its_tools_are_not_installed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "pytest_django", None)
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("config.settings.development")
    assert ended.value.code == 3
    assert "DJANGO_SETTINGS_MODULE" in capsys.readouterr().err


def test_a_server_refuses_while_its_static_files_are_not_collected(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(storage, "staticfiles_storage", ManifestStaticFilesStorage(location=tmp_path))
    with pytest.raises(SystemExit) as ended:
        environment.refuse_without_manifest()
    assert ended.value.code == 3
    assert "collectstatic" in capsys.readouterr().err


@pytest.mark.usefixtures("own_logging")
def test_the_server_finds_the_application() -> None:
    with mock.patch.dict(os.environ):
        assert isinstance(get_internal_wsgi_application(), WSGIHandler)

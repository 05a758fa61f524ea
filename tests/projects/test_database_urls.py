"""A database URL means what it means to its driver, or is refused in a line that names the option without the password."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.environments import Environments, project_environment, run
from tests.support.rendering import render

# Parses the URLs in its arguments, and prints the settings or the error message of each.
READ = """
import json, sys
from operations.environment.databases import database
from operations.environment.variables import EnvError

def read(url):
    try:
        return database(url)
    except EnvError as error:
        return str(error)
print(json.dumps([read(url) for url in sys.argv[1:]]))
"""
WITHIN = {
    "connect_timeout": 5,
    "tcp_user_timeout": 5000,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 2,
}
HOST = "postgresql://user:p%40ss@host:5433/name"
READABLE: dict[str, dict[str, Any]] = {
    HOST: WITHIN,
    f"{HOST}?sslmode=verify-full&sslrootcert=/etc/passwd": {
        **WITHIN,
        "sslmode": "verify-full",
        "sslrootcert": "/etc/passwd",
    },
    f"{HOST}?isolation_level=4&load_balance_hosts=random": {
        **WITHIN,
        "isolation_level": 4,
        "load_balance_hosts": "random",
    },
    f"{HOST}?options=endpoint%3Dquiet-sea-1": {**WITHIN, "options": "endpoint=quiet-sea-1"},
    "postgresql:///name?host=one,two&port=5432,5433": {**WITHIN, "host": "one,two", "port": "5432,5433"},
    f"{HOST}?connect_timeout=9&application_name=site": {**WITHIN, "connect_timeout": 9, "application_name": "site"},
    f"{HOST}?options=-c%20statement_timeout%3D30s": {**WITHIN, "options": "-c statement_timeout=30s"},
    f"{HOST}?server_side_binding=true&assume_role=site": {
        **WITHIN,
        "server_side_binding": True,
        "assume_role": "site",
    },
    f"{HOST}?disable_server_side_cursors=true": WITHIN,
    f"{HOST}?pool=false": {**WITHIN, "pool": False},
    "postgresql:///name?host=/var/run/postgresql": {**WITHIN, "host": "/var/run/postgresql"},
    "postgres://user:p%2F%3F%23ss@host/name": WITHIN,
}
REFUSED = {
    f"{HOST}?sslmode=reqire": "its option sslmode is none of disable, allow, prefer, require, verify-ca, verify-full",
    f"{HOST}?target_session_attrs=primry": "its option target_session_attrs is none of any, ",
    f"{HOST}?connect_timeout=abc": "its option connect_timeout is not a whole number",
    f"{HOST}?connect_timeout=true": "its option connect_timeout is not a whole number",
    f"{HOST}?keepalives_idle=1.5": "its option keepalives_idle is not a whole number",
    f"{HOST}?tcp_user_timeout=99999999999": "its option tcp_user_timeout is not a whole number from 0 to 2147483647",
    f"{HOST}?isolation_level=SERIALIZABLE": "its option isolation_level is none of 1, 2, 3, 4",
    f"{HOST}?server_side_binding=maybe": "its option server_side_binding is neither true nor false",
    f"{HOST}?assume_role=true": "its option assume_role is not the name of a role",
    # Refused by libpq itself, which is asked ahead of any connection.
    f"{HOST}?sslnegotiation=s3cret": "its option sslnegotiation has a value that libpq refuses",
    f"{HOST}?require_auth=s3cret": "its option require_auth has a value that libpq refuses",
    f"{HOST}?service=s3cret": "its option service has a value that libpq refuses",
    f"{HOST}?ssl_min_protocol_version=TLSv1.3&ssl_max_protocol_version=TLSv1.1": "it has options that libpq refuses",
    f"{HOST}?sslmode=require&sslrootcert=system": "sslmode, sslrootcert has a value that libpq refuses",
    f"{HOST}?sslmode=verify-full": "its option sslmode needs a certificate: add sslrootcert=system",
    f"{HOST}?sslmode=verify-full&sslrootcert=/s3cret": "its option sslrootcert names a file that is not there",
    f"{HOST}?sslkey=/s3cret": "its option sslkey names a file that is not there",
    f"{HOST}?dbname=other": "its option dbname is not known",
    f"{HOST}?replication=database": "its option replication is not known",
    f"{HOST}?host=other": "its option host is given twice",
    f"{HOST}?application_name=a%00b": "holds a NUL character",
    f"{HOST}/": "its database's name has a / or &",
    f"{HOST}&sslmode=require": "its database's name has a / or &, or over 63 characters. Options begin with ?",
    f"{HOST}{'e' * 60}": "or over 63 characters",
    "postgresql://user:s%003cret@host/name": "holds a NUL character",
    "postgresql://user:s3cret@host:0/name": "has the port 0",
    "postgresql://user:s3cret@host:99999/name": "not a database's URL",
    "postgresql:///name?host=host&port=99999": "a port that is not from 1 to 65535",
    "postgresql://user:s3cret@host /name": "has a space around the host",
    f"{HOST}?pgbouncer=true": "its option pgbouncer is not known. For PgBouncer write disable_server_side_cursors=true",
    f"{HOST}?schema=public": "its option schema is not known. There are: ",
    f"{HOST}?disable_server_side_cursors=yes-please": "is neither true nor false",
    f"{HOST}?pool=true": "its option pool needs a package that is not installed: uv add 'psycopg[pool]'",
    f"{HOST}?conn_max_age=60": "its option conn_max_age is not known",
    "postgresql://user:42/s3cret@host/name": "cut short by a sign in its password",
    "postgresql://user:s3cret#@host/name": "",
    "postgresql://user:4?s3cret@host/name": "cut short by a sign in its password",
    "postgresql://user:p@host/name#s3cret": "cut short by a sign in its password",
    "postgresql://user:p@host/name ": "a space around the database's name",
    "postgresql://user:p@host/name?s3cret-1=2": "its option is not known",
}


@pytest.fixture(scope="module")
def answers(
    template: Path, tmp_path_factory: pytest.TempPathFactory, environments: Environments
) -> dict[str, dict[str, Any] | str]:
    """The result for each URL, with the driver installed."""
    project = render(template, tmp_path_factory.mktemp("urls") / "project", platform="gunicorn")
    env = project_environment(environments.install(project))
    urls = [*READABLE, *REFUSED]
    said = json.loads(run(["python", "-c", READ, *urls], project, env=env))
    return dict(zip(urls, said, strict=True))


@pytest.mark.parametrize("url", READABLE)
def test_a_url_that_the_driver_takes_is_read(answers: dict[str, Any], url: str) -> None:
    assert answers[url]["OPTIONS"] == READABLE[url]
    assert answers[url]["DISABLE_SERVER_SIDE_CURSORS"] == ("disable_server_side_cursors=true" in url)
    assert answers[url]["CONN_HEALTH_CHECKS"]


@pytest.mark.parametrize("url", REFUSED)
def test_a_url_that_cannot_work_is_refused(answers: dict[str, Any], url: str) -> None:
    assert isinstance(answers[url], str)
    assert REFUSED[url] in answers[url]
    assert "s3cret" not in answers[url]

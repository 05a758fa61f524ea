"""The add-on heroku-postgresql: a database and a role of its own on the tests' server, and its backups."""

import secrets
import subprocess
from pathlib import Path

from tests.support.databases import PostgreSQL, programs

# Connections that a plan allows: devcenter, "Choosing the Right Heroku Postgres Plan".
CONNECTIONS = {"essential-0": 20, "essential-1": 20, "essential-2": 40}
# A month's price in cents.
PRICES = {"essential-0": 500, "essential-1": 900, "essential-2": 2000}


class Database:
    """A database, owned by a role that may log in and can do nothing else."""

    def __init__(self, server: PostgreSQL, plan: str) -> None:
        self.server = server
        self.plan = plan
        self.name = f"d{secrets.token_hex(7)}"
        self.role = f"u{secrets.token_hex(7)}"
        self.password = f"p{secrets.token_hex(32)}"
        # The heroku program asks psql for TLS where the host has another name, and this server has none.
        self.url = f"postgres://{self.role}:{self.password}@localhost:{server.port}/{self.name}"

    def create(self) -> None:
        """Make it.

        Raises:
            subprocess.CalledProcessError: the server refused.
        """
        limit = CONNECTIONS[self.plan]
        self.query(
            f"CREATE ROLE {self.role} LOGIN PASSWORD '{self.password}' CONNECTION LIMIT {limit}",
            f"CREATE DATABASE {self.name} OWNER {self.role}",
        )

    def drop(self) -> None:
        """Remove it, whoever is connected."""
        self.query(f"DROP DATABASE IF EXISTS {self.name} WITH (FORCE)", f"DROP ROLE IF EXISTS {self.role}")

    def query(self, *statements: str, url: str = "") -> str:
        """What the statements give, as the server's owner unless `url` says who else."""
        commands = [part for statement in statements for part in ("--command", statement)]
        options = ["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1"]
        return run("psql", *options, *commands, url or self.server.url)

    def connections(self) -> int:
        """How many are connected now."""
        return int(self.query(f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{self.name}'"))  # noqa: S608 - its own name

    def size(self) -> int:
        """Its size in bytes."""
        return int(self.query(f"SELECT pg_database_size('{self.name}')"))

    def tables(self) -> int:
        """How many tables it has."""
        return int(self.query("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'", url=self.url))

    def version(self) -> str:
        """The server's version."""
        return self.query("SHOW server_version").split()[0]

    def dump(self, file: Path) -> str:
        """Write a backup in PostgreSQL's custom format; gives what the program said.

        Raises:
            subprocess.CalledProcessError: it failed.
        """
        return run("pg_dump", "--format=custom", "--no-acl", "--no-owner", "--verbose", f"--file={file}", self.url)

    def restore(self, file: Path) -> str:
        """Drop what there is and put back what a backup holds: devcenter, "Heroku Postgres Backups".

        Raises:
            subprocess.CalledProcessError: it failed.
        """
        self.query("DROP SCHEMA public CASCADE", "CREATE SCHEMA public", url=self.url)
        return run("pg_restore", "--no-acl", "--no-owner", "--verbose", f"--dbname={self.url}", str(file))


def run(program: str, *arguments: str) -> str:
    """Run one of PostgreSQL's programs and give back what it printed.

    Raises:
        subprocess.CalledProcessError: it failed; `output` is what it printed.
    """
    command = [str(programs() / program), *arguments]
    done = subprocess.run(
        command,
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
    )
    return done.stdout.strip()

"""Emulate the add-on heroku-postgresql: a database and a role on the tests' server, and backups."""

import secrets
import subprocess
from pathlib import Path

from tests.support.databases import PostgreSQL, programs

# The connection limit of each plan: devcenter, "Choosing the Right Heroku Postgres Plan".
CONNECTIONS = {"essential-0": 20, "essential-1": 20, "essential-2": 40}
# Monthly prices in cents.
PRICES = {"essential-0": 500, "essential-1": 900, "essential-2": 2000}


class Database:
    """A database, and its owner: a role whose only right is to log in."""

    def __init__(self, server: PostgreSQL, plan: str) -> None:
        self.server = server
        self.plan = plan
        self.name = f"d{secrets.token_hex(7)}"
        self.role = f"u{secrets.token_hex(7)}"
        self.password = f"p{secrets.token_hex(32)}"
        # Use this host name: for any other the heroku program makes psql require TLS, which this server lacks.
        self.url = f"postgres://{self.role}:{self.password}@localhost:{server.port}/{self.name}"

    def create(self) -> None:
        """Create the role and the database.

        Raises:
            subprocess.CalledProcessError: the server refused.
        """
        limit = CONNECTIONS[self.plan]
        self.query(
            f"CREATE ROLE {self.role} LOGIN PASSWORD '{self.password}' CONNECTION LIMIT {limit}",
            f"CREATE DATABASE {self.name} OWNER {self.role}",
        )

    def drop(self) -> None:
        """Drop the database and the role, and close its connections."""
        self.query(f"DROP DATABASE IF EXISTS {self.name} WITH (FORCE)", f"DROP ROLE IF EXISTS {self.role}")

    def query(self, *statements: str, url: str = "") -> str:
        """Run SQL statements as the server's owner, or as the user in `url`; return their output."""
        commands = [part for statement in statements for part in ("--command", statement)]
        options = ["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1"]
        return run("psql", *options, *commands, url or self.server.url)

    def connections(self) -> int:
        """Return the number of open connections."""
        return int(self.query(f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{self.name}'"))  # noqa: S608 - its own name

    def size(self) -> int:
        """Return its size in bytes."""
        return int(self.query(f"SELECT pg_database_size('{self.name}')"))

    def tables(self) -> int:
        """Return the number of its tables."""
        return int(self.query("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'", url=self.url))

    def version(self) -> str:
        """Return the server's version."""
        return self.query("SHOW server_version").split()[0]

    def dump(self, file: Path) -> str:
        """Write a backup in PostgreSQL's custom format; return pg_dump's output.

        Raises:
            subprocess.CalledProcessError: it failed.
        """
        return run("pg_dump", "--format=custom", "--no-acl", "--no-owner", "--verbose", f"--file={file}", self.url)

    def restore(self, file: Path) -> str:
        """Drop all data and restore a backup: devcenter, "Heroku Postgres Backups".

        Raises:
            subprocess.CalledProcessError: it failed.
        """
        self.query("DROP SCHEMA public CASCADE", "CREATE SCHEMA public", url=self.url)
        return run("pg_restore", "--no-acl", "--no-owner", "--verbose", f"--dbname={self.url}", str(file))


def run(program: str, *arguments: str) -> str:
    """Run one of PostgreSQL's programs and return its output.

    Raises:
        subprocess.CalledProcessError: it failed; `output` has its output.
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

"""Act as a developer with a project for Heroku, and break the project in typical ways."""

import subprocess
from pathlib import Path

from stand_ins.heroku.platform import Heroku
from tests.support.faults import Change, route, text
from tests.support.repositories import commit
from tests.support.runbooks import Reader

# What a reader of the runbook types before a restore, if the newest backup is the one.
NEWEST_BACKUP = (
    "backup=$(heroku pg:backups | grep --only-matching --extended-regexp --max-count=1 '\\b[ab][0-9]{3,}\\b')"
)
BROKEN_HOME = route("^$", "lambda request: HttpResponse(status=500)")
SLOW = route("^slow/(.+)/$", "lambda request, seconds: __import__('time').sleep(int(seconds)) or HttpResponse('done')")
NEW_MIGRATION = """
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0001_initial")]
    operations = [migrations.AddField("user", "nickname", models.CharField(default="", max_length=50))]
"""
NICKNAME = text(
    "apps/accounts/models.py",
    "    USERNAME_FIELD",
    "    nickname = models.CharField(max_length=50)\n    USERNAME_FIELD",
)
FAILING_MIGRATION = """
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("accounts", "0001_initial")]
    operations = [migrations.RunSQL("SELECT no_such_column FROM accounts_user")]
"""


def migration(text: str) -> Change:
    """Add a migration to the next release."""
    return lambda project: (project / "apps/accounts/migrations/0002_next.py").write_text(text)


class Developer:
    """A developer with the project, a Heroku account, and a terminal."""

    def __init__(self, platform: Heroku, project: Path, bin_folder: Path) -> None:
        self.platform = platform
        self.project = project
        # Use the installed environment, so that `uv run` installs nothing.
        self.environment = platform.environment(UV_PROJECT_ENVIRONMENT=str(bin_folder.parent), UV_NO_SYNC="1")

    def run(self, command: str, code: int = 0, **variables: str) -> str:
        """Run a line in the project's folder, and return its output."""
        done = subprocess.run(
            self.platform.command(["bash", "-c", command]),
            cwd=self.project,
            env={**self.environment, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == code, f"{command} ended with {done.returncode}:\n{done.stdout}"
        return done.stdout

    def commit(self, message: str, *changes: Change) -> None:
        """Change the project and commit it."""
        for change in changes:
            change(self.project)
        commit(self.project, message)

    def create(self) -> None:
        """Follow the runbook's first sections."""
        reader = Reader(self.project / "docs/deploy.md", self.platform.folder, self.environment, self.platform.command)
        reader.follow("Before you start")
        reader.follow("First deploy")

    def deploy(self, code: int = 0, **variables: str) -> str:
        """Run the deploy command."""
        return self.run("uv run python deploy/heroku.py", code, **variables)

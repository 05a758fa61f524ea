"""Run a command of manage.py with production's settings where production's variables are not there.

    python -m operations.placeholders collectstatic --noinput

For building and for `make check`. If your settings require more variables, give them any valid value in pyproject.toml,
in a table `[tool.smoke.variables]` at its end.
"""

import os
import secrets
import sys
import tomllib
from pathlib import Path

from django.core.management import execute_from_command_line


def placeholders(project: Path) -> dict[str, str]:
    """Return a valid value for each variable that production requires. They lead nowhere, and the key is new each time."""
    smoke = tomllib.loads((project / "pyproject.toml").read_text())["tool"]["smoke"]
    return {
        "ALLOWED_HOSTS": "localhost",
        "DATABASE_URL": "sqlite://:memory:",
        "SECRET_KEY": secrets.token_urlsafe(50),
        **smoke.get("variables", {}),
    }


if __name__ == "__main__":
    # Variables that are set come first, but for the settings: a developer may have others.
    os.environ.update(placeholders(Path(__file__).parents[1]) | os.environ)
    os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings.production"
    execute_from_command_line(sys.argv)

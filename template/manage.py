#!/usr/bin/env python
"""Django's commands. Settings are `development` unless DJANGO_SETTINGS_MODULE says otherwise."""

import os
import sys

from django.core.management import execute_from_command_line

from operations.environment import load_dotenv, refused_without_database


def main() -> None:
    """Run the command that the arguments name."""
    load_dotenv(sys.argv)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.development")
    with refused_without_database():
        execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()

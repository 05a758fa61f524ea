"""Reading the environment: every problem in one message, and no secret's value in it."""

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import environs
from dotenv import load_dotenv as load_dotenv_file

from operations.environment import parsers

BASE_DIR = Path(__file__).resolve().parents[2]

# Neither 0 nor 1: gunicorn replaces a worker that ends with 1 for ever, and stops
# for good at 3, its own code for a worker that cannot boot.
REFUSED = 3


def load_dotenv() -> None:
    """Add what the project's `.env` says to the environment; what is set already stays."""
    # As it stands there, even in quotes: a secret may have a ${…} in it.
    load_dotenv_file(BASE_DIR / ".env", override=False, interpolate=False)


def refuse(title: str, problems: Iterable[str]) -> None:
    """End the process with `title` and a line a problem on standard error, without a traceback.

    Raises:
        SystemExit: always, with code 3.
    """
    sys.stderr.write("\n".join([title, *(f"  {problem}" for problem in problems)]) + "\n")
    raise SystemExit(REFUSED)


class Environment(environs.Env):
    """The process's environment, in which an empty variable counts as one that is not set.

    A variable `NAME` can also be given as a file whose path stands in `NAME_FILE`. Problems are
    collected, and `seal` refuses to go on with all of them. Until then a value that is missing
    or malformed reads as None: derive nothing from one before `seal`.
    """

    def __init__(self) -> None:
        super().__init__(eager=False)
        for name in parsers.__all__:
            self.add_parser(name, getattr(parsers, name))

    def _get_value(self, env_key: str, default: Any) -> Any:
        value = os.environ.get(env_key, "")
        path = os.environ.get(f"{env_key}_FILE", "")
        if path and value:
            self._errors[env_key].append(f"given twice. Unset it or {env_key}_FILE")
        elif path:
            try:
                value = Path(path).read_text(encoding="utf-8").rstrip("\r\n")
            except (OSError, UnicodeDecodeError) as error:
                reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
                self._errors[env_key].append(f"{env_key}_FILE names a file that cannot be read ({reason})")
        return value if value.strip() else default

    def seal(self) -> None:
        """Let no further value be read, and end the process if one was missing or malformed.

        Raises:
            SystemExit: with code 3, after a line a variable on standard error.
        """
        problems = []
        for name, messages in self._errors.items():
            # A variable's first problem is the cause, and a second one its consequence.
            problem = messages[0].removeprefix("Environment variable ")
            if problem == "not set.":
                problem += f" {parsers.EXAMPLES[name]}"
            problems.append(f"{name}: {problem}")
        if problems:
            refuse(
                f"Not starting: {len(problems)} problem(s) in the environment. docs/environment.md lists every variable.",
                problems,
            )
        super().seal()


def refuse_without_manifest() -> None:
    """End the process, when a server starts, if pages name static files by a manifest that `collectstatic` has not made.

    Raises:
        SystemExit: with code 3.
    """
    # Settings are read by then, which a command that only refuses does without.
    from django.contrib.staticfiles.storage import ManifestFilesMixin, staticfiles_storage

    if isinstance(staticfiles_storage, ManifestFilesMixin) and staticfiles_storage.read_manifest() is None:
        refuse(
            "Not starting: the static files are not collected, and no page could name its style sheet.",
            ["Run: python manage.py collectstatic --noinput"],
        )

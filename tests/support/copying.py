"""Run the `copier` program on the command line, as a user does."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.support.environments import clean_environment
from tests.support.rendering import ANSWERS


def copier_command(template: Path, destination: Path, answers: Mapping[str, str], *options: str) -> list[str]:
    """Return the command that copies a template with answers, and without `--trust`."""
    data = [part for name, answer in answers.items() for part in ("--data", f"{name}={answer}")]
    return [sys.executable, "-m", "copier", "copy", *options, *data, str(template), str(destination)]


def copy(
    template: Path,
    destination: Path,
    answers: Mapping[str, str] | None = None,
    *,
    prefix: tuple[str, ...] = (),
    env: Mapping[str, str] | None = None,
    options: tuple[str, ...] = (),
) -> subprocess.CompletedProcess[str]:
    """Copy a template without a terminal, with defaults for unanswered questions; `prefix` goes before the command."""
    return subprocess.run(
        [*prefix, *copier_command(template, destination, {**ANSWERS, **(answers or {})}, "--defaults", *options)],
        env=env or clean_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

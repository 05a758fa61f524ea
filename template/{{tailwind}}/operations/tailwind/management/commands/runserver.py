"""Compile the style sheet at each change, while `runserver` serves the site."""

import os
import subprocess
from typing import Any

from django.utils.autoreload import DJANGO_AUTORELOAD_ENV

from operations.management.commands.runserver import Command as Runserver
from operations.tailwind.compiler import ASSETS, RESULT, SOURCE, CannotCompileError, command


class Command(Runserver):
    """Serve the site during development."""

    def handle(self, *args: Any, **options: Any) -> None:
        """Serve, with the compiler beside it. Without a compiler, pages keep the style sheet that was compiled last."""
        # Django starts itself again in this process's child, at each change of code.
        if DJANGO_AUTORELOAD_ENV in os.environ:
            super().handle(*args, **options)
            return
        try:
            watch = command("--watch", "--input", SOURCE, "--output", str(RESULT))
        except (CannotCompileError, OSError) as error:
            self.stderr.write(f"Changes of classes in templates will have no effect. {error}")
            super().handle(*args, **options)
            return
        # The compiler ends when its standard input does, so it ends with this process, however that does.
        with subprocess.Popen(watch, cwd=ASSETS, stdin=subprocess.PIPE):  # noqa: S603 - the compiler
            super().handle(*args, **options)

"""`manage.py css`: compile the style sheet."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from operations.tailwind.compiler import RESULT, CannotCompileError, compiled, is_current


class Command(BaseCommand):
    """Compile the style sheet, or check that it is current."""

    help = "Compiles assets/tailwind.css, with static/site.css, into assets/compiled/site.css, which pages load."
    # It must also work while the project has an error.
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Add whether only to check."""
        parser.add_argument("--check", action="store_true", help="Only check that the compiled file is current.")

    def handle(self, *_: Any, check: bool, **__: Any) -> None:
        """Compile or check.

        Raises:
            CommandError: it cannot be compiled, or it is not current.
        """
        try:
            if not check:
                RESULT.parent.mkdir(exist_ok=True)
                RESULT.write_text(compiled(), encoding="utf-8", newline="\n")
            elif not is_current():
                raise CommandError(
                    "assets/compiled/site.css is not current: run `make css` (uv run python manage.py css), and commit it."
                )
        except (CannotCompileError, OSError) as error:
            raise CommandError(f"The style sheet cannot be compiled. {error}") from error

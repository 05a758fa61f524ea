"""Print a release's section of CHANGELOG.md: `make release-notes VERSION=0.1.0`."""

import re
import sys
from pathlib import Path

CHANGELOG = Path(__file__).resolve().parents[1] / "CHANGELOG.md"


def section(changelog: str, version: str) -> str:
    """Return the changelog's section for a version, without its heading.

    Raises:
        LookupError: there is no section with a date, or it is empty.
    """
    parts = re.split(r"^## (.+)$", changelog, flags=re.MULTILINE)
    for heading, text in zip(parts[1::2], parts[2::2], strict=True):
        if re.fullmatch(rf"{re.escape(version)} - \d{{4}}-\d\d-\d\d", heading) and text.strip():
            return text.strip()
    raise LookupError(f'CHANGELOG.md has no section like "## {version} - 2026-11-21", with text, for this release')


def main() -> None:
    """Print the changelog's section for the version on the command line."""
    try:
        sys.stdout.write(section(CHANGELOG.read_text(), sys.argv[1]) + "\n")
    except LookupError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()

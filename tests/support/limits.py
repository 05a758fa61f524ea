"""Read the table of limits in a project's docs/security.md."""

from pathlib import Path

PLATFORMS = ["Heroku", "PythonAnywhere", "Docker", "gunicorn"]
MEGABYTE = 1024 * 1024


def limits(project: Path) -> dict[str, dict[str, str]]:
    """Return the table: for each limit, its value on each platform and the setting that sets it."""
    section = (project / "docs/security.md").read_text().split("## Limits\n", 1)[1].split("\n## ", 1)[0]
    rows = [
        [cell.strip() for cell in line.strip("|").split(" | ")] for line in section.splitlines() if line[:2] == "| "
    ]
    titles = rows[0][1:]
    assert titles == [*PLATFORMS, "set by"]
    return {row[0]: dict(zip(titles, row[1:], strict=True)) for row in rows[2:]}

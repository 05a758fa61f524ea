"""Collect the texts of rendered projects into the catalogues of the extra `i18n`, and compile them.

Django's `makemessages` reads a project with all extras. A catalogue has no dates and no line numbers, so only a changed text
changes it. What still has to be translated is listed.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import copier

from tests.support.rendering import ROOT, question_choices, template_copy

CATALOGUES = ROOT / "template/{{i18n}}/operations/locale"
# What visitors never see.
IGNORED = ("operations/tests", "operations/locale", "smoke", "tests")


def gettext(*command: str | Path, folder: Path = ROOT) -> str:
    """Run one of gettext's programs, and return its output."""
    return subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, text=True, check=True).stdout


def project(folder: Path) -> Path:
    """Render a project with all extras into an empty folder, and return it."""
    answers = {
        "project_name": "Site",
        "platform": "gunicorn",
        "tasks": "database",
        "extras": question_choices("extras"),
    }
    template = template_copy(folder / "template")
    copier.run_copy(str(template), folder / "project", data=answers, defaults=True, quiet=True)
    return folder / "project"


def collect(rendered: Path, language: str) -> str:
    """Return a language's catalogue with all texts of a project, and with the translations that it has."""
    catalogue = rendered / f"locale/{language}/LC_MESSAGES/django.po"
    catalogue.parent.mkdir(parents=True)
    shutil.copy(CATALOGUES / language / "LC_MESSAGES/django.po", catalogue)
    django = ["uv", "run", "--quiet", "--no-project", "--with", "django>=6.1,<6.2", "python", "-m", "django"]
    ignored = [f"--ignore={name}" for name in IGNORED]
    gettext(
        *django, "makemessages", "--verbosity=0", f"--locale={language}", "--no-location", *ignored, folder=rendered
    )
    text = gettext("msgattrib", "--no-obsolete", "--no-wrap", catalogue)
    return re.sub(r'"POT-Creation-Date: .*\n', "", text)


def compiled(catalogue: Path) -> bytes:
    """Return a catalogue as Django loads it, without what is not translated."""
    with tempfile.TemporaryDirectory() as folder:
        gettext("msgfmt", "--check-format", f"--output-file={folder}/django.mo", catalogue)
        return Path(folder, "django.mo").read_bytes()


def main() -> None:
    """Write all catalogues, and list what is not translated."""
    for catalogue in sorted(CATALOGUES.glob("*/LC_MESSAGES/django.po")):
        language = catalogue.parts[-3]
        with tempfile.TemporaryDirectory() as folder:
            catalogue.write_text(collect(project(Path(folder)), language), encoding="utf-8")
        catalogue.with_suffix(".mo").write_bytes(compiled(catalogue))
        for kind in ("--untranslated", "--only-fuzzy"):
            sys.stdout.write(gettext("msgattrib", kind, "--no-wrap", catalogue))


if __name__ == "__main__":
    main()

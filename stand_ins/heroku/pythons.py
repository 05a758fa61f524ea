"""The Python of a slug: an install with the app's packages in it, as release 351 of the classic buildpack makes it.

There is no virtual environment: uv syncs into the install itself. What a build that succeeded has installed is kept, and the
next one syncs over it, so that what has left the lock is uninstalled: the buildpack's lib/uv.sh and lib/cache.sh.
"""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.environments import clean_environment, uv

# The buildpack's own uv, whatever the project's is.
UV_VERSION = "0.12.5"
SYNC = ["uv", "sync", "--locked", "--no-default-groups"]
# Where scripts/debians-python installs.
DEBIANS = Path("/var/lib/copier-django/bin")
# What of an install nobody's app needs.
LEFT_OUT = {"share", "lib/python{}/test", "lib/python{}/idlelib", "lib/python{}/site-packages"}


def sync_command() -> list[str]:
    """Return the command by which the buildpack installs."""
    own = [uv(), "tool", "run", "--quiet", "--from", f"uv=={UV_VERSION}"]
    return [*own, *SYNC, "--compile-bytecode", "--no-progress", "--color=never"]


def sync_environment(python: Path) -> dict[str, str]:
    """Return the variables with which it installs into an install of Python."""
    own = {"UV_PROJECT_ENVIRONMENT": str(python), "UV_NO_MANAGED_PYTHON": "1", "UV_PYTHON_DOWNLOADS": "never"}
    return clean_environment(**own, UV_LINK_MODE="hardlink")


@contextmanager
def install(kept: Path, tree: Path, version: str) -> Iterator[Path]:
    """Give an install for the lock of a tree, to be synced into in the block; one of a build that fails is not kept.

    Args:
        kept: the app's folder of installs, with the cache's name in it.
        tree: the app's files.
        version: of Python, like 3.13.
    """
    # Slugs of the same lock share one, which a sync does not change.
    python = kept / f"python-{hashlib.sha256(version.encode() + (tree / 'uv.lock').read_bytes()).hexdigest()[:12]}"
    cache = kept / f"cache-{version}"
    made = not python.exists()
    if made and cache.exists():
        move(Path(cache.read_text()), python)
    elif made:
        link(base(version, tree), python, version)
    try:
        yield python
    except BaseException:
        if made:
            shutil.rmtree(python)
        raise
    cache.write_text(str(python))


def base(version: str, folder: Path) -> Path:
    """Return this machine's install of a version of Python."""
    find = [uv(), "python", "find", "--system", version]
    # Debian's has packages in other folders than the buildpack's.
    others = os.pathsep.join(each for each in os.environ["PATH"].split(os.pathsep) if Path(each) != DEBIANS)
    env = {**clean_environment(), "PATH": others}
    found = subprocess.run(find, cwd=folder, env=env, stdout=subprocess.PIPE, text=True, check=True)
    code = "import sys; print(sys.base_prefix)"
    told = subprocess.run([found.stdout.strip(), "-c", code], stdout=subprocess.PIPE, text=True, check=True)
    return Path(told.stdout.strip())


def link(source: Path, target: Path, version: str = "") -> None:
    """Make a copy of an install; with a version, one without packages.

    Files that nobody changes in place are the same ones, unless they are on another disk.
    """
    without = {source / path.format(version) for path in LEFT_OUT} if version else set()

    def same_file(one: str, other: str) -> None:
        try:
            os.link(one, other)
        except OSError:
            shutil.copy2(one, other)

    shutil.copytree(
        source,
        target,
        symlinks=True,
        copy_function=same_file,
        ignore=lambda folder, names: [name for name in names if Path(folder, name) in without],
    )
    if version:
        (target / "lib" / f"python{version}" / "site-packages").mkdir()


def move(source: Path, target: Path) -> None:
    """Make a copy of an install with its packages, whose programs run the copy: at Heroku both have one path."""
    link(source, target)
    for program in (target / "bin").iterdir():
        if program.is_file() and not program.is_symlink() and program.read_bytes()[:2] == b"#!":
            text = program.read_text().replace(str(source), str(target))
            mode = program.stat().st_mode
            program.unlink()
            program.write_text(text)
            program.chmod(mode)

"""Install a release's packages from its lock, and measure their size on the disk.

Like the deploy script, this uses only the standard library.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

from pythonanywhere_disk import DeployError, taken

# A file that marks a completely installed set of packages. It contains their size in bytes.
WHOLE = ".whole"


def run(command: list[str], folder: Path, failure: str, env: dict[str, str] | None = None) -> None:
    """Run a program, which prints to the terminal.

    Raises:
        DeployError: it failed or is not installed; the text is `failure`.
    """
    try:
        done = subprocess.run(command, cwd=folder, env=env, stdin=subprocess.DEVNULL, check=False)
    except OSError as error:
        raise DeployError(f"{failure} ({command[0]}: {error.strerror})") from None
    if done.returncode != 0:
        raise DeployError(failure)


def lock_of(folder: Path) -> Path:
    """Return the file that a folder's packages are installed from: uv.lock if uv is installed, else requirements.txt.

    Raises:
        DeployError: there is no such file.
    """
    lock = folder / ("uv.lock" if shutil.which("uv") else "requirements.txt")
    if not lock.is_file():
        raise DeployError(f"git has no {lock.name}. docs/deploy.md, Before you start, has the commands")
    return lock


def install(lock: Path, environment: Path, python: str) -> None:
    """Install what a lock lists, into an environment that is not there yet.

    Raises:
        DeployError: that failed.
    """
    failure = "the packages could not be installed, for the reason above"
    if uv := shutil.which("uv"):
        command = [uv, "sync", "--quiet", "--locked", "--no-default-groups", "--group=deploy", f"--python={python}"]
        own = {"UV_PROJECT_ENVIRONMENT": str(environment), "UV_PYTHON_DOWNLOADS": "never", "UV_NO_CACHE": "1"}
        run(command, lock.parent, failure, {**os.environ, **own})
        return
    run([python, "-m", "venv", str(environment)], lock.parent, failure)
    pip = [str(environment / "bin" / "python"), "-m", "pip", "--quiet", "--disable-pip-version-check"]
    # All that is needed is listed; uv, which chose it, may know better than a package what works with it.
    options = ["--no-cache-dir", "--no-deps", "--require-hashes", f"--requirement={lock}"]
    run([*pip, "install", *options], lock.parent, failure)


def size_of_packages(environment: Path) -> int:
    """Return the size of installed packages in bytes, as recorded or measured now."""
    with contextlib.suppress(OSError, ValueError):
        return int((environment / WHOLE).read_text())
    return taken(environment.resolve())


def see_that_they_agree(requirements: Path, lock: Path) -> None:
    """See that requirements.txt has the versions of uv.lock, and all that the site needs of it.

    Raises:
        DeployError: it has not, since only one of them was changed.
    """
    anew = (
        "Make it anew, and commit it:\nuv export --quiet --locked --no-default-groups --group deploy --no-emit-project"
        " --output-file requirements.txt"
    )
    # Not at the top, because the old Pythons that the script must refuse do not have it.
    import tomllib

    packages = tomllib.loads(lock.read_text())["package"]
    locked = {(package["name"], package.get("version")) for package in packages}
    missing = needed(packages)
    for line in requirements.read_text().splitlines():
        found = re.match(r"([\w.-]+)(?:\[.*\])?(?:==([^\s;\\]+))?", line)
        if found:
            name, version = found.groups()
            missing.discard(name)
            if version and (name, version) not in locked:
                raise DeployError(f"requirements.txt says {name}=={version}, and uv.lock does not. {anew}")
    if missing:
        raise DeployError(f"uv.lock has {', '.join(sorted(missing))}, and requirements.txt does not. {anew}")


def needed(packages: list[dict[str, Any]]) -> set[str]:
    """The names of what the project and its group `deploy` need, of the packages of a uv.lock, and what these need."""
    project: dict[str, Any] = next((package for package in packages if "." in package["source"].values()), {})
    # Include packages for other systems: requirements.txt has them too, each with a condition.
    waiting = [*project.get("dependencies", []), *project.get("dev-dependencies", {}).get("deploy", [])]
    seen: set[tuple[str, str]] = set()
    while waiting:
        each = waiting.pop()
        new = {(each["name"], extra) for extra in ("", *each.get("extra", []))} - seen
        seen |= new
        for package in packages:
            for name, extra in new:
                if package["name"] == name:
                    extras = package.get("optional-dependencies", {})
                    waiting += extras.get(extra, []) if extra else package.get("dependencies", [])
    return {name for name, _ in seen}

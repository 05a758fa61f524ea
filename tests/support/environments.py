"""Install virtual environments: one for all projects that depend on the same packages."""

import hashlib
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

from filelock import FileLock

# Variables that a test's environment has and a user's machine has not.
FOREIGN = (
    "DJANGO_SETTINGS_MODULE",
    "DATABASE_URL",
    "PYTEST_ADDOPTS",
    "PYTEST_CURRENT_TEST",
    "TEST_DATABASE_URL",
    "TEST_EACH_CHANGE",
    "TEST_TIMES",
    "TEST_RUN_FOLDER",
    "TEST_RUN_PROCESS",
    "UV_PROJECT_ENVIRONMENT",
    "VIRTUAL_ENV",
)


# The variable that names mypy's cache.
CACHE = "MYPY_CACHE_DIR"
# Variables that scripts/run_tests.py sets: the run's folder, and the ID of its own process.
RUN_FOLDER, RUN_PROCESS = "TEST_RUN_FOLDER", "TEST_RUN_PROCESS"


def run_folder() -> Path | None:
    """Return this run's folder, which is deleted at the run's end; None if there is none."""
    folder = os.environ.get(RUN_FOLDER)
    return Path(folder) if folder else None


def run_process() -> int | None:
    """Return the ID of the process that cleans up after this run; None if pytest was started directly."""
    number = os.environ.get(RUN_PROCESS)
    return int(number) if number else None


def uv() -> str:
    """Return the path of the uv that runs these tests, or of the one that `make` installed.

    Raises:
        FileNotFoundError: neither exists.
    """
    found = os.environ.get("UV") or shutil.which("uv")
    if not found:
        raise FileNotFoundError("uv was not found: run the tests by `make test`")
    return found


def uvx() -> str:
    """Return the path of the uvx that came with uv."""
    return str(Path(uv()).with_name("uvx"))


def clean_environment(**variables: str) -> dict[str, str]:
    """Return this process's environment variables without those that are only for the tests, and with `variables`."""
    kept = {name: value for name, value in os.environ.items() if name not in FOREIGN and not name.startswith("COV_")}
    own = str(Path(sys.prefix, "bin"))
    kept["PATH"] = os.pathsep.join(part for part in kept["PATH"].split(os.pathsep) if part != own)
    return {**kept, **variables}


def run(command: list[str], project: Path, *, env: Mapping[str, str] | None = None, timeout: float = 300) -> str:
    """Run a command in a project and return its output.

    Raises:
        AssertionError: it failed; the message is its output.
    """
    done = subprocess.run(
        command,
        cwd=project,
        env=with_cache_of(project, env if env is not None else clean_environment()),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, f"{' '.join(command)} exited {done.returncode}:\n{done.stdout}"
    return done.stdout


def with_cache_of(project: Path, env: Mapping[str, str]) -> dict[str, str]:
    """Return variables that give projects with the same settings one mypy cache: Django's mypy plugin reads settings."""
    settings = [path for path in sorted(project.glob("config/settings/*.py")) if path.name != "site.py"]
    if not settings or CACHE not in env:
        return dict(env)
    text = "".join(path.read_text() for path in settings) + (project / ".python-version").read_text()
    return {**env, CACHE: f"{env[CACHE]}/{hashlib.sha256(text.encode()).hexdigest()[:12]}"}


class Environments:
    """Create and find environments in one folder that all test processes share."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def install(self, project: Path) -> Path:
        """Return the `bin` folder of an environment with the packages that `project` needs; write its `uv.lock` too."""
        settings = tomllib.loads((project / "pyproject.toml").read_text())
        project_needs = settings["project"]["dependencies"], settings["project"]["requires-python"]
        needs = repr((*project_needs, settings["dependency-groups"], settings["tool"]["uv"]))
        needs += (project / ".python-version").read_text()
        environment, locked = self._of(needs, settings["project"]["name"])
        lock = project / "uv.lock"
        if lock.exists() and not (locked.exists() and lock.read_bytes() == locked.read_bytes()):
            environment, locked = self._of(needs + lock.read_text(), settings["project"]["name"])
        with FileLock(f"{environment}.lock"):
            if not locked.exists():
                # Install only built wheels: a project's owner must not need a compiler.
                own = {"UV_PROJECT_ENVIRONMENT": str(environment), "UV_NO_BUILD": "1"}
                run([uv(), "sync", "--quiet"], project, env=clean_environment(**own))
                take_over(environment, self._like(environment))
                shutil.copyfile(lock, locked)
            elif not lock.exists():
                shutil.copyfile(locked, lock)
        return environment / "bin"

    def _of(self, needs: str, name: str) -> tuple[Path, Path]:
        """Return the environment for these needs, and the `uv.lock` of projects with this name and these needs."""
        environment = self.folder / hashlib.sha256(needs.encode()).hexdigest()[:12]
        return environment, Path(f"{environment}-{name}-uv.lock")

    def _like(self, environment: Path) -> Path | None:
        """Return the environment of the same Python with most compiled packages; None if there is none yet."""
        (python,) = environment.glob("lib/python*")
        others = [other for other in self.folder.glob(f"*/lib/{python.name}") if other != python]
        return max(others, key=lambda other: len(list(other.glob("site-packages/*/__pycache__"))), default=None)

    def at_work(self, project: Path) -> dict[str, str]:
        """Return the environment variables of a developer of `project`: its `make` finds uv and the project's packages."""
        environment = self.install(project).parent
        tools = self.folder / "tools"
        with FileLock(f"{tools}.lock"):
            tools.mkdir(exist_ok=True)
            if not (tools / "uv").exists():
                # In a folder with nothing else: the folder of uv may have another Python.
                (tools / "uv").symlink_to(uv())
        path = f"{tools}{os.pathsep}{clean_environment()['PATH']}"
        return clean_environment(PATH=path, UV_PROJECT_ENVIRONMENT=str(environment), **caches(environment))


def take_over(environment: Path, other: Path | None) -> None:
    """Link the compiled files of another environment's packages into a new one, where they are the same.

    Args:
        environment: the new environment.
        other: the `lib/python…` folder of the other environment.
    """
    if other is None:
        return
    own = environment / "lib" / other.name
    for compiled in other.rglob("__pycache__/*.pyc"):
        source = compiled.parents[1] / f"{compiled.name.split('.')[0]}.py"
        target = own / compiled.relative_to(other)
        twin = own / source.relative_to(other)
        # Python accepts a compiled file if its source has the recorded size and time.
        if is_same(source, twin) and not target.exists():
            target.parent.mkdir(exist_ok=True)
            os.link(compiled, target)


def is_same(file: Path, other: Path) -> bool:
    """Return True if two files have the same size and time, as Python compares sources."""
    try:
        one, two = file.stat(), other.stat()
    except FileNotFoundError:
        return False
    return (one.st_size, one.st_mtime) == (two.st_size, two.st_mtime)


def caches(environment: Path) -> dict[str, str]:
    """Return the variables that put the tools' caches beside the environments."""
    return {CACHE: str(environment.parent / "mypy")}


def project_environment(bin_folder: Path, **variables: str) -> dict[str, str]:
    """Return environment variables with an installed project's programs first on the path."""
    environment = bin_folder.parent
    clean = clean_environment(**variables, **caches(environment))
    return {**clean, "PATH": f"{bin_folder}{os.pathsep}{clean['PATH']}", "VIRTUAL_ENV": str(environment)}

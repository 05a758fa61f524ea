"""Build a slug of a commit, as the classic Python buildpack does.

The rules are from devcenter, "Heroku Python Support", "Python Package Managers on Heroku", "Slug Compiler" and
"Django and Static Assets", and from the buildpack's release 351.
"""

import shutil
import subprocess
import uuid
from collections.abc import Callable
from pathlib import Path

from honcho.environ import parse_procfile

from stand_ins.heroku.dynos import SYSTEM_PATH, Slug
from stand_ins.heroku.pythons import SYNC, install, sync_command, sync_environment

type Say = Callable[[str], None]

PACKAGE_MANAGERS = {
    "Pipfile.lock": "Pipenv",
    "requirements.txt": "pip",
    "poetry.lock": "Poetry",
    "uv.lock": "uv",
}
COLLECTSTATIC = ["python", "manage.py", "collectstatic", "--noinput"]
STACK = "heroku-24"


class BuildFailed(Exception):  # noqa: N818 - it is what happens to a build
    """Raised if a build is rejected; the text says why."""


def check_out(repository: Path, commit: str, environment: dict[str, str], folder: Path) -> Path:
    """Write a commit's files, and nothing else, to `folder`; return the folder.

    `environment` is the hook's, with which git finds pushed objects that are not yet accepted.
    """
    folder.mkdir(parents=True)
    where = {
        "GIT_DIR": str(repository),
        "GIT_INDEX_FILE": str(folder.with_suffix(".index")),
        "GIT_WORK_TREE": str(folder),
    }
    for command in (["read-tree", commit], ["checkout-index", "--all"]):
        subprocess.run(["git", *command], cwd=folder, env={"PATH": SYSTEM_PATH, **environment, **where}, check=True)
    return folder


def build(tree: Path, commit: str, config: dict[str, str], say: Say) -> Slug:
    """Make a slug of the files in `tree`, which become part of it.

    Args:
        tree: a folder with a commit's files; packages are installed beside it, for later builds too.
        commit: the commit's ID.
        config: the app's config vars: all variables that collectstatic gets.
        say: takes each line of the build log.

    Raises:
        BuildFailed: the build is rejected.
    """
    ignore(tree, say)
    say("-----> Building on the Heroku-24 stack")
    say("-----> Determining which buildpack to use for this app")
    if not any((tree / name).exists() for name in [*PACKAGE_MANAGERS, "Pipfile", "setup.py", "pyproject.toml"]):
        raise BuildFailed("No default language could be detected for this app.")
    say("-----> Python app detected")
    check(tree)
    version = (tree / ".python-version").read_text().strip()
    say(f"-----> Using Python {version} specified in .python-version")
    with install(tree.parents[1], tree, version) as python:
        say(f"-----> Installing dependencies using '{' '.join(SYNC)}'")
        if run(sync_command(), tree, sync_environment(python), say) != 0:
            raise BuildFailed(
                "Error: Unable to install dependencies using uv.\n\nSee the log output above for more information."
            )
        collect_static(tree, python, config, commit, say)
    procfile = tree / "Procfile"
    processes = dict(parse_procfile(procfile.read_text()).processes) if procfile.exists() else {}
    say("-----> Discovering process types")
    say(f"       Procfile declares types -> {', '.join(sorted(processes)) or '(none)'}")
    say("")
    slug = Slug(str(uuid.uuid4()), tree, python, processes, commit)
    say("-----> Compressing...")
    say(f"       Done: {slug.size / 1024**2:.1f}M")
    return slug


def ignore(tree: Path, say: Say) -> None:
    """Remove the files that `.slugignore` names, before anything else: devcenter, "Slug Compiler".

    A pattern matches files anywhere in the tree, or from its top with a leading slash. `!` is not supported.
    """
    file = tree / ".slugignore"
    if not file.exists():
        return
    lines = [line.strip() for line in file.read_text().splitlines()]
    patterns = [line for line in lines if line and not line.startswith("#")]
    say(f"-----> Deleting {len(patterns)} files matching .slugignore patterns.")
    for pattern in patterns:
        where = pattern.strip("/") if pattern.startswith("/") else f"**/{pattern.strip('/')}"
        for found in list(tree.glob(where)):
            if found.is_dir() and not found.is_symlink():
                shutil.rmtree(found)
            else:
                found.unlink(missing_ok=True)


def check(tree: Path) -> None:
    """Check that the buildpack accepts these files.

    Raises:
        BuildFailed: it rejects them.
    """
    if (tree / ".heroku/python").exists():
        raise BuildFailed("Error: Existing '.heroku/python/' directory found.")
    found = [name for name in PACKAGE_MANAGERS if (tree / name).exists()]
    if not found:
        raise BuildFailed("Error: Couldn't find any supported Python package manager files.")
    if len(found) > 1:
        listed = "\n".join(f"{name} ({PACKAGE_MANAGERS[name]})" for name in found)
        raise BuildFailed(
            "Error: Multiple Python package manager files were found.\n\n"
            f"Exactly one package manager file should be present in your app's source code, however, several were found:"
            f"\n\n{listed}\n\nDecide which package manager you want to use, and delete the other file(s)."
        )
    for name in (".venv", "venv"):
        if (tree / name / "pyvenv.cfg").is_file():
            raise BuildFailed(
                f"Error: Existing '{name}/' directory found.\n\n"
                f"Your app's source code contains an existing directory named '{name}/', which looks like a Python virtual "
                "environment. Delete it from the repository, and add it to .gitignore."
            )
    if found != ["uv.lock"]:
        raise BuildFailed(f"The stand-in installs from uv.lock only, not from {found[0]}.")
    if (tree / "runtime.txt").exists():
        raise BuildFailed(
            "Error: The runtime.txt file isn't supported when using uv.\n\n"
            "Delete it, and name the Python version in a .python-version file."
        )
    if not (tree / ".python-version").exists():
        raise BuildFailed(
            "Error: No Python version was specified.\n\n"
            "When using the package manager uv on Heroku, you must specify your app's Python version with a "
            ".python-version file."
        )


def collect_static(tree: Path, python: Path, config: dict[str, str], commit: str, say: Say) -> None:
    """Run collectstatic, unless DISABLE_COLLECTSTATIC is set.

    Raises:
        BuildFailed: it failed.
    """
    if not (tree / "manage.py").exists() or not list(python.glob("lib/*/site-packages/django")):
        return
    if config.get("DISABLE_COLLECTSTATIC", "0") != "0":
        say("-----> Skipping Django collectstatic since the env var DISABLE_COLLECTSTATIC is set.")
        return
    say(f"-----> $ {' '.join(COLLECTSTATIC)}")
    env = {
        "HOME": str(tree),
        "LANG": "en_US.UTF-8",
        "PYTHONUNBUFFERED": "1",
        "PYTHONPATH": ".",
        **config,
        "PATH": f"{python}/bin:{SYSTEM_PATH}",
        "SOURCE_VERSION": commit,
        "STACK": STACK,
    }
    if run(COLLECTSTATIC, tree, env, say) != 0:
        raise BuildFailed(
            "Error: Unable to generate Django static files.\n\n"
            "The 'python manage.py collectstatic --noinput' Django management command to generate static files failed.\n\n"
            "See the traceback above for details."
        )


def run(command: list[str], folder: Path, env: dict[str, str], say: Say) -> int:
    """Run a step of the build, with its output indented in the log; return its exit code."""
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    with process:
        assert process.stdout is not None
        for line in process.stdout:
            say(f"       {line.rstrip()}")
    return process.returncode

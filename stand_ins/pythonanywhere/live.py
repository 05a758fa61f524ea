"""Deploy a project to the emulated PythonAnywhere, from a developer's machine to an account."""

import contextlib
import functools
import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from stand_ins.pythonanywhere.account import Account
from stand_ins.pythonanywhere.platform import Page, Platform, pythonanywhere
from stand_ins.pythonanywhere.web import WebApp
from tests.support import rendering
from tests.support.environments import clean_environment, run, uv
from tests.support.faults import QUICK, Change, text

USER = "todolist"
# The account and the project with default answers.
SITE = "todo-list"
on_pythonanywhere = functools.partial(pythonanywhere, user=USER)
HOST = f"{USER}@ssh.pythonanywhere.com"
EXPORT = "export --quiet --locked --no-default-groups --group deploy --no-emit-project --output-file requirements.txt"
# An ssh that accepts the account's key, and refuses others as the real one does.
SSH = """#!/bin/sh
test "$1 $2 $3 $4" = "-T -o BatchMode=yes {host}" && test -s "$HOME/.ssh/id_ed25519" || {{
  echo "$4: Permission denied (publickey)." >&2; exit 255
}}
exec env -i {environment} {command} sh -c "$5"
"""


def release(said: str) -> Change:
    """Change the home page's text, to tell releases apart."""
    return text("templates/pages/home.html", "{% endblock content %}", f"  <p>{said}</p>\n{{% endblock content %}}")


class Laptop:
    """A developer's machine: the project, and the repository that it is pushed to."""

    def __init__(self, folder: Path) -> None:
        """Use a folder that may already have both."""
        self.folder = folder
        self.project = folder / "project"
        self.origin = folder / "origin.git"
        self.home = folder / "home"

    @classmethod
    def fresh(cls, template: Path, folder: Path, **answers: str) -> "Laptop":
        """Return a machine with a fresh project, committed and pushed."""
        laptop = cls(folder)
        rendering.render(template, laptop.project, platform="pythonanywhere", **answers)
        laptop.home.mkdir()
        run(["git", "init", "--quiet", "--bare", "--initial-branch=main", str(laptop.origin)], folder)
        laptop.git("init", "--quiet", "--initial-branch=main")
        laptop.git("remote", "add", "origin", str(laptop.origin))
        laptop.push("Start")
        return laptop

    def git(self, *arguments: str) -> str:
        """Run git in the project, and return its output."""
        return run(["git", *arguments], self.project).strip()

    def push(self, message: str) -> str:
        """Commit and push all changes; return the commit."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)
        self.git("push", "--quiet", "--set-upstream", "origin", "main")
        return self.git("rev-parse", "HEAD")

    def change(self, *changes: Change) -> str:
        """Change the project, and push it; return the commit."""
        for each in changes:
            each(self.project)
        return self.push("Change")

    def lock(self) -> None:
        """Write uv.lock and requirements.txt."""
        run([uv(), "lock", "--quiet"], self.project)
        run([uv(), *EXPORT.split()], self.project)

    def environment(self, account: Account, *, key: str = "key", **variables: str) -> dict[str, str]:
        """Return the environment of a terminal with uv, and with an ssh that reaches the account with a key."""
        bin_folder = self.home / "bin"
        bin_folder.mkdir(exist_ok=True)
        (self.home / ".ssh").mkdir(exist_ok=True)
        if key:
            (self.home / ".ssh/id_ed25519").write_text(key)
        # A command over SSH has no console, and so none of a console's variables.
        inside = {
            name: value
            for name, value in account.environment.items()
            if name not in ("API_TOKEN", "PYTHONANYWHERE_SITE")
        }
        script = SSH.format(
            host=HOST.replace("pythonanywhere.com", account.site.removeprefix("www.")),
            environment=" ".join(shlex.quote(f"{name}={value}") for name, value in inside.items()),
            command=shlex.join(account.command([])),
        )
        self.program("ssh", script)
        with contextlib.suppress(FileExistsError):
            (bin_folder / "uv").symlink_to(uv())
        self.program("python3.13", f'#!/bin/sh\nexec {sys.base_prefix}/bin/python3.13 "$@"\n')
        clean = clean_environment(**variables)
        return {**clean, "HOME": str(self.home), "PATH": f"{bin_folder}:/usr/bin:/bin"}

    def program(self, name: str, script: str) -> None:
        """Put a script first on the terminal's path."""
        path = self.home / "bin" / name
        path.write_text(script)
        path.chmod(0o755)


class Live:
    """A site in an account of the emulated platform."""

    def __init__(self, platform: Platform, laptop: Laptop) -> None:
        self.platform = platform
        self.laptop = laptop
        self.account = platform.account
        self.folder = self.account.home / SITE

    @property
    def current(self) -> str:
        """Return the name of the current release."""
        return (self.folder / "current").readlink().name

    def add_release(self, name: str, before: str) -> Path:
        """Add a copy of the current release; return its folder."""
        folder = self.folder / "releases" / name
        shutil.copytree(self.folder / "releases" / self.current, folder, symlinks=True)
        details = {"commit": name[5:], "before": before}
        (folder / "release.json").write_text(json.dumps(details))
        return folder

    def link(self, name: str) -> None:
        """Point `current` at a release."""
        self.account.run("ln", "-sfn", f"/home/{USER}/{SITE}/releases/{name}", f"{SITE}/current")

    @property
    def releases(self) -> list[str]:
        """Return the names of all releases, oldest first."""
        return sorted(path.name for path in (self.folder / "releases").iterdir())

    @property
    def packages(self) -> list[str]:
        """Return the names of the folders with installed packages."""
        return sorted(path.name for path in (self.folder / "environments").iterdir())

    def set_up(self, variables: Mapping[str, str]) -> None:
        """Set up the account as the runbook does before the first deploy."""
        self.account.run("git", "clone", "--quiet", str(self.laptop.origin), f"{SITE}/repository")
        (self.folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in variables.items()))

    def deploy(self, *options: str, code: int = 0, **variables: str) -> str:
        """Run the deploy script in a console; return its output."""
        command = ["python3.13", f"{SITE}/repository/deploy/pythonanywhere.py", *options]
        return self.account.run(*command, code=code, **variables)

    def manage(self, *command: str) -> str:
        """Run one of Django's commands in a console; return its output."""
        current = f"{SITE}/current"
        return self.account.run(f"{current}/.venv/bin/python", f"{current}/manage.py", *command)

    def ask(self, path: str = "/", **headers: str) -> Page:
        """Request a page over HTTPS as a visitor does; do not follow redirects."""
        return self.platform.ask(self.platform.domain, path, headers=headers)


# --- A live site, deployed once and copied for each test


def make_seed(template: Path, folder: Path) -> None:
    """Deploy a project with SQLite for the first time, and keep the resulting files."""
    (folder / "laptop").mkdir(parents=True)
    laptop = Laptop.fresh(template, folder / "laptop", database="sqlite")
    laptop.lock()
    laptop.change(QUICK)
    with on_pythonanywhere(folder / "platform") as running:
        live = Live(running, laptop)
        live.set_up(variables())
        live.deploy()


def variables() -> dict[str, str]:
    """Return the variables that production needs, with SQLite."""
    return {
        "DJANGO_SETTINGS_MODULE": "config.settings.production",
        "SECRET_KEY": "0123456789-abcdefghijklmnopqrstuvwxyz-ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        "ALLOWED_HOSTS": f"{USER}.pythonanywhere.com",
        "DATABASE_URL": f"sqlite:////home/{USER}/{SITE}/db.sqlite3?init_command=PRAGMA%20journal_mode%3DDELETE",
        "BACKUP_DIR": f"/home/{USER}/{SITE}/backups",
        "LOG_FILE": f"/home/{USER}/{SITE}/logs/site.log",
    }


@contextlib.contextmanager
def grown(seed: Path, folder: Path) -> Iterator[Live]:
    """Serve a copy of the site until the end of the block."""
    shutil.copytree(seed / "laptop", folder / "laptop", symlinks=True)
    laptop = Laptop(folder / "laptop")
    laptop.git("remote", "set-url", "origin", str(laptop.origin))
    with on_pythonanywhere(folder / "platform") as running:
        live = Live(running, laptop)
        before = seed / "platform/account"
        # Link the packages instead of copying them: they are many files that no test changes.
        live.folder.mkdir()
        subprocess.run(["cp", "-a", "--link", before / "home" / SITE / "environments", live.folder], check=True)
        rest = shutil.ignore_patterns("environments")
        shutil.copytree(before / "home" / SITE, live.folder, symlinks=True, ignore=rest, dirs_exist_ok=True)
        run(["git", "remote", "set-url", "origin", str(laptop.origin)], live.folder / "repository")
        shutil.copytree(before / "www", live.account.www, dirs_exist_ok=True)
        home = f"/home/{USER}/{SITE}"
        running.serve(
            WebApp(
                1,
                running.domain,
                "3.13",
                f"{home}/current",
                f"{home}/current/.venv",
                force_https=True,
                static_files=[],
            )
        )
        yield live

"""Git tracks only a project's rendered files and the lock file: no secret, no database, no environment.

Files have the same line endings on every system.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

from tests.support.environments import Environments, project_environment, run
from tests.support.rendering import ROOT
from tests.support.repositories import commit
from tests.support.updating import tracked


def test_a_project_in_use_offers_git_no_secret_and_no_data(
    render: Callable[..., Path], environments: Environments
) -> None:
    project = render()
    rendered = {str(path.relative_to(project)) for path in project.rglob("*") if path.is_file()}
    env = project_environment(environments.install(project))
    # Files that working with a project leaves in it.
    for secret in (
        ".env",
        ".env.production",
        "server.key",
        "server.pem",
        "backup.dump",
        "site.log",
        "log.jsonl",
        "unused.txt",
        "uploads.tar",
        "deploy-key",
        "deploy-key.pub",
        "media/upload.png",
    ):
        (project / secret).parent.mkdir(exist_ok=True)
        (project / secret).write_text("SECRET_KEY=secret")
    run(["python", "-m", "venv", "--without-pip", ".venv"], project, env=env)
    run(["python", "manage.py", "migrate"], project, env=env)
    run(["python", "manage.py", "collectstatic", "--noinput"], project, env=env)
    run(["mypy", "manage.py"], project, env=env)
    run(["ruff", "check"], project, env=env)
    assert (project / "db.sqlite3").exists()

    run(["git", "init", "--quiet"], project)
    offered = run(["git", "add", "--all", "--dry-run"], project)
    assert {line.removeprefix("add '").removesuffix("'") for line in offered.splitlines()} == rendered | {"uv.lock"}


def clone_as_on_windows(repository: Path, destination: Path) -> Path:
    """Clone a repository as Git for Windows does by default; return the clone."""
    run(
        ["git", "clone", "--quiet", "--config=core.autocrlf=true", str(repository), str(destination)], repository.parent
    )
    return destination


def with_crlf(clone: Path) -> list[str]:
    """Return the files of a clone that have a line with CRLF."""
    listed = run(["git", "ls-files", "-z"], clone)
    return [name for name in filter(None, listed.split("\0")) if b"\r\n" in (clone / name).read_bytes()]


def test_a_project_on_windows_has_the_line_ends_that_containers_and_shells_read(
    render: Callable[..., Path], tmp_path: Path
) -> None:
    project = tracked(render())
    assert with_crlf(clone_as_on_windows(project, tmp_path / "clone")) == []
    # Without .gitattributes there would be some.
    (project / ".gitattributes").unlink()
    commit(project, "Without")
    assert with_crlf(clone_as_on_windows(project, tmp_path / "without"))


def test_the_template_on_windows_has_the_same_line_ends(tmp_path: Path) -> None:
    copy = tmp_path / "template"
    listed = run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], ROOT)
    for name in filter(None, listed.split("\0")):
        # A picture may have any bytes.
        if (ROOT / name).is_file() and not name.endswith(".png"):
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, copy / name)
    assert with_crlf(clone_as_on_windows(tracked(copy), tmp_path / "clone")) == []

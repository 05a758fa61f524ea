"""Copying needs no `--trust`, network or other program, asks questions in a terminal, and loses nothing."""

import os
import shutil
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.copying import copier_command, copy
from tests.support.environments import clean_environment, run
from tests.support.questions import SHOWN
from tests.support.rendered import assert_whole_and_clean, files, parse
from tests.support.rendering import ROOT, question_choices, template_copy
from tests.support.runbooks import blocks
from tests.support.terminal import CLEAR_LINE, DOWN, ENTER, Terminal

Render = Callable[..., Path]

# No server listens on this port.
CLOSED = "http://127.0.0.1:9"
PROXIES = dict.fromkeys(("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), CLOSED)

# Programs that git's own shell scripts run.
GITS_OWN = ("basename", "sed", "uname")


@pytest.fixture(scope="session")
def released_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template as a Git repository with a release."""
    template = template_copy(tmp_path_factory.mktemp("released"))
    for command in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message=1.0"], ["tag", "v1.0"]):
        run(["git", *command], template)
    return template


@pytest.fixture(scope="session")
def without_network() -> tuple[str, ...]:
    """The start of a command that runs a program without a network; empty if this machine does not allow it."""
    unshare = shutil.which("unshare")
    for namespace in (["--net"], ["--net", "--user", "--map-root-user"]) if unshare else ():
        prefix = (str(unshare), *namespace)
        if subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode == 0:
            return prefix
    return ()


@pytest.fixture
def bare_machine(tmp_path: Path) -> dict[str, str]:
    """The environment variables of a machine with only Git and an empty home folder."""
    programs, home = tmp_path / "bin", tmp_path / "home"
    programs.mkdir()
    home.mkdir()
    for program in ("git", *GITS_OWN):
        (programs / program).symlink_to(shutil.which(program) or program)
    return {**PROXIES, "HOME": str(home), "PATH": str(programs), "LANG": "C.UTF-8", "GIT_CONFIG_NOSYSTEM": "1"}


@pytest.fixture(scope="session")
def bound_by_permissions() -> tuple[str, ...]:
    """The start of a command that makes file permissions apply to root too; empty for other users."""
    if os.geteuid():
        return ()
    return ("setpriv", "--bounding-set=-dac_override,-dac_read_search")


def contents(folder: Path) -> dict[str, bytes]:
    """Return all files in a folder with their content."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in files(folder)}


@pytest.mark.parametrize("platform", question_choices("platform"))
def test_copying_needs_no_trust_no_network_and_no_program_but_git(
    released_template: Path,
    tmp_path: Path,
    bare_machine: dict[str, str],
    without_network: tuple[str, ...],
    platform: str,
) -> None:
    project = tmp_path / "project"
    done = copy(released_template, project, {"platform": platform}, prefix=without_network, env=bare_machine)
    assert done.returncode == 0, done.stderr
    assert_whole_and_clean(project)
    assert parse(project / ".copier-answers.yml")["_commit"] == "v1.0"
    assert not any(Path(bare_machine["HOME"]).iterdir())


def refused(terminal: Terminal, question: str) -> None:
    """Type an answer for each refusal, and check that the screen shows the reason and an example."""
    for answer, shown in SHOWN[question].items():
        terminal.type(CLEAR_LINE + answer + ENTER)
        terminal.wait_for(f"Validation error for question '{question}': {shown}")


def test_a_terminal_shows_why_an_answer_is_refused_and_asks_again(template: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    with closing(Terminal(copier_command(template, project, {}), clean_environment())) as terminal:
        terminal.wait_for("What is the site called, for example Todo List?")
        # A question without a default must not seem to have one.
        assert terminal.text.count("Todo List") == 1
        refused(terminal, "project_name")
        terminal.type(CLEAR_LINE + "Todo List" + ENTER)
        terminal.wait_for("Project slug")
        terminal.wait_for("todo-list")
        refused(terminal, "project_slug")
        terminal.type(CLEAR_LINE + "list-2" + ENTER)
        terminal.wait_for("Where will it run")
        for choice in ("Heroku: ", "PythonAnywhere: ", "Docker: ", "gunicorn: "):
            terminal.wait_for(choice)
        # Enter takes the first choice, as docs/index.md says.
        assert "for the platform that is Heroku" in (ROOT / "docs/index.md").read_text()
        terminal.type(ENTER)
        terminal.wait_for("What is the app called on Heroku")
        refused(terminal, "heroku_app")
        terminal.type(CLEAR_LINE + "list-2" + ENTER)
        terminal.wait_for("SQLite: one file, for small sites (Heroku keeps no files: use postgresql)")
        # Down skips the disabled choice.
        terminal.type(DOWN + ENTER)
        # All further questions have defaults.
        assert terminal.wait(typing=ENTER) == 0
    answers = parse(project / ".copier-answers.yml")
    assert (answers["project_name"], answers["project_slug"]) == ("Todo List", "list-2")
    assert (answers["platform"], answers["database"]) == ("heroku", "postgresql")


def test_a_terminal_shows_what_needs_a_paid_plan_on_pythonanywhere(template: Path, tmp_path: Path) -> None:
    given = {"project_name": "Todo List", "project_slug": "list-2", "platform": "pythonanywhere"}
    with closing(Terminal(copier_command(template, tmp_path / "project", given), clean_environment())) as terminal:
        for question in ("What is your PythonAnywhere user name", "Where did you open that account"):
            terminal.wait_for(question)
            terminal.type(ENTER)
        terminal.wait_for("PostgreSQL: for any site that may grow (paid plans only)\n")
        terminal.type(ENTER)
        terminal.wait_for("Database: a worker process, and no other service (paid)\n")
        terminal.wait_for("Celery: workers, a scheduler and Redis, for many tasks (paid, own Redis)\n")


@pytest.mark.parametrize(
    ("platform", "question"),
    [("gunicorn", "domain"), ("docker", "domain"), ("pythonanywhere", "pythonanywhere_user")],
)
def test_a_terminal_shows_why_a_platforms_own_answer_is_refused(
    template: Path, tmp_path: Path, platform: str, question: str
) -> None:
    given = {"project_slug": "list-2", "platform": platform}
    with closing(Terminal(copier_command(template, tmp_path / "project", given), clean_environment())) as terminal:
        terminal.wait_for("What is the site called")
        terminal.type("Todo List" + ENTER)
        terminal.wait_for("domain name?" if question == "domain" else "user name?")
        refused(terminal, question)
    assert not any(tmp_path.iterdir())


def test_without_a_terminal_a_question_says_how_to_answer_it(template: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        copier_command(template, tmp_path / "project", {}),
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "Interactive session required: Use `--defaults` and/or `--data`/`--data-file`" in done.stderr
    assert not any(tmp_path.iterdir())


def test_a_folder_keeps_what_no_file_of_the_project_is_called(template: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    (project / "docs").mkdir(parents=True)
    mine = {"notes.txt": b"mine\n", "docs/idea.md": b"# Mine\n"}
    for name, content in mine.items():
        (project / name).write_bytes(content)
    assert copy(template, project).returncode == 0
    assert contents(project).items() > mine.items()


@pytest.mark.parametrize(
    "name", ["README.md", ".gitignore", "manage.py", "compose.yaml", "config/settings/base.py", "apps"]
)
def test_a_file_that_was_there_is_not_overwritten(template: Path, tmp_path: Path, name: str) -> None:
    project = tmp_path / "project"
    (project / name).parent.mkdir(parents=True)
    (project / name).write_text("mine\n")
    done = copy(template, project)
    assert done.returncode == 1
    assert (project / name).read_text() == "mine\n"


def test_a_copy_that_stops_halfway_begins_again_as_the_readme_says(template: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    mine = {"README.md": b"mine\n", "manage.py": b"mine\n"}
    for name, content in mine.items():
        (project / name).write_bytes(content)
    for command in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message=Mine"]):
        run(["git", *command], project)
    done = copy(template, project)
    assert done.returncode == 1
    assert "Interactive session required" in done.stderr.splitlines()[-1]
    assert len(contents(project).items() - mine.items()) > 1
    (begin_again,) = [block.text for block in blocks(ROOT / "docs/index.md") if block.heading == "When a copy stops"]
    run(["sh", "-ec", begin_again], project)
    assert {name: content for name, content in contents(project).items() if not name.startswith(".git/")} == mine
    assert copy(template, project, options=("--skip", "README.md", "--skip", "manage.py")).returncode == 0
    assert contents(project).items() > mine.items()
    assert copy(template, project, options=("--overwrite",)).returncode == 0
    assert (project / "manage.py").read_bytes() == (template / "template/manage.py").read_bytes()


def test_a_folder_that_was_there_does_not_become_a_file(template: Path, tmp_path: Path) -> None:
    mine = tmp_path / "project" / "manage.py" / "mine.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine\n")
    assert copy(template, tmp_path / "project").returncode == 1
    assert mine.read_text() == "mine\n"


def test_a_refused_answer_leaves_a_folder_as_it_was(template: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "manage.py").write_text("mine\n")
    assert copy(template, project, {"project_slug": "Todo_List"}).returncode == 1
    assert contents(project) == {"manage.py": b"mine\n"}


@pytest.mark.parametrize("destination", ["file", "file/project"])
def test_a_destination_that_cannot_be_a_folder_loses_nothing(template: Path, tmp_path: Path, destination: str) -> None:
    (tmp_path / "file").write_text("mine\n")
    done = copy(template, tmp_path / destination)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(("NotADirectoryError: ", "FileExistsError: "))
    assert contents(tmp_path) == {"file": b"mine\n"}


@pytest.mark.parametrize("destination", ["mine", "mine/project"])
def test_a_destination_that_one_may_not_write_to_loses_nothing(
    template: Path, tmp_path: Path, bound_by_permissions: tuple[str, ...], destination: str
) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "notes.txt").write_text("mine\n")
    mine.chmod(0o555)
    try:
        done = copy(template, tmp_path / destination, prefix=bound_by_permissions)
    finally:
        mine.chmod(0o755)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("PermissionError: ")
    assert contents(tmp_path) == {"mine/notes.txt": b"mine\n"}

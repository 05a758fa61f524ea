"""Find the tests that a change can affect, by the paths of the changed files."""

import ast
import fnmatch
import subprocess
from collections.abc import Iterable
from functools import cache
from pathlib import Path

# fnmatch patterns of paths, and the tests that such a file affects. The first matching pattern counts.
# In addition, each test module is affected by itself and by the modules of this repository that it imports.
REACH: list[tuple[tuple[str, ...], tuple[str, ...]]] = [
    (("template/{{heroku}}/*",), ("rendering", "platforms/test_heroku*.py")),
    (("template/{{pythonanywhere}}/*",), ("rendering", "platforms/test_pythonanywhere*.py")),
    (("template/{{docker}}/*",), ("rendering", "platforms/test_docker*.py")),
    (("template/{{gunicorn}}/*",), ("rendering", "platforms/test_gunicorn*.py")),
    (
        ("template/*{{celery}}/*", "template/*{{database_tasks}}/*", "template/*{{workers}}/*"),
        ("rendering", "projects", "sites/test_workers.py", "sites/test_brokers.py", "platforms/test_*_tasks.py"),
    ),
    (("template/*{{sentry}}/*",), ("rendering", "projects", "sites/test_sentry.py")),
    (("template/*{{s3}}/*",), ("rendering", "projects", "sites/test_s3.py")),
    (("template/*{{ai}}/*",), ("rendering", "projects", "sites/test_assistant.py")),
    (("template/*{{i18n}}/*",), ("rendering", "projects")),
    (
        ("template/*{{api}}/*", "template/*{{htmx}}/*", "template/*{{mfa}}/*"),
        ("rendering", "projects", "sites/test_pages_in_a_browser.py"),
    ),
    (("template/*{{tailwind}}/*",), ("rendering", "projects")),
    (
        ("template/*{{github}}/*", "template/*{{gitlab}}/*"),
        ("rendering", "projects", "updates/test_update_workflow.py", "platforms/test_docker_workflows.py"),
    ),
    (("template/smoke/*",), ("rendering", "projects", "sites/test_smoke*.py", "platforms/test_start_commands.py")),
    (
        ("template/docs/*", "template/README*"),
        ("rendering", "repository/test_figures.py", "updates/test_updating_pages.py", "sites/test_operations.py"),
    ),
    (("template/*",), ("rendering", "projects", "sites", "platforms/test_start_commands.py")),
    (("copier.yml", "questions/*"), ("rendering", "questions", "projects", "updates")),
    (("tests/conftest.py", "pyproject.toml", ".python-version"), ("",)),
    (("stand_ins/heroku/*",), ("platforms/test_heroku*.py",)),
    (("stand_ins/pythonanywhere/*",), ("platforms/test_pythonanywhere*.py",)),
    (("stand_ins/machine/*",), ("platforms/test_gunicorn*.py",)),
    (("tests/platforms/conftest.py",), ("platforms",)),
    (("tests/support/actionlint.mjs",), ("rendering/test_ci.py", "repository/test_own_ci.py")),
    (
        ("tests/support/without_netlink.py",),
        ("repository/test_browser.py", "repository/test_documentation.py", "sites/test_*_in_a_browser.py"),
    ),
    (("tests/support/lighthouse.mjs",), ("sites/test_pages_in_a_browser.py", "repository/test_documentation.py")),
    (("tests/support/left_out.py", "tests/support/times.py", "tests/support/turns.py"), ("repository",)),
    (("stand_ins/*", "tests/*"), ()),
    (("docs/recipes.md",), ("repository", "projects/test_recipes.py")),
    (("docs/adopting.md", "scripts/adopt.py"), ("repository", "updates/test_adopting.py")),
    (
        (
            "benchmarks/*",
            "scripts/*",
            "docs/*",
            ".ci/*",
            ".devcontainer/*",
            ".github/*",
            "Makefile",
            "zensical.toml",
            "*.md",
        ),
        ("repository",),
    ),
]


def changed_files(root: Path) -> list[str]:
    """Return the files that differ from origin/main; if there is none, or HEAD is the same, the uncommitted ones."""

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=root, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False
        )
        return done.stdout

    since = git("merge-base", "HEAD", "origin/main").strip()
    if not since or since == git("rev-parse", "HEAD").strip():
        since = "HEAD"
    changed = git("diff", "--name-only", "-z", since) + git("ls-files", "-z", "--others", "--exclude-standard")
    return sorted(set(filter(None, changed.split("\0"))))


def reached_by(changed: Iterable[str], root: Path) -> list[str]:
    """Return the test folders and files that changed files can break, without files of a folder that is in the list.

    Args:
        changed: the files' paths in the repository.
        root: the repository.
    """
    files = set(changed)
    reached = {f"tests/{test}".rstrip("/") for name in files for test in of_a_file(name)}
    expanded = {str(path.relative_to(root)) for pattern in reached for path in root.glob(pattern) if path.exists()}
    for module in root.glob("tests/*/test_*.py"):
        if files & imported(module, root):
            expanded.add(str(module.relative_to(root)))
    return sorted(name for name in expanded if not any(name.startswith(f"{other}/") for other in expanded))


def of_a_file(name: str) -> tuple[str, ...]:
    """Return the tests that REACH lists for a file."""
    return next((tests for patterns, tests in REACH if any(fnmatch.fnmatchcase(name, each) for each in patterns)), ())


@cache
def imported(module: Path, root: Path) -> frozenset[str]:
    """Return the paths in the repository of a module, its folder's conftest.py, and all modules that it imports, directly or not.

    The imports of a conftest.py are left out: only some tests of its folder use each of them, and those import its types.
    """
    found: set[Path] = {module.parent / "conftest.py"}
    left = {module}
    while left:
        path = left.pop()
        found.add(path)
        left |= imports(path, root) - found
    return frozenset(str(path.relative_to(root)) for path in found)


@cache
def imports(module: Path, root: Path) -> frozenset[Path]:
    """Return the modules of this repository that a module imports directly."""
    names = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            names |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{each.name}" for each in node.names)}
    return frozenset(path for name in names if (path := root / f"{name.replace('.', '/')}.py").exists())

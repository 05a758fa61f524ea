"""List the template's releases, and make a repository that has them as Copier sees them."""

import re
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.support.environments import run
from tests.support.rendering import ROOT, read_questions, template_copy

# Each release and its commit, oldest first; CHANGELOG.md has a section for each.
RELEASES = {
    "0.1.0": "c9f20c5a8bce900e65454cff1b2755b68bb94a36",
    "0.2.0": "586f405e77155fa04c77380d4cc8f492aee791da",
    "0.3.0": "51aacb9c87bd25fde2931ab4d22f718c1cf2c4ad",
    "0.4.0": "630df5565d7871b6c17d52a33a5c09ccb3f4277c",
    "0.5.0": "fecec9642ab98e4cc25b8d3b6319f2ec9b33dd72",
    "0.6.0": "03b065f20f64f40815b57d5cd51047f86ccaa314",
    "0.7.0": "7375369e20305d7b937ecd1508ddc804a2d577ec",
    "0.8.0": "6e8ed6ce62f62705f87a8b379d1b16952108df41",
    "0.9.0": "8ad85c41012df989a57f81ed5fa811a9ba66da77",
}
# Files that 0.6.0 moved into operations/ or removed, by the folder where they were.
HOUSE = "2026-11-28 · What runs a site has a folder of its own."
BEFORE_THE_HOUSE = {
    "apps/accounts": "mail tasks",
    "apps/operations": "__init__ admin apps backups caches celery_backend cleanup database_backend gunicorn_logger logs "
    "middleware migration_lock migration_sql readiness request_ids tasks uploads urls views",
    "apps/operations/management/commands": "backup cleanup lintmigrations migrate restore runserver sendtestemail worker",
    "apps/pages": "apps",
    "config": "asgi assistant broker environment parsers redis_transport s3 sentry static_manifest worker_shutdown",
    "tests": "test_backups test_caches test_celery_tasks test_cleanup test_database_tasks test_environment "
    "test_lintmigrations test_logs test_mail_command test_migrate test_probes test_s3 test_security test_sentry test_tasks "
    "test_uploads",
}
# Removals on purpose: the name that `promises` gives, and the decision in docs/decisions.md with the reason and with what
# happens to projects that use it.
GONE: dict[str, str] = {
    "the file deploy/systemd/daily@.service": "2026-11-21 · A timer a task on the machine.",
    "the file deploy/systemd/daily@.timer": "2026-11-21 · A timer a task on the machine.",
    **dict.fromkeys(
        (
            "the file deploy/backup.py",
            "the file deploy/gunicorn_worker.py",
            "the file deploy/over-ssh",
            "the file deploy/over-ssh.sh",
            "the file deploy/run",
        ),
        "2026-11-28 · Files of a shell are called by what they do.",
    ),
    **dict.fromkeys(
        (
            "the file .github/ISSUE_TEMPLATE/bug.md",
            "the file .github/ISSUE_TEMPLATE/idea.md",
            "the file .gitlab/issue_templates/Bug.md",
            "the file .gitlab/issue_templates/Idea.md",
        ),
        "2026-11-28 · No forms for issues.",
    ),
    **{f"the file {folder}/{name}.py": HOUSE for folder, names in BEFORE_THE_HOUSE.items() for name in names.split()},
}

# The versions that tests give to the working tree, and to a second release of it without changes.
NEXT = "1000.0.0"
AGAIN = "1000.0.1"
# A release after those, which a test makes for itself.
FOLLOWING = "1000.1.0"


class MissingReleaseError(Exception):
    """Raised if this clone of the template lacks a release's commit."""


def tag(version: str) -> str:
    """Return the name of a release's tag."""
    return f"v{version}"


def repository_of_releases(destination: Path, source: Path = ROOT) -> Path:
    """Clone this repository, tag its releases, and commit the working tree as the newest release.

    Args:
        destination: a new folder.
        source: the clone in which these tests run.

    Raises:
        MissingReleaseError: the source lacks a release's commit; the message says what to do.
    """
    run(["git", "clone", "--quiet", "--no-tags", str(source), str(destination)], destination.parent)
    for version, commit in RELEASES.items():
        tagged = subprocess.run(
            ["git", "tag", tag(version), f"{commit}^{{commit}}"], cwd=destination, capture_output=True, check=False
        )
        if tagged.returncode:
            raise MissingReleaseError(
                f"{source} lacks the commit of release {version}. If it is a shallow clone: git fetch --unshallow"
            )
    # Leave out files that Copier does not read: each update would write and delete them.
    run(["git", "rm", "--quiet", "-r", "."], destination)
    template_copy(destination)
    release(destination, NEXT)
    release(destination, AGAIN)
    # Each update clones the repository five times, which is a second faster from one pack.
    run(["git", "repack", "-adq"], destination)
    run(["git", "prune-packed", "--quiet"], destination)
    return destination


def release(repository: Path, version: str) -> None:
    """Commit the files of a clone of the template and tag them as a release."""
    run(["git", "add", "--all"], repository)
    run(["git", "commit", "--quiet", "--allow-empty", f"--message=Release {version}"], repository)
    run(["git", "tag", tag(version)], repository)


def promises(repository: Path, version: str) -> set[str]:
    """Return what projects of a release rely on: its questions, their choices, and the files that it renders."""
    questions = questions_of(repository, version)
    asked = {name: each for name, each in questions.items() if not name.startswith("_") and each.get("when", True)}
    choices = {name: each["choices"] for name, each in asked.items() if "choices" in each}
    values = {
        name: [each["value"] for each in its.values()] if isinstance(its, dict) else its
        for name, its in choices.items()
    }
    listed = run(["git", "ls-tree", "-r", "--name-only", tag(version), "template/"], repository).splitlines()
    return {
        *(f"the question {name}" for name in asked),
        *(f"the answer {name}={value}" for name, its in values.items() for value in its),
        # Runbooks that docs/deploy.md once included. No project has them as files.
        *(f"the file {rendered_path(path)}" for path in listed if "docs/deploy/" not in path),
    }


def reserved_slugs(repository: Path, version: str) -> set[str]:
    """Return the slugs that a release refuses."""
    listed = questions_of(repository, version)["reserved_slugs"]["default"]
    return {word for line in listed.split("{#") for word in line.rpartition("#}")[2].split()}


def rendered_path(path: str) -> str:
    """Return a template file's path in a project, without the folders that are named after an answer."""
    return re.sub(r"\{\{\w+\}\}/", "", path.removeprefix("template/").removesuffix(".jinja"))


def questions_of(repository: Path, version: str) -> dict[str, Any]:
    """Return the questions in a release's copier.yml and the files that it includes."""
    with TemporaryDirectory() as folder:
        listed = run(["git", "ls-tree", "-r", "-z", "--name-only", tag(version), "copier.yml", "questions"], repository)
        for name in filter(None, listed.split("\0")):
            Path(folder, name).parent.mkdir(exist_ok=True)
            Path(folder, name).write_text(run(["git", "show", f"{tag(version)}:{name}"], repository))
        return read_questions(Path(folder))

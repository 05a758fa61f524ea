"""The template's releases, and a repository that has them as its users' Copier sees them."""

import re
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.support.environments import run
from tests.support.rendering import ROOT, read_questions, template_copy

# Every release and its commit, oldest first; CHANGELOG.md has a section for each.
RELEASES = {
    "0.1.0": "c9f20c5a8bce900e65454cff1b2755b68bb94a36",
    "0.2.0": "586f405e77155fa04c77380d4cc8f492aee791da",
    "0.3.0": "51aacb9c87bd25fde2931ab4d22f718c1cf2c4ad",
    "0.4.0": "630df5565d7871b6c17d52a33a5c09ccb3f4277c",
    "0.5.0": "fecec9642ab98e4cc25b8d3b6319f2ec9b33dd72",
    "0.6.0": "03b065f20f64f40815b57d5cd51047f86ccaa314",
}
# What 0.6.0 moved into operations/ or took away, by the folder where it was.
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
# What a later release took away on purpose: what `promises` calls it, and the decision in docs/decisions.md that says why
# and what becomes of projects that have it.
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

# What the working tree is released as, for the tests alone; and again, with nothing changed.
NEXT = "1000.0.0"
AGAIN = "1000.0.1"
# A release after that, which a test makes for itself.
FOLLOWING = "1000.1.0"


class MissingReleaseError(Exception):
    """This clone of the template does not have a release."""


def tag(version: str) -> str:
    """What a release is called in the repository."""
    return f"v{version}"


def repository_of_releases(destination: Path, source: Path = ROOT) -> Path:
    """Make a clone of this repository in which the releases are tagged, and the working tree is the newest.

    Args:
        destination: a folder that is not there yet.
        source: the clone that these tests run in.

    Raises:
        MissingReleaseError: the source has not the commits of all releases; the message says what to do.
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
    # What Copier does not read would only be written out and deleted again, at each update.
    run(["git", "rm", "--quiet", "-r", "."], destination)
    template_copy(destination)
    release(destination, NEXT)
    release(destination, AGAIN)
    # Each update clones it five times, which is a second faster from one pack.
    run(["git", "repack", "-adq"], destination)
    run(["git", "prune-packed", "--quiet"], destination)
    return destination


def release(repository: Path, version: str) -> None:
    """Release what stands in a clone of the template."""
    run(["git", "add", "--all"], repository)
    run(["git", "commit", "--quiet", "--allow-empty", f"--message=Release {version}"], repository)
    run(["git", "tag", tag(version)], repository)


def promises(repository: Path, version: str) -> set[str]:
    """What projects of a release hold on to: its questions, the answers that can be chosen, the files it renders."""
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
        # Runbooks that docs/deploy.md once took in, and which no project has.
        *(f"the file {rendered_path(path)}" for path in listed if "docs/deploy/" not in path),
    }


def reserved_slugs(repository: Path, version: str) -> set[str]:
    """The slugs that a release refuses."""
    listed = questions_of(repository, version)["reserved_slugs"]["default"]
    return {word for line in listed.split("{#") for word in line.rpartition("#}")[2].split()}


def rendered_path(path: str) -> str:
    """Return the path in a project of a file of the template, without the folders that stand for an answer."""
    return re.sub(r"\{\{\w+\}\}/", "", path.removeprefix("template/").removesuffix(".jinja"))


def questions_of(repository: Path, version: str) -> dict[str, Any]:
    """Return what copier.yml and the files that it includes said in a release."""
    with TemporaryDirectory() as folder:
        listed = run(["git", "ls-tree", "-r", "-z", "--name-only", tag(version), "copier.yml", "questions"], repository)
        for name in filter(None, listed.split("\0")):
            Path(folder, name).parent.mkdir(exist_ok=True)
            Path(folder, name).write_text(run(["git", "show", f"{tag(version)}:{name}"], repository))
        return read_questions(Path(folder))

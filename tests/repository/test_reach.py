"""`make test CHANGED=1` runs the tests that a change can break, and few others."""

import shutil
from pathlib import Path

import pytest

from scripts.reach import changed_files, reached_by
from tests.support.environments import run
from tests.support.rendering import ROOT


@pytest.mark.parametrize(
    ("changed", "within", "without"),
    [
        ("template/{{heroku}}/deploy/heroku.py", "tests/platforms/test_heroku.py", "tests/platforms/test_gunicorn.py"),
        ("template/{{docker}}/{{celery}}/deploy/x.py", "tests/platforms/test_docker_tasks.py", "tests/updates"),
        (
            "template/{{celery}}/operations/workers/broker.py",
            "tests/sites/test_brokers.py",
            "tests/platforms/test_heroku.py",
        ),
        ("template/{{ai}}/apps/assistant/views.py", "tests/sites/test_assistant.py", "tests/sites/test_s3.py"),
        ("template/{{github}}/.github/workflows/ci.yml", "tests/updates/test_update_workflow.py", "tests/sites"),
        ("template/apps/pages/views.py", "tests/sites", "tests/platforms/test_heroku.py"),
        ("copier.yml", "tests/questions", "tests/sites"),
        # Found by a module's imports, direct or indirect.
        ("tests/support/object_storage.py", None, "tests/rendering"),
        ("stand_ins/object_storage.py", "tests/sites/test_s3.py", "tests/rendering"),
        ("stand_ins/heroku/router.py", "tests/platforms/test_heroku_stand_in.py", "tests/platforms/test_gunicorn.py"),
        ("tests/support/redis.py", "tests/sites/test_brokers.py", None),
        ("tests/platforms/test_heroku.py", "tests/platforms/test_heroku.py", "tests/platforms/test_heroku_dynos.py"),
        ("Makefile", "tests/repository", "tests/rendering"),
    ],
)
def test_a_change_reaches_its_tests(changed: str, within: str | None, without: str | None) -> None:
    reached = reached_by([changed], ROOT)
    assert within is None or within in reached
    assert without not in reached
    for name in reached:
        assert (ROOT / name).exists()


def test_what_all_tests_stand_on_reaches_all() -> None:
    assert reached_by(["pyproject.toml"], ROOT) == ["tests"]


def test_every_file_of_this_repository_reaches_something() -> None:
    """Except the files that nothing depends on."""
    names = run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], ROOT).split("\0")
    dead = {name for name in names if name and (ROOT / name).exists() and not reached_by([name], ROOT)}
    assert dead <= {
        "LICENSE",
        ".gitattributes",
        ".gitignore",
        "stand_ins/__init__.py",
        "tests/support/__init__.py",
    }


def test_what_is_changed_is_told_by_git(tmp_path: Path) -> None:
    origin, clone = tmp_path / "origin", tmp_path / "clone"
    origin.mkdir()
    run(["git", "init", "--quiet", "--initial-branch=main"], origin)
    for name in ("kept", "edited", "gone"):
        (origin / name).write_text(name)
    run(["git", "add", "."], origin)
    run(["git", "commit", "--quiet", "--message=1"], origin)
    run(["git", "clone", "--quiet", str(origin), str(clone)], tmp_path)
    assert changed_files(clone) == []
    (clone / "new file").touch()
    (clone / "edited").write_text("again")
    (clone / "gone").unlink()
    assert changed_files(clone) == ["edited", "gone", "new file"]
    run(["git", "add", "--all"], clone)
    run(["git", "commit", "--quiet", "--message=2"], clone)
    assert changed_files(clone) == ["edited", "gone", "new file"]
    shutil.rmtree(clone)

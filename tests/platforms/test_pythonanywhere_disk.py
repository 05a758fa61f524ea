"""A deploy to PythonAnywhere checks for free disk space, 512 MB in a free account, and frees what it used if it fails."""

import subprocess
import sys
from pathlib import Path

import pytest

from stand_ins.pythonanywhere.live import SITE, Live
from tests.support.environments import clean_environment
from tests.support.faults import text
from tests.support.names import IN_A_NAMESPACE, NEEDS_ROOT
from tests.support.rendering import ROOT

# Runs its arguments with a disk of this size in MB mounted on a folder, invisible to other processes.
ON_A_DISK = 'folder=$1 size=$2; shift 2; mount -t tmpfs -o "size=${size}m" tmpfs "$folder" && exec "$@"'
# The size in MB of an environment with all extras.
PACKAGES_MB = 166
# A site with releases 1, 2, …, each with its own packages. The deploy of another lock file checks the disk.
SCRIPT = """
import os, pathlib, sys
sys.path.insert(0, sys.argv[1])
from pythonanywhere_releases import DETAILS, WHOLE, DeployError, SiteFolder

root, serves, half_installed = pathlib.Path(sys.argv[2]), sys.argv[3], sys.argv[4]
size = int(sys.argv[5]) * 1024**2
site = SiteFolder(root)
site.prepare()
site.repository.mkdir()
(site.repository / "requirements.txt").write_text("another lock")

def packages(name, whole=True):
    folder = site.environments / name
    folder.mkdir()
    with (folder / "library").open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, size)
    if whole:
        (folder / WHOLE).touch()
    return folder

for number in sys.argv[6:]:
    folder = site.releases / number
    folder.mkdir()
    (folder / DETAILS).write_text('{"commit": "0", "before": null}')
    (folder / ".venv").symlink_to(packages(number))
if serves:
    site.current.symlink_to(site.releases / serves)
if half_installed:
    packages("half", whole=False)
try:
    site.make_room("python3.13")
except DeployError as error:
    print(error)
    sys.exit(1)
finally:
    print("releases", *sorted(path.name for path in site.releases.iterdir()))
    print("packages", *sorted(path.name for path in site.environments.iterdir()))
    print("left over", *sorted(path.name for path in root.glob(".room")))
"""


def looked(
    folder: Path, *releases: str, serves: str = "", half: str = "", disk_mb: int = 512, packages_mb: int = PACKAGES_MB
) -> tuple[int, str]:
    """Check the free space on a disk with releases; return the exit code and the output."""
    deploy = ROOT / "template/{{pythonanywhere}}/deploy"
    arguments = [str(deploy), str(folder), serves, half, str(packages_mb), *releases]
    on_a_disk = [*IN_A_NAMESPACE, "sh", "-c", ON_A_DISK, "sh", str(folder), str(disk_mb)]
    tried = subprocess.run([*on_a_disk, "true"], capture_output=True, check=False)
    if tried.returncode != 0:
        pytest.skip(NEEDS_ROOT)
    done = subprocess.run(
        [*on_a_disk, sys.executable, "-c", SCRIPT, *arguments],
        env={**clean_environment(), "PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert not done.stderr, done.stderr
    return done.returncode, done.stdout


def test_where_there_is_room_every_release_stays(tmp_path: Path) -> None:
    code, printed = looked(tmp_path, "0001", "0002", serves="0002", packages_mb=20)
    assert (code, printed) == (0, "releases 0001 0002\npackages 0001 0002\nleft over\n")


def test_the_oldest_release_gives_way_with_its_packages(tmp_path: Path) -> None:
    code, printed = looked(tmp_path, "0001", "0002", serves="0002")
    assert (code, "deleting" in printed) == (0, True)
    assert printed.endswith("releases 0002\npackages 0002\nleft over\n")


def test_a_release_that_was_given_up_gives_way_first(tmp_path: Path) -> None:
    code, printed = looked(tmp_path, "0001", "0002", "0003", serves="0002", packages_mb=130)
    assert (code, printed.splitlines()[-3:]) == (0, ["releases 0001 0002", "packages 0001 0002", "left over"])


def test_what_a_broken_off_deploy_left_gives_way_to_every_release(tmp_path: Path) -> None:
    (tmp_path / "releases/0003.new").mkdir(parents=True)
    code, printed = looked(tmp_path, "0001", "0002", serves="0002", half="yes", packages_mb=110)
    assert (code, printed) == (0, "releases 0001 0002\npackages 0001 0002\nleft over\n")


def test_without_room_nothing_is_made_and_the_release_that_serves_stays(tmp_path: Path) -> None:
    code, printed = looked(tmp_path, "0001", "0002", serves="0002", disk_mb=350)
    assert code == 1
    assert "the disk has no room for a release, which takes up to 223 MB. Delete files that you do not need" in printed
    assert printed.endswith("releases 0002\npackages 0002\nleft over\n")
    assert "the disk has no room for a release, which takes up to 216 MB" in looked(tmp_path, disk_mb=200)[1]


@pytest.mark.usefixtures("serves_as_before")
def test_a_deploy_without_room_says_so_and_changes_nothing(live: Live) -> None:
    """The site's folder is on a disk with 60 MB, where the packages are not counted."""
    site = f"/home/{live.account.user}/{SITE}"
    live.laptop.change(text("requirements.txt", "# This file", "# This changed file"))
    onto_a_small_disk = f"""
        mkdir disk && mount -t tmpfs -o size=60m tmpfs disk
        tar --create --directory {site} --exclude ./environments . | tar --extract --directory disk
        mkdir disk/environments && mount --bind {site}/environments disk/environments
        mount --rbind disk {site} && cd && exec python3.13 {site}/repository/deploy/pythonanywhere.py
    """
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", onto_a_small_disk]
    printed = live.account.run(*command, code=1)
    assert "FAILED: the disk has no room for a release, which takes up to" in printed
    assert f"{live.current} serves as before; nothing has changed for it." in printed
    assert "2/10" not in printed

"""A project with an object store keeps uploads and backups in it, and pages work while it is down."""

import copy
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from stand_ins.object_storage import ObjectStorage, object_storage
from tests.support.databases import PostgreSQL, programs
from tests.support.edits import added, behind, edit
from tests.support.environments import Environments
from tests.support.faults import route, text
from tests.support.rendering import render
from tests.support.servers import HANGS
from tests.support.sites import Site

# A view that stores an upload, and one that shows its URL.
UPLOAD = "csrf_exempt(lambda request: HttpResponse(default_storage.save('notes/a note.html', request.FILES['file'])))"
SHOW = "lambda request: HttpResponse(default_storage.url('notes/a note.html'))"
PAGE = b"<script>alert(1)</script>"


@pytest.fixture(scope="module")
def storing_site(template: Path, tmp_path_factory: pytest.TempPathFactory, environments: Environments) -> Site:
    """A site that accepts uploads."""
    project = render(template, tmp_path_factory.mktemp("s3") / "project", platform="gunicorn", extras=["s3"])
    route("^upload/", UPLOAD)(project)
    route("^show/", SHOW)(project)
    imported = "from django.core.files.storage import default_storage\n"
    text("config/urls.py", "from django.contrib import admin\n", f"from django.contrib import admin\n{imported}")(
        project
    )
    site = Site(project, environments, "sqlite:///db.sqlite3")
    site.prepare()
    return site


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[ObjectStorage]:
    """An object store."""
    with object_storage(tmp_path) as server:
        yield server


def upload(site: Site) -> requests.Response:
    """Upload a file with a form."""
    headers = {"X-Forwarded-Proto": "https"}
    return requests.post(f"{site.url}/upload/", files={"file": ("a note.html", PAGE)}, headers=headers, timeout=60)


def test_an_upload_is_in_the_bucket_and_read_by_who_has_its_signed_address(
    storing_site: Site, storage: ObjectStorage, tmp_path: Path
) -> None:
    with storing_site.started(tmp_path / "log", **storage.variables):
        first, second = upload(storing_site).text, upload(storing_site).text
        assert (first, second != first) == ("notes/a note.html", True)
        assert sorted(storage.names("uploads")) == sorted([first, second])
        address = storing_site.get("/show/").text
        assert f"{urlsplit(address).scheme}://{urlsplit(address).netloc}" == storage.url
        assert requests.get(address, timeout=HANGS).content == PAGE
        assert requests.get(address.partition("?")[0], timeout=HANGS).status_code == 403
        policy = storing_site.get("/").headers["Content-Security-Policy"]
        assert f"img-src 'self' data: {storage.url};" in f"{policy};"
    assert "hunter2" not in address + (tmp_path / "log").read_text()


def test_a_store_that_is_down_takes_no_page_with_it(storing_site: Site, storage: ObjectStorage, tmp_path: Path) -> None:
    with storing_site.started(tmp_path / "log", **storage.variables):
        assert upload(storing_site).status_code == 200
        storage.server.stop()
        # URLs are signed locally, without a request to the store.
        assert storing_site.get("/show/").text.startswith(storage.url)
        assert requests.get(f"{storing_site.url}/ready/", timeout=HANGS).status_code == 200
        assert upload(storing_site).status_code == 500
        assert storing_site.get("/").status_code == 200


def test_a_check_says_in_words_what_a_bucket_lacks(storing_site: Site, storage: ObjectStorage) -> None:
    variables = storage.variables
    assert "S3_BUCKET: files in uploads can be listed" in storing_site.manage("teststorage", **variables)
    assert [*storage.names("uploads"), *storage.names("backups")] == []

    def said(**more: str) -> str:
        return run_failing(storing_site, {**variables, **more}, "teststorage")

    assert "BACKUP_BUCKET: cannot list files: the store has no bucket of this name" in said(BACKUP_BUCKET="elsewhere")
    # From here on the store checks permissions.
    key = storage.only_allow("s3:PutObject", "s3:GetObject")
    missing = re.findall("S3_BUCKET: cannot (.*?): .* the permission (.*)", said(**key))
    assert missing == [("list files", "s3:ListBucket"), ("delete a file", "s3:DeleteObject")]
    assert "S3_SECRET_ACCESS_KEY does not belong" in said(**{**key, "S3_SECRET_ACCESS_KEY": "hunter2-no-more"})
    assert "does not know the key of S3_ACCESS_KEY_ID" in said(**{**key, "S3_ACCESS_KEY_ID": "id"})
    storage.server.stop()
    told = said(S3_ENDPOINT_URL=f"{storage.url}/uploads")
    assert told.count("the store cannot be reached: see S3_ENDPOINT_URL") == 2
    assert "S3_BUCKET: S3_ENDPOINT_URL seems to have the bucket's name in it (uploads)" in told


MODELS = """from django.db import models


class Picture(models.Model):
    file = models.FileField(upload_to="pictures/%Y")
"""
# A file that a row refers to, one that no row refers to any more, and one outside all fields' folders.
STORED = """
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from apps.pictures.models import Picture
Picture(file=default_storage.save("pictures/2020/live.jpg", ContentFile(b"a"))).save()
for name in ("pictures/2020/left.jpg", "rich/2020/text.jpg"):
    default_storage.save(name, ContentFile(b"a"))
"""
# Without a minimum age: the time of an object in a bucket cannot be changed.
UNUSED = """
from django.conf import settings
from django.core.management import call_command
settings.CLEANUP_UPLOADS_MIN_AGE_HOURS = 0
call_command("cleanup", {})
"""


def test_what_a_row_has_left_behind_in_a_bucket_is_deleted_by_a_list(
    storing_site: Site, storage: ObjectStorage, tmp_path: Path
) -> None:
    site = copy.copy(storing_site)
    site.project = Path(shutil.copytree(storing_site.project, tmp_path / "project"))
    edit(
        site.project,
        added({"apps/pictures/__init__.py": "", "apps/pictures/models.py": MODELS}),
        behind("config/settings/base.py", '    "apps.pages",', '    "apps.pictures",'),
    )
    site.manage("makemigrations", "pictures")
    site.manage("migrate", "--noinput")

    def shell(code: str) -> str:
        return site.manage("shell", "--no-imports", "--command", code, **storage.variables)

    shell(STORED)
    assert shell(UNUSED.format("'--dry-run'")).splitlines()[0] == "pictures/2020/left.jpg"
    (tmp_path / "list").write_text("pictures/2020/left.jpg\npictures/2020/live.jpg\nrich/2020/text.jpg\n")
    shell(UNUSED.format(f"'--uploads', '{tmp_path}/list'"))
    assert sorted(storage.names("uploads")) == ["pictures/2020/live.jpg", "rich/2020/text.jpg"]


def test_without_a_bucket_uploads_are_in_a_folder_or_refused(storing_site: Site, tmp_path: Path) -> None:
    with storing_site.started(tmp_path / "log", MEDIA_ROOT=str(tmp_path / "media")):
        assert upload(storing_site).status_code == 200
        address = storing_site.get("/show/").text
        answer = storing_site.get(address)
        assert (answer.content, answer.headers["Content-Disposition"]) == (PAGE, 'attachment; filename="a note.html"')
        assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    with storing_site.started(tmp_path / "log"):
        assert upload(storing_site).status_code == 500
        assert "There is no place for uploads that outlives a deploy" in (tmp_path / "log").read_text()


@pytest.mark.parametrize("kind", ["postgresql", "sqlite"])
def test_what_was_dropped_comes_back_from_the_bucket(
    storing_site: Site, storage: ObjectStorage, database: PostgreSQL, tmp_path: Path, kind: str
) -> None:
    """Back up, drop, restore: the rows are the same. The site keeps serving meanwhile."""
    url = f"sqlite:///{tmp_path}/db.sqlite3"
    if kind == "postgresql":
        run_on(database, "createdb")
        url = database.url.removesuffix("postgres") + "site"
    variables = {
        **storage.variables,
        "DATABASE_URL": url,
        "PATH": f"{programs()}:{storing_site.environment()['PATH']}",
        "BACKUP_KEEP": "1",
        "DJANGO_SUPERUSER_PASSWORD": "correct horse battery staple",
    }
    manage = storing_site.manage
    manage("migrate", "--verbosity=0", **variables)
    manage("createsuperuser", "--noinput", "--email", "member@example.com", **variables)
    rows = manage("dumpdata", "accounts", "auth", "contenttypes", **variables)
    with storing_site.started(tmp_path / "log", **variables):
        manage("backup", **variables)
        name = manage("backup", **variables).partition(",")[0]
    assert storage.names("backups") == [name]
    assert manage("backup", "--list", **variables).split() == [name]

    refused = run_failing(storing_site, variables, "restore", name)
    assert re.search("is not empty: it has [0-9]+ tables. --force replaces them", refused)
    if kind == "postgresql":
        run_on(database, "dropdb")
        run_on(database, "createdb")
    else:
        for path in tmp_path.glob("db.sqlite3*"):
            path.unlink()
    manage("restore", name, **variables)
    assert manage("dumpdata", "accounts", "auth", "contenttypes", **variables) == rows

    # A damaged backup changes nothing.
    whole = storage.client.get_object(Bucket="backups", Key=name)["Body"].read()
    for damaged in (whole[: len(whole) // 2], b""):
        storage.client.put_object(Bucket="backups", Key=name, Body=damaged)
        assert f"{name} is damaged" in run_failing(storing_site, variables, "restore", "--force", name)
    assert manage("dumpdata", "accounts", "auth", "contenttypes", **variables) == rows
    storage.server.stop()
    assert "No backup was made: the store says: Could not connect" in run_failing(storing_site, variables, "backup")
    if kind == "postgresql":
        run_on(database, "dropdb")


def run_on(database: PostgreSQL, program: str) -> None:
    """Create or drop the database `site` with PostgreSQL's own program."""
    command: list[str | Path] = [programs() / program, f"--maintenance-db={database.url}", "site"]
    subprocess.run(command, check=True, cwd="/")


def run_failing(site: Site, variables: dict[str, str], *command: str) -> str:
    """Run one of Django's commands, which must fail; return its output."""
    done = subprocess.run(
        ["python", "manage.py", *command],
        cwd=site.project,
        env=site.environment(**variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout
    assert "Traceback" not in done.stdout
    assert "hunter2" not in done.stdout
    return done.stdout

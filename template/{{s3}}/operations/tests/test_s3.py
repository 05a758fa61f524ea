"""Check that uploads are stored in a bucket if the environment names one."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.core.files.storage import Storage
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils.module_loading import import_string
from pytest_django import Settings

from operations import s3
from operations.environment.variables import EnvError

Production = Callable[..., SimpleNamespace]

BUCKET = {"S3_BUCKET": "uploads", "S3_ACCESS_KEY_ID": "id", "S3_SECRET_ACCESS_KEY": "s3cret"}


def storage(settings: SimpleNamespace) -> Storage:
    """Return the storage of the settings. It connects only when it is used."""
    entry: dict[str, Any] = settings.STORAGES["default"]
    made: Storage = import_string(entry["BACKEND"])(**entry["OPTIONS"])
    return made


def test_without_a_bucket_uploads_are_elsewhere(production: Production) -> None:
    settings = production()
    assert "s3" not in settings.STORAGES["default"]["BACKEND"].lower()
    assert settings.SECURE_CSP["img-src"] == ["'self'", "data:"]


def test_backups_among_the_uploads_are_refused(production: Production, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        production(**BUCKET, BACKUP_BUCKET="uploads")
    assert "BACKUP_BUCKET: the bucket is S3_BUCKET, " in capsys.readouterr().err
    assert "backups" in production(**BUCKET, BACKUP_BUCKET="backups").STORAGES


@pytest.mark.parametrize(
    ("more", "origin"),
    [
        ({}, "https://uploads.s3.us-east-1.amazonaws.com"),
        ({"S3_REGION": "eu-central-1"}, "https://uploads.s3.eu-central-1.amazonaws.com"),
        ({"S3_ENDPOINT_URL": "https://s3.example.com:9000/"}, "https://s3.example.com:9000"),
        ({"S3_ENDPOINT_URL": "https://a.example.co/storage/v1/s3"}, "https://a.example.co"),
        (
            {"S3_ENDPOINT_URL": "https://s3.example.com", "S3_ADDRESSING_STYLE": "virtual"},
            "https://uploads.s3.example.com",
        ),
        ({"S3_ADDRESSING_STYLE": "path"}, "https://s3.us-east-1.amazonaws.com"),
    ],
)
def test_addresses_are_signed_and_pages_may_show_what_is_there(
    production: Production, more: dict[str, str], origin: str
) -> None:
    settings = production(**BUCKET, **more)
    url = urlsplit(storage(settings).url("a/photo.jpg"))
    assert f"{url.scheme}://{url.netloc}" == origin
    query = parse_qs(url.query)
    assert query["X-Amz-Expires"] == ["3600"]
    assert "X-Amz-Signature" in query
    assert "s3cret" not in url.query
    assert settings.SECURE_CSP["img-src"] == ["'self'", "data:", origin]


def test_a_path_of_the_service_stays_in_its_urls(production: Production) -> None:
    settings = production(**BUCKET, S3_ENDPOINT_URL="https://a.example.co/storage/v1/s3/")
    assert urlsplit(storage(settings).url("photo.jpg")).path == "/storage/v1/s3/uploads/photo.jpg"


@pytest.mark.parametrize(
    ("endpoint", "told"),
    [
        ("https://uploads.s3.example.com", True),
        ("https://s3.example.com/uploads", True),
        ("https://s3.example.com", False),
        ("", False),
    ],
)
def test_a_bucket_in_the_url_of_the_service_is_told(
    production: Production, settings: Settings, endpoint: str, told: bool
) -> None:
    settings.S3 = production(**BUCKET, S3_ENDPOINT_URL=endpoint).S3
    warnings = s3.endpoint_names_no_bucket()
    assert [warning.id for warning in warnings] == ["operations.W002"] * told
    assert all("write it without" in warning.msg for warning in warnings)


def test_the_check_of_buckets_needs_one(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CommandError, match="No bucket is set"):
        call_command("teststorage")
    assert s3.endpoint_names_no_bucket() == []
    assert capsys.readouterr().out == ""


def test_backups_have_a_bucket_of_their_own(production: Production) -> None:
    keys = {"S3_ACCESS_KEY_ID": "id", "S3_SECRET_ACCESS_KEY": "s3cret"}
    stores = production(**keys, BACKUP_BUCKET="backups").STORAGES
    assert stores["backups"]["OPTIONS"]["bucket_name"] == "backups"
    assert stores["default"]["BACKEND"] == "operations.uploads.NoUploads"


@pytest.mark.parametrize("missing", BUCKET)
def test_the_bucket_and_its_keys_belong_together(
    production: Production, capsys: pytest.CaptureFixture[str], missing: str
) -> None:
    with pytest.raises(SystemExit):
        production(**{**BUCKET, missing: ""})
    said = capsys.readouterr().err
    assert "1 problem(s)" in said
    assert f"{missing}: not set. A bucket (S3_BUCKET, BACKUP_BUCKET), S3_ACCESS_KEY_ID" in said
    assert "s3cret" not in said


@pytest.mark.parametrize(
    ("parser", "wrong", "reason"),
    [
        (s3.bucket, "My Bucket", "not a bucket's name"),
        (s3.bucket, "s3://uploads", "not a bucket's name"),
        (s3.region, "eu central", "not a region"),
        (s3.endpoint, "s3.example.com", "not a scheme and a host"),
        (s3.endpoint, "https://id:s3cret@s3.example.com", "not a scheme and a host"),
        (s3.endpoint, "https://s3.example.com/uploads?key=s3cret", "not a scheme and a host"),
        (s3.endpoint, "https://s3.example.com/a b", "not a scheme and a host"),
        (s3.addressing_style, "s3cret", "neither virtual nor path"),
    ],
)
def test_what_cannot_be_meant_is_refused(parser: Callable[[str], object], wrong: str, reason: str) -> None:
    with pytest.raises(EnvError, match=reason) as refused:
        parser(wrong)
    assert "s3cret" not in str(refused.value)

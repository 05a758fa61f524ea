"""Set up object storage on any S3-compatible service.

https://django-storages.readthedocs.io/en/latest/backends/amazon-S3.html
"""

import re
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core import checks

from operations.environment import Environment
from operations.environment.parsers import EXAMPLES
from operations.environment.variables import EnvError

TOGETHER = (
    "A bucket (S3_BUCKET, BACKUP_BUCKET), S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY belong together: set all, or none"
)
EXAMPLES |= dict.fromkeys(("S3_BUCKET", "S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY"), TOGETHER)

# Seconds for a connection, and for each part of a response. A hanging service must not block a page for longer.
CONNECT_TIMEOUT = 3
READ_TIMEOUT = 10
# Seconds for which a signed URL is valid.
SIGNED_FOR = 3600


def bucket(text: str | None) -> str | None:
    """Return a bucket's name. https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html"""
    if text is not None and not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", text):
        raise EnvError("not a bucket's name. Example: todo-list-uploads")
    return text


def endpoint(text: str | None) -> str | None:
    """Return the URL of a service, which may have a path, like `https://project.example.co/storage/v1/s3`."""
    if text is not None and not re.fullmatch(
        r"https?://[a-z0-9.-]+(:\d{1,5})?(/[a-z0-9._~-]+)*/?", text, re.IGNORECASE
    ):
        # Do not repeat it: it may contain a key by mistake.
        raise EnvError("not a scheme and a host, with or without a path. Example: https://s3.example.com")
    return text and text.rstrip("/")


def addressing_style(text: str | None) -> str | None:
    """Return where a bucket's name is in its URL: in the host (`virtual`), or in the path (`path`)."""
    if text not in (None, "virtual", "path"):
        raise EnvError("neither virtual nor path. Write one of the two")
    return text


def region(text: str) -> str:
    """Return a region's name, which is part of Amazon's host names."""
    if not re.fullmatch(r"[a-z0-9-]+", text, re.IGNORECASE):
        raise EnvError("not a region. Example: eu-central-1")
    return text


def s3(env: Environment) -> dict[str, Any]:
    """Return the S3 settings from environment variables. They are checked when `env` is sealed.

    Returns:
        `bucket`, `key`, `secret`, `region`, `endpoint`, `backups`, and the addressing style as `style`.
    """
    for parser in (bucket, endpoint, region, addressing_style):
        env.add_parser(parser.__name__, parser)
    env.add_parser("credential", str)
    found = {
        "bucket": env.bucket("S3_BUCKET", None),
        "backups": env.bucket("BACKUP_BUCKET", None),
        "key": env.str("S3_ACCESS_KEY_ID", None),
        "secret": env.str("S3_SECRET_ACCESS_KEY", None),
    }
    if any(found.values()):
        # Read these again as required variables.
        if not found["backups"]:
            found["bucket"] = found["bucket"] or env.bucket("S3_BUCKET")
        found["key"] = found["key"] or env.str("S3_ACCESS_KEY_ID")
        found["secret"] = found["secret"] or env.str("S3_SECRET_ACCESS_KEY")
    if found["backups"] and found["backups"] == found["bucket"]:
        env.problem(
            BACKUP_BUCKET="the bucket is S3_BUCKET, where `cleanup` deletes what no row names. Choose another bucket"
        )
    address = env.endpoint("S3_ENDPOINT_URL", None)
    # Amazon has a host name for each bucket. Other services may have it, but most accept the bucket in the path.
    style = env.addressing_style("S3_ADDRESSING_STYLE", None) or ("path" if address else "virtual")
    return {**found, "region": env.region("S3_REGION", "us-east-1"), "endpoint": address, "style": style}


def s3_options(s3: dict[str, Any]) -> dict[str, Any]:
    """Return boto3's arguments: `endpoint_url`, `region_name`, `config` and the keys."""
    # Import the library only if a bucket is set: it is slow.
    from botocore.config import Config

    return {
        "endpoint_url": s3["endpoint"] or f"https://s3.{s3['region']}.amazonaws.com",
        "region_name": s3["region"],
        "aws_access_key_id": s3["key"],
        "aws_secret_access_key": s3["secret"],
        "config": Config(
            signature_version="s3v4",
            s3={"addressing_style": s3["style"]},
            connect_timeout=CONNECT_TIMEOUT,
            read_timeout=READ_TIMEOUT,
            retries={"total_max_attempts": 2},
            # Other services do not support Amazon's newer checksums.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    }


def s3_storage(s3: dict[str, Any], bucket: str) -> dict[str, Any]:
    """Return the entry of Django's STORAGES for a private bucket, whose files have signed URLs."""
    options = s3_options(s3)
    return {
        "BACKEND": "storages.backends.s3.S3Storage",
        "OPTIONS": {
            "bucket_name": bucket,
            "access_key": options["aws_access_key_id"],
            "secret_key": options["aws_secret_access_key"],
            "region_name": options["region_name"],
            "endpoint_url": options["endpoint_url"],
            "client_config": options["config"],
            "default_acl": None,
            "querystring_auth": True,
            "querystring_expire": SIGNED_FOR,
            # Never overwrite a file: a second one of the same name gets another name.
            "file_overwrite": False,
        },
    }


def s3_storages(s3: dict[str, Any]) -> dict[str, Any]:
    """Return the entries of Django's STORAGES: uploads in S3_BUCKET and backups in BACKUP_BUCKET, if these are set."""
    buckets = {"default": s3["bucket"], "backups": s3["backups"]}
    return {name: s3_storage(s3, bucket) for name, bucket in buckets.items() if bucket}


def s3_origin(s3: dict[str, Any]) -> list[str]:
    """Return the origin of signed URLs, from which browsers must be able to load pictures; none without S3_BUCKET."""
    if not s3["bucket"]:
        return []
    url = urlsplit(s3["endpoint"] or f"https://s3.{s3['region']}.amazonaws.com")
    return [f"{url.scheme}://{s3['bucket'] + '.' if s3['style'] == 'virtual' else ''}{url.netloc}"]


@checks.register(checks.Tags.files)
def endpoint_names_no_bucket(**_: Any) -> list[checks.CheckMessage]:
    """Warn if a service's URL contains the bucket's name, as a copied one often does."""
    s3 = getattr(settings, "S3", {"bucket": None, "backups": None, "endpoint": None})
    buckets = {"S3_BUCKET": s3["bucket"], "BACKUP_BUCKET": s3["backups"]}
    hints = {name: bucket_in_endpoint(bucket, s3["endpoint"]) for name, bucket in buckets.items() if bucket}
    return [checks.Warning(f"{name}: {hint}.", id="operations.W002") for name, hint in hints.items() if hint]


def bucket_in_endpoint(bucket: str, endpoint: str | None) -> str:
    """Return a hint if a service's URL seems to contain the bucket's name, which is added to it; else nothing."""
    url = urlsplit(endpoint or "")
    if (url.hostname or "").startswith(f"{bucket}.") or url.path.endswith(f"/{bucket}"):
        return (
            f"S3_ENDPOINT_URL seems to have the bucket's name in it ({bucket}), which is added to it: write it without"
        )
    return ""

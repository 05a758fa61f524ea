"""Check the buckets: do what the site does in them, and explain what does not work."""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import boto3
from botocore.exceptions import BotoCoreError, ClientError, EndpointConnectionError, HTTPClientError, SSLError
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from operations.s3 import bucket_in_endpoint, s3_options

# The variable of each bucket, and its key in settings.S3.
VARIABLES = {"S3_BUCKET": "bucket", "BACKUP_BUCKET": "backups"}
CONTENT = b"Written by manage.py teststorage, which deletes it.\n"
# What each error code means. https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
REASONS = {
    "InvalidAccessKeyId": "the store does not know the key of S3_ACCESS_KEY_ID",
    "SignatureDoesNotMatch": "S3_SECRET_ACCESS_KEY does not belong to S3_ACCESS_KEY_ID",
    "NoSuchBucket": "the store has no bucket of this name",
    "404": "the store has no bucket of this name",
    "AuthorizationHeaderMalformed": "the bucket is in another region than S3_REGION says",
    "PermanentRedirect": "the bucket is in another region than S3_REGION says",
    "301": "the bucket is in another region than S3_REGION says",
    "RequestTimeTooSkewed": "this machine's clock is wrong",
}
FORBIDDEN = ("AccessDenied", "AllAccessDisabled", "Forbidden", "403")


def reason(error: Exception, permission: str) -> str:
    """Return what a service's error means and what to change. It contains no secret.

    Args:
        error: the library's exception.
        permission: the permission that the key needs, by its name in Amazon's policies.
    """
    match error:
        case ClientError():
            code = error.response["Error"]["Code"]
            if code in FORBIDDEN:
                return f"the store forbids it: the key needs the permission {permission}"
            return REASONS.get(code) or f"the store says: {error}"
        case SSLError():
            return (
                "the certificate of the store is not good for its name, or it does not speak TLS: see S3_ENDPOINT_URL"
            )
        case EndpointConnectionError():
            return "the store cannot be reached: see S3_ENDPOINT_URL and S3_REGION"
        case HTTPClientError():
            return f"the store gave no answer in time, or none that can be read: see S3_ENDPOINT_URL ({type(error).__name__})"
        case _:
            return f"{type(error).__name__}: {error}"


class Command(BaseCommand):
    """Check the buckets."""

    help = "Writes, reads, lists and deletes a file in each bucket, and says in words what is missing."
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - as every command's
        """Check each bucket that is set.

        Raises:
            CommandError: there is none, or something is missing; the text has a line for each problem.
        """
        s3 = getattr(settings, "S3", {})
        buckets = {name: bucket for name, key in VARIABLES.items() if (bucket := s3.get(key))}
        if not buckets:
            raise CommandError("No bucket is set: S3_BUCKET, BACKUP_BUCKET (docs/environment.md)")
        client = boto3.client("s3", **s3_options(s3))
        problems = []
        for variable, bucket in buckets.items():
            found = list(check(client, bucket))
            if not found:
                self.stdout.write(f"{variable}: files in {bucket} can be listed, written, read and deleted.")
            elif s3["style"] == "path":
                found.append("if all of that is right, the store may need S3_ADDRESSING_STYLE=virtual")
            found += filter(None, [bucket_in_endpoint(bucket, s3["endpoint"])])
            problems += [f"{variable}: {each}" for each in found]
        if problems:
            raise CommandError("\n  ".join(["The buckets are not as the site needs them:", *problems]))


def check(client: Any, bucket: str) -> Iterator[str]:
    """Do each thing that the site does in a bucket, and yield what does not work.

    Args:
        client: boto3's client.
        bucket: the bucket's name.
    """
    name = f"teststorage-{uuid4().hex}.txt"
    steps: dict[str, tuple[str, Callable[[], object]]] = {
        "list files": ("s3:ListBucket", lambda: client.list_objects_v2(Bucket=bucket, MaxKeys=1)),
        "write a file": ("s3:PutObject", lambda: client.put_object(Bucket=bucket, Key=name, Body=CONTENT)),
        "read a file": ("s3:GetObject", lambda: client.get_object(Bucket=bucket, Key=name)["Body"].read()),
        "delete a file": ("s3:DeleteObject", lambda: client.delete_object(Bucket=bucket, Key=name)),
    }
    for what, (permission, act) in steps.items():
        try:
            act()
        except (BotoCoreError, ClientError) as error:
            code = error.response["Error"]["Code"] if isinstance(error, ClientError) else ""
            # A key that may read is told so of a file that it could not write.
            if code != "NoSuchKey":
                yield f"cannot {what}: {reason(error, permission)}"
                if code not in FORBIDDEN:
                    # The other steps would fail for the same reason.
                    return

"""Run a real server that speaks S3: moto's, which keeps objects in memory."""

import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import requests

from tests.support.environments import clean_environment
from tests.support.servers import Running, free_port, running


class ObjectStorage:
    """A server with two buckets.

    Attributes:
        server: its process.
        url: its URL for S3_ENDPOINT_URL.
        variables: a site's variables to use both buckets.
    """

    def __init__(self, server: Running, url: str) -> None:
        self.server = server
        self.url = url
        self.variables = {
            "S3_ENDPOINT_URL": url,
            "S3_BUCKET": "uploads",
            "BACKUP_BUCKET": "backups",
            "S3_ACCESS_KEY_ID": "id",
            "S3_SECRET_ACCESS_KEY": "hunter2",
        }
        self.client = boto3.client(
            "s3", endpoint_url=url, region_name="us-east-1", aws_access_key_id="id", aws_secret_access_key="hunter2"
        )

    def only_allow(self, *actions: str) -> dict[str, str]:
        """Refuse requests without permission from now on; return the variables of a key with only these permissions."""
        told = {"aws_access_key_id": "id", "aws_secret_access_key": "hunter2", "region_name": "us-east-1"}
        iam = boto3.client("iam", endpoint_url=self.url, **told)
        iam.create_user(UserName="site")
        statement = {"Effect": "Allow", "Action": actions, "Resource": "*"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        iam.put_user_policy(UserName="site", PolicyName="site", PolicyDocument=policy)
        key = iam.create_access_key(UserName="site")["AccessKey"]
        requests.post(f"{self.url}/moto-api/reset-auth", data="0", timeout=60).raise_for_status()
        return {"S3_ACCESS_KEY_ID": key["AccessKeyId"], "S3_SECRET_ACCESS_KEY": key["SecretAccessKey"]}

    def names(self, bucket: str) -> list[str]:
        """Return the names of a bucket's objects."""
        return [each["Key"] for each in self.client.list_objects_v2(Bucket=bucket).get("Contents", [])]


@contextlib.contextmanager
def object_storage(folder: Path, host: str = "127.0.0.1") -> Iterator[ObjectStorage]:
    """Run a server with two empty buckets until the end of the block.

    Args:
        folder: the folder for its log.
        host: the IP address to listen on.
    """
    port = free_port()
    command = [sys.executable, "-m", "moto.server", f"--host={host}", f"--port={port}"]
    url = f"http://{host}:{port}"
    with running(command, folder, clean_environment(), folder / "s3.log") as server:
        server.wait_until_it_answers(url)
        storage = ObjectStorage(server, url)
        for bucket in ("uploads", "backups"):
            storage.client.create_bucket(Bucket=bucket)
        yield storage

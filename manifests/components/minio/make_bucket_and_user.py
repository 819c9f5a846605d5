"""Make the pipelines' bucket, and a user who may use that bucket and nothing else. Doing it again changes nothing."""

import os
import sys
from urllib.parse import urlsplit

from minio import Minio, MinioAdmin
from minio.credentials import StaticProvider
from minio.error import MinioAdminException, S3Error
from urllib3 import PoolManager, Retry, Timeout
from urllib3.exceptions import HTTPError


def bucket_policy(bucket: str) -> dict[str, object]:
    """Return what the user may do: read, write, delete and list in the bucket."""
    in_bucket = ["s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"]
    objects = [
        "s3:GetObject",
        "s3:PutObject",
        "s3:DeleteObject",
        "s3:AbortMultipartUpload",
        "s3:ListMultipartUploadParts",
    ]
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": in_bucket, "Resource": [f"arn:aws:s3:::{bucket}"]},
            {"Effect": "Allow", "Action": objects, "Resource": [f"arn:aws:s3:::{bucket}/*"]},
        ],
    }


def make_bucket_and_user(endpoint: str, bucket: str, root: tuple[str, str], user: tuple[str, str]) -> None:
    """Make what is missing.

    Args:
        endpoint: http(s) address of the server.
        bucket: Name of the bucket, and of the policy.
        root: Key and secret of the administrator.
        user: Key and secret of the user; the secret takes the place of an earlier one.
    """
    address = urlsplit(endpoint)
    secure = address.scheme == "https"
    pool = PoolManager(timeout=Timeout(connect=5, read=30), retries=Retry(0))
    keys = StaticProvider(*root)
    store = Minio(endpoint=address.netloc, credentials=keys, secure=secure, region="us-east-1", http_client=pool)
    if not store.bucket_exists(bucket_name=bucket):
        store.make_bucket(bucket_name=bucket)
    admin = MinioAdmin(endpoint=address.netloc, credentials=keys, secure=secure, http_client=pool)
    admin.policy_add(bucket, policy=bucket_policy(bucket))
    admin.user_add(*user)
    admin.policy_set(bucket, user[0])  # in place of all that the user had


def main() -> None:
    """Do it with what the environment says."""
    given = os.environ
    root, user = (given["ROOT_USER"], given["ROOT_PASSWORD"]), (given["ACCESS_KEY"], given["SECRET_KEY"])
    try:
        make_bucket_and_user(given["STORE_ENDPOINT"], given["BUCKET"], root, user)
    except (HTTPError, MinioAdminException, S3Error) as error:
        sys.exit(f"{given['STORE_ENDPOINT']}: {error}. The job starts again by itself; see the server's log.")


if __name__ == "__main__":
    main()

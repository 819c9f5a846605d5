"""Send files to the object store. Imports minio.

A large file goes in parts, several at a time, and is there when the last call says so, not before. minio's own
`fput_object` does the same, but neither digests what it reads nor takes its parts back when it is interrupted.
"""

import hashlib
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from minio import Minio
from minio.error import MinioException, S3Error

from embedtune.progress import Advance
from embedtune.storage.digests import changed
from embedtune.storage.errors import UnreachableError
from embedtune.storage.locations import ObjectStore
from embedtune.storage.store import ABANDONED_S
from embedtune.storage.web.http import TransferError

PART_BYTES = 8 << 20
"""Size of the parts of a large file; a smaller one goes in one piece."""

DIGEST_HEADER = "x-amz-meta-sha256"
"""Header of an object's metadata with the SHA-256 of its content."""

_MOST_PARTS = 10_000


@dataclass(frozen=True)
class Destination:
    """The object that a file becomes."""

    client: Minio
    store: ObjectStore
    bucket: str
    key: str

    @property
    def uri(self) -> str:
        """Its address."""
        return f"{self.store}://{self.bucket}/{self.key}"

    def recorded_digest(self) -> tuple[int, str]:
        """Return the size in bytes and the SHA-256 in the metadata of what is there; '' if there is none."""
        found = self.client.stat_object(self.bucket, self.key)
        return found.size or 0, str((found.metadata or {}).get(DIGEST_HEADER, ""))


class _StoppedError(Exception):
    """The upload was interrupted; minio takes back the parts of one that fails, but of none that is interrupted."""


class _Content:
    """A file that is read once, from its beginning to its end, and digested; minio reads it through `read`."""

    def __init__(self, file: BinaryIO, source: Path, expected: str, advance: Advance) -> None:
        self.size = os.fstat(file.fileno()).st_size
        self.digest = hashlib.sha256()
        self._file = file
        self._source = source
        self._expected = expected
        self._advance = advance
        self._left = self.size
        self._is_stopped = False

    def read(self, size: int) -> bytes:
        """Return the next bytes; with the last ones it is checked that they are what they should be."""
        if self._is_stopped:
            raise _StoppedError
        content = self._file.read(min(size, self._left))
        self.digest.update(content)
        self._left -= len(content)
        if self._left == 0 or not content:
            is_whole = self._left == 0 and not self._file.read(1)
            if not is_whole or self._expected not in ("", self.digest.hexdigest()):
                raise changed(self._source)
        self._advance(len(content))
        return content

    def stop(self) -> None:
        """Let the next read fail."""
        self._is_stopped = True


def send_file(destination: Destination, source: Path, sha256: str, advance: Advance) -> str:
    """Store a file, whole or not at all, and return its SHA-256, computed as it was read and compared with that given.

    At most five parts of PART_BYTES are in memory; parts are larger from 80 GB on, as no object has more than 10,000.
    The errors of minio and urllib3 are raised as they are.
    """
    with source.open("rb") as file:
        content = _Content(file, source, sha256, advance)
        if content.size > PART_BYTES:
            _abort_abandoned(destination)
            _interruptibly(content, lambda: _put(destination, content, sha256))
        else:
            if not content.size:
                content.read(0)  # which minio does not call for an empty file
            _put(destination, content, sha256)
    return content.digest.hexdigest()


def _put(destination: Destination, content: _Content, sha256: str) -> None:
    """Send a content.

    Of one in parts that fails, minio reads the file to its end before it says so, takes the parts back, but not those
    that are still on their way (`_abort_abandoned` does), and leaves three threads that idle.
    """
    part_bytes = max(PART_BYTES, -(-content.size // _MOST_PARTS))
    try:
        done = destination.client.put_object(
            destination.bucket,
            destination.key,
            cast(BinaryIO, content),
            content.size,
            metadata={"sha256": sha256} if sha256 else None,
            part_size=part_bytes,
        )
    except S3Error as error:
        # A repeated request finds no upload any more if the first one, whose answer was lost, completed it.
        if error.code == "NoSuchUpload" and sha256 and destination.recorded_digest() == (content.size, sha256):
            return
        raise
    # The store may fail after it began to answer with status 200; then its answer names no etag. Its parts are taken
    # back with those that were abandoned.
    if not done.etag:
        raise UnreachableError(f"{destination.uri}: the object store failed to put the parts together. Start again.")


def _interruptibly(content: _Content, put: Callable[[], None]) -> None:
    """Do it in a thread, where no interruption goes; after one the next read fails, and minio takes the parts back."""
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(put)
        try:
            future.result()
        except BaseException:
            content.stop()
            raise


def _abort_abandoned(destination: Destination) -> None:
    """Take back the parts of those who were killed, or whose store went away, while they wrote this object.

    minio has no public call for that.
    """
    client, bucket, key = destination.client, destination.bucket, destination.key
    # Not every user may list them, and not every store can.
    with suppress(S3Error):
        for other in client._list_multipart_uploads(bucket, prefix=key).uploads:
            age = time.time() - other.initiated_time.timestamp() if other.initiated_time else 0.0
            if other.object_name == key and other.upload_id and age > ABANDONED_S:
                with suppress(TransferError, MinioException):
                    client._abort_multipart_upload(bucket, key, other.upload_id)

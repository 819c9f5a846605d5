"""Send files to the object store. Imports minio, so import this module where it is used.

A large file goes in parts, several at a time, and is there when the last call says so, not before. minio's own
`fput_object` does the same, but neither digests what it reads nor takes its parts back when it is interrupted.
"""

import hashlib
import io
import os
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from minio import Minio
from minio.datatypes import Part
from minio.error import MinioException, S3Error
from urllib3.exceptions import HTTPError

from embedtune.progress import Advance
from embedtune.storage.digests import Digest, check_digest
from embedtune.storage.errors import UnreachableError
from embedtune.storage.locations import ObjectStore

PART_BYTES = 8 << 20
"""Size of the parts of a large file; a smaller one goes in one piece."""

DIGEST_HEADER = "x-amz-meta-sha256"
"""Header of an object's metadata with the SHA-256 of its content."""

ABANDONED_S = 24 * 3600.0
"""Age in seconds from which on an upload without an end is taken for a dead one."""

_MOST_PARTS = 10_000
_PARALLEL_PARTS = 3
_ABORT_ATTEMPTS = 2

Headers = dict[str, str | list[str] | tuple[str]]
"""Headers of a request, as minio takes them."""


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


def send_file(destination: Destination, source: Path, sha256: str, advance: Advance) -> str:
    """Store a file, whole or not at all.

    At most six parts of PART_BYTES are in memory; parts are larger from 80 GB on, as no object has more than 10,000.

    Args:
        destination: Object to write or replace.
        source: The file.
        sha256: What its content must have, written into the metadata; '' if that is not known.
        advance: Told the number of bytes stored.

    Returns:
        The SHA-256 of what was stored, computed while it was read.

    Raises:
        StorageError: the content has another SHA-256, so nothing was stored.
        OSError: the file cannot be read.
        MinioException: the store refuses.
        HTTPError: the store does not answer.
    """
    digest = hashlib.sha256()
    with source.open("rb") as file:
        part_bytes = max(PART_BYTES, -(-os.fstat(file.fileno()).st_size // _MOST_PARTS))
        first = _read(file, part_bytes, digest)
        second = _read(file, part_bytes, digest)
        if second:
            _send_parts(destination, _Content(source, file, (first, second), part_bytes, digest, sha256), advance)
        else:
            check_digest(source, sha256, digest.hexdigest())
            metadata: Headers = {"sha256": sha256} if sha256 else {}
            client, size = destination.client, len(first)
            client.put_object(destination.bucket, destination.key, io.BytesIO(first), size, metadata=metadata)
            advance(size)
    return digest.hexdigest()


@dataclass(frozen=True)
class _Content:
    """A large file that is being read."""

    source: Path
    file: BinaryIO
    begun: tuple[bytes, ...]
    """Its first parts, which were read already."""
    part_bytes: int
    digest: Digest
    """Of all that was read."""
    expected: str

    def parts(self) -> Iterator[bytes]:
        """Give all parts."""
        yield from self.begun
        while part := _read(self.file, self.part_bytes, self.digest):
            yield part


def _send_parts(destination: Destination, content: _Content, advance: Advance) -> None:
    client, bucket, key = destination.client, destination.bucket, destination.key
    headers: Headers = {DIGEST_HEADER: content.expected} if content.expected else {}
    _abort_abandoned(destination)
    upload = client._create_multipart_upload(bucket, key, headers)
    try:
        parts = _upload_parts(destination, upload, content, advance)
        check_digest(content.source, content.expected, content.digest.hexdigest())
        _complete(destination, upload, content, parts)
    except BaseException:
        _abort(destination, upload)
        raise


def _upload_parts(destination: Destination, upload: str, content: _Content, advance: Advance) -> list[Part]:
    def send(number: int, part: bytes) -> Part:
        etag = destination.client._upload_part(destination.bucket, destination.key, part, None, upload, number)
        advance(len(part))
        return Part(number, etag)

    parts: list[Part] = []
    under_way: deque[Future[Part]] = deque()
    with ThreadPoolExecutor(_PARALLEL_PARTS) as pool:
        try:
            for number, part in enumerate(content.parts(), start=1):
                if len(under_way) == _PARALLEL_PARTS:
                    parts.append(under_way.popleft().result())
                under_way.append(pool.submit(send, number, part))
            parts.extend(future.result() for future in under_way)
        finally:
            pool.shutdown(cancel_futures=True)
    return parts


def _complete(destination: Destination, upload: str, content: _Content, parts: list[Part]) -> None:
    client, bucket, key = destination.client, destination.bucket, destination.key
    try:
        done = client._complete_multipart_upload(bucket, key, upload, parts)
    except S3Error as error:
        # A repeated request finds no upload any more if the first one, whose answer was lost, completed it.
        expected = (os.fstat(content.file.fileno()).st_size, content.expected)
        if error.code == "NoSuchUpload" and content.expected and destination.recorded_digest() == expected:
            return
        raise
    # The store may fail after it began to answer with status 200; then its answer names no etag.
    if not done.etag:
        raise UnreachableError(f"{destination.uri}: the object store failed to put the parts together. Start again.")


def _abort(destination: Destination, upload: str) -> None:
    """Take the parts back; a store that is gone keeps them, and the error that led here says that it is."""
    for _ in range(_ABORT_ATTEMPTS):
        with suppress(HTTPError, MinioException):
            destination.client._abort_multipart_upload(destination.bucket, destination.key, upload)
            return


def _abort_abandoned(destination: Destination) -> None:
    """Take back the parts of those who were killed, or whose store went away, while they wrote this object."""
    # Not every user may list them, and not every store can.
    with suppress(S3Error):
        found = destination.client._list_multipart_uploads(destination.bucket, prefix=destination.key)
        for other in found.uploads:
            age = time.time() - other.initiated_time.timestamp() if other.initiated_time else 0.0
            if other.object_name == destination.key and other.upload_id and age > ABANDONED_S:
                _abort(destination, other.upload_id)


def _read(file: BinaryIO, size: int, digest: Digest) -> bytes:
    content = file.read(size)
    digest.update(content)
    return content

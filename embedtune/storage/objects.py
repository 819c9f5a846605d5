"""Objects and prefixes of the object store. Imports minio, so import this module where it is used."""

import contextlib
import io
from pathlib import Path

from minio.deleteobjects import DeleteObject
from urllib3 import BaseHTTPResponse

from embedtune.errors import StorageError
from embedtune.progress import Advance
from embedtune.storage.client import MissingObjectError, store_client, store_errors
from embedtune.storage.locations import Location
from embedtune.storage.transfer import receive


def stat_object(location: Location) -> tuple[str, int]:
    """Return an object's etag and its size in bytes.

    Raises:
        StorageError: it is missing, access is denied, or the store does not answer.
    """
    with store_errors(location.uri):
        found = store_client().stat_object(location.bucket, location.key)
    if not found.etag or found.size is None:
        raise StorageError(f"{location.uri}: the store names no etag and size, so its content cannot be told apart.")
    return found.etag, found.size


def fetch_object(location: Location, etag: str, size: int, target: Path, advance: Advance) -> None:
    """Download an object if it still has this etag.

    Raises:
        StorageError: it changed or is missing, access is denied, the store does not answer, or the disk is full.
    """
    client = store_client()

    def request(offset: int) -> BaseHTTPResponse:
        return client.get_object(
            location.bucket, location.key, offset=offset, request_headers={"If-Match": f'"{etag}"'}
        )

    with store_errors(location.uri):
        received = receive(request, target, location.uri, advance)
    if received != size:
        raise StorageError(f"{location.uri} was cut short: {received} of {size} bytes came. Start again.")


class ObjectPrefix:
    """The objects below one prefix, as a store of named files; see `stores.Store`."""

    def __init__(self, location: Location) -> None:
        """Set up the client; nothing is asked yet.

        Raises:
            StorageError: the environment does not describe an object store.
        """
        self._client = store_client()
        self._bucket = location.bucket
        self._prefix = f"{location.key}/" if location.key else ""

    def put_file(self, name: str, source: Path) -> None:
        """Store a file."""
        with store_errors(self._uri(name)):
            self._client.fput_object(self._bucket, self._prefix + name, str(source))

    def put_bytes(self, name: str, content: bytes) -> None:
        """Store a small content."""
        with store_errors(self._uri(name)):
            self._client.put_object(self._bucket, self._prefix + name, io.BytesIO(content), len(content))

    def get_file(self, name: str, target: Path, advance: Advance) -> bool:
        """Fetch a file; False if there is none of that name."""

        def request(offset: int) -> BaseHTTPResponse:
            return self._client.get_object(self._bucket, self._prefix + name, offset=offset)

        try:
            with store_errors(self._uri(name)):
                receive(request, target, self._uri(name), advance)
        except MissingObjectError:
            return False
        return True

    def get_bytes(self, name: str) -> bytes | None:
        """Fetch a small content; None if there is none of that name."""
        try:
            with (
                store_errors(self._uri(name)),
                contextlib.closing(self._client.get_object(self._bucket, self._prefix + name)) as response,
            ):
                return response.read()
        except MissingObjectError:
            return None

    def names(self) -> list[str]:
        """Return the names of all files, sorted; none where the bucket does not exist."""
        try:
            with store_errors(self._uri("")):
                found = self._client.list_objects(self._bucket, prefix=self._prefix, recursive=True)
                return sorted(str(entry.object_name).removeprefix(self._prefix) for entry in found)
        except MissingObjectError:
            return []

    def remove(self, names: list[str]) -> None:
        """Remove files, those that are gone already included."""
        with store_errors(self._uri("")):
            doomed = [DeleteObject(self._prefix + name) for name in names]
            for error in self._client.remove_objects(self._bucket, doomed):
                raise StorageError(
                    f"{self._uri(error.name or '')} cannot be removed: {error.message} ({error.code}). Check that the "
                    "credentials in the environment may delete there."
                )

    def _uri(self, name: str) -> str:
        return f"s3://{self._bucket}/{self._prefix}{name}"

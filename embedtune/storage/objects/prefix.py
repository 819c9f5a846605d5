"""Objects and prefixes of the object store. Imports minio."""

import contextlib
import hashlib
import io
import time
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from minio.commonconfig import REPLACE, CopySource
from minio.deleteobjects import DeleteObject
from minio.error import S3Error

from embedtune.errors import StorageError
from embedtune.progress import Advance, silent
from embedtune.storage.digests import SMALL_BYTES, Digest, check_small, feed_file
from embedtune.storage.errors import DamagedError, MissingObjectError, UnreachableError, reading
from embedtune.storage.listing import Listing, SourceFile, is_data, matches, sorted_files
from embedtune.storage.locations import Location, ObjectStore
from embedtune.storage.objects.client import store_client, store_errors
from embedtune.storage.objects.uploads import Destination, send_file
from embedtune.storage.ownership import run_folders
from embedtune.storage.store import StoredFile
from embedtune.storage.web.http import HostMemory, Response, SlowError, content_pool, read_body, read_whole, receive


def stat_object(location: Location) -> tuple[str, int]:
    """Return an object's etag and its size in bytes; StorageError if it is missing, refused or out of reach."""
    with store_errors(location.uri):
        found = store_client(location.store).stat_object(location.bucket, location.key)
    if not found.etag or found.size is None:
        raise StorageError(f"{location.uri}: the store names no etag and size, so its content cannot be told apart.")
    return found.etag, found.size


def fetch_object(location: Location, etag: str, size: int, target: Path, advance: Advance) -> None:
    """Download an object if it still has this etag; errors as of `opening.local_copy`."""
    client = store_client(location.store)

    def request(offset: int) -> Response:
        return client.get_object(
            location.bucket, location.key, offset=offset, request_headers={"If-Match": f'"{etag}"'}
        )

    with store_errors(location.uri):
        received = receive(request, target, location.uri, advance)
    if received != size:
        raise StorageError(f"{location.uri} was cut short: {received} of {size} bytes came. Start again.")


def list_objects(location: Location) -> Listing:
    """Find the object, or those below the prefix or that the pattern matches; errors as of `opening.list_files`."""
    if not location.key and not location.is_folder:
        raise StorageError(
            f"{location.uri} is a bucket, not an object. Write {location.bucket_uri}/key, or "
            f"{location.bucket_uri}/ for all of it."
        )
    missing = None
    if not location.is_folder:
        try:
            etag, size = stat_object(location)
        except MissingObjectError as error:
            missing = error
        else:
            file = SourceFile(location.key.rpartition("/")[2], location.uri, size, etag)
            return Listing(location.uri, Path(), (file,), is_folder=False)
    outputs: set[str] = set()
    found = list(_below(location, outputs))
    if missing is not None and not found and location.pattern_start is None:
        raise missing
    return Listing(location.uri, Path(), sorted_files(location.uri, found), True, tuple(sorted(outputs)))


def _below(location: Location, outputs: set[str]) -> Iterator[SourceFile]:
    """Yield what is data, and add the output folders of runs, which are passed over, to `outputs`."""
    parts, start = location.key.split("/"), location.pattern_start
    folder, pattern = (location.key, "") if start is None else ("/".join(parts[:start]), "/".join(parts[start:]))
    prefix = f"{folder}/" if folder else ""
    with store_errors(location.uri):
        listed = list(store_client(location.store).list_objects(location.bucket, prefix=prefix, recursive=True))
    objects = {str(found.object_name).removeprefix(prefix): found for found in listed}
    runs = run_folders(objects)
    for name, found in objects.items():
        if not name or name.endswith("/") or not is_data(name) or (pattern and not matches(name, pattern)):
            continue
        within = runs.intersection(map(str, PurePosixPath(name).parents))
        if within:
            outputs |= within
            continue
        if not found.etag or found.size is None:
            raise StorageError(f"{location.bucket_uri}/{prefix}{name}: the store names no etag and size.")
        yield SourceFile(name, f"{location.bucket_uri}/{prefix}{name}", found.size, found.etag)


class ObjectContents:
    """Small objects of one store; see `opening.Contents`."""

    def __init__(self, store: ObjectStore, timeout_s: float) -> None:
        """Set up the client; see `opening.open_contents`."""
        self._client = store_client(store, content_pool(timeout_s / 2))
        self._name = f"the object store of {store}:// addresses"
        self._memory = HostMemory()
        self._timeout_s = timeout_s

    def read(self, location: Location, uri: str, max_bytes: int) -> bytes:
        """Return one content."""
        self._memory.check(self._name)
        deadline = time.monotonic() + self._timeout_s
        try:
            with store_errors(uri):
                response = self._client.get_object(location.bucket, location.key)
                content = read_body(response, uri, max_bytes, deadline)
        except UnreachableError as error:
            self._memory.failed(self._name, "it did not answer in time", connected=isinstance(error, SlowError))
            raise
        self._memory.answered(self._name)
        return content


class ObjectPrefix:
    """The objects below one prefix, as a store of named files; see `store.Store`."""

    def __init__(self, location: Location) -> None:
        """Set up the client, nothing is asked yet; errors as of `opening.open_store`."""
        self._client = store_client(location.store)
        self._store = location.store
        self._bucket = location.bucket
        self._prefix = f"{location.key}/" if location.key else ""

    def put_file(self, name: str, source: Path, sha256: str = "", advance: Advance = silent) -> str:
        """Store a file; its SHA-256 comes back."""
        with reading(source), store_errors(self._uri(name)):
            return send_file(self._destination(name), source, sha256, advance)

    def put_bytes(self, name: str, content: bytes) -> None:
        """Store a small content."""
        with store_errors(self._uri(name)):
            self._client.put_object(self._bucket, self._prefix + name, io.BytesIO(content), len(content))

    def get_file(self, name: str, target: Path, sha256: str = "", advance: Advance = silent) -> bool:
        """Fetch a file; False if there is none of that name."""
        if sha256 and target.is_file() and target.stat().st_size:
            # What came earlier may turn out not to be its beginning.
            with contextlib.suppress(DamagedError):
                return self._get(name, target, sha256, advance, resume=True)
        return self._get(name, target, sha256, advance, resume=False)

    def _get(self, name: str, target: Path, sha256: str, advance: Advance, resume: bool) -> bool:
        digest = hashlib.sha256()
        try:
            if resume:
                with reading(target, "Remove it and start again."):
                    feed_file(digest, target, advance)
            self._receive(name, target, digest, resume, advance)
        except MissingObjectError:
            return False
        if sha256 not in ("", digest.hexdigest()):
            target.unlink()
            raise DamagedError(
                f"{self._uri(name)} is damaged: its content has not the SHA-256 {sha256}. Store it again."
            )
        return True

    def _receive(self, name: str, target: Path, digest: Digest, resume: bool, advance: Advance) -> None:
        uri, etag = self._uri(name), ""

        def request(offset: int) -> Response:
            nonlocal etag
            # The rest must be of the same object as what came before.
            response = self._client.get_object(
                self._bucket, self._prefix + name, offset, request_headers={"If-Match": etag} if etag else None
            )
            etag = response.headers.get("ETag", "")
            return response

        try:
            with store_errors(uri):
                receive(request, target, uri, advance, digest, resume)
        except StorageError as error:
            if resume and _code(error) == "InvalidRange":
                raise DamagedError(f"{target} is no beginning of {uri}: it is as long or longer.") from error
            raise

    def get_bytes(self, name: str) -> bytes | None:
        """Fetch a small content; None if there is none of that name."""
        try:
            with store_errors(self._uri(name)):
                content = read_whole(lambda: self._client.get_object(self._bucket, self._prefix + name), SMALL_BYTES)
        except MissingObjectError:
            return None
        return check_small(content, self._uri(name))

    def copy_file(self, name: str, target: str, sha256: str) -> None:
        """Copy a file within the store, which does it itself, whatever its size.

        Args:
            name: Which.
            target: Name of the copy.
            sha256: What its content has, remembered for `holds`: what is put together of parts takes no metadata over.

        Raises:
            MissingObjectError: there is none of that name.
        """
        origin = CopySource(self._bucket, self._prefix + name)
        with store_errors(self._uri(name)):
            self._client.copy_object(
                self._bucket,
                self._prefix + target,
                origin,
                metadata={"sha256": sha256},
                metadata_directive=REPLACE,
            )

    def holds(self, name: str, size: int, sha256: str) -> bool:
        """Tell whether a file with that content was stored under that name."""
        try:
            with store_errors(self._uri(name)):
                return self._destination(name).recorded_digest() == (size, sha256)
        except MissingObjectError:
            return False

    def entries(self, prefix: str = "") -> list[StoredFile]:
        """Return all files whose names begin so, sorted by name; none where the bucket does not exist."""
        try:
            with store_errors(self._uri(prefix)):
                found = self._client.list_objects(self._bucket, prefix=self._prefix + prefix, recursive=True)
                return sorted(
                    StoredFile(
                        str(entry.object_name).removeprefix(self._prefix),
                        entry.size or 0,
                        entry.last_modified.timestamp() if entry.last_modified else 0.0,
                    )
                    for entry in found
                )
        except MissingObjectError:
            return []

    def names(self, prefix: str = "") -> list[str]:
        """Return the names of all files that begin so, sorted; none where the bucket does not exist."""
        return [entry.name for entry in self.entries(prefix)]

    def children(self) -> list[str]:
        """Return the names of the folders directly below."""
        try:
            with store_errors(self._uri("")):
                found = self._client.list_objects(self._bucket, prefix=self._prefix)
                names = (str(entry.object_name).removeprefix(self._prefix) for entry in found if entry.is_dir)
                return sorted(name.rstrip("/") for name in names)
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

    def _destination(self, name: str) -> Destination:
        return Destination(self._client, self._store, self._bucket, self._prefix + name)

    def _uri(self, name: str) -> str:
        return f"{self._store}://{self._bucket}/{self._prefix}{name}"


def _code(error: StorageError) -> str:
    """Return the store's own code of an error; '' if it did not come from there."""
    return str(error.__cause__.code) if isinstance(error.__cause__, S3Error) else ""

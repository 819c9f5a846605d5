"""Read the contents that someone's data names: one image or mesh at a time, within limits of access, size and time."""

import base64
import binascii
import os
import posixpath
import re
import threading
import time
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote_to_bytes, urljoin

from embedtune.errors import StorageError
from embedtune.storage.access import AccessRules
from embedtune.storage.errors import UnreachableError, too_large
from embedtune.storage.local_contents import LocalContents
from embedtune.storage.locations import Location, ObjectStore, Scheme, parse_location
from embedtune.storage.web.hosts import HostMemory
from embedtune.text import excerpt

if TYPE_CHECKING:
    from minio import Minio

    from embedtune.storage.web.client import WebClient

_ABSOLUTE = re.compile(r"data:|[A-Za-z][A-Za-z0-9+.-]*://", re.IGNORECASE)
_DATA = re.compile(r"data:", re.IGNORECASE)
_WEB = re.compile(r"https?://", re.IGNORECASE)
_QUERY = re.compile(r"[?#].*", re.DOTALL)


def resolve_content(cell: str, origin: str) -> str:
    """Return the address of a content as a source's data names it.

    Args:
        cell: An address, which is returned as it is, or a path relative to the source's folder or prefix.
        origin: Address of the file that holds the cell, or of a folder; a remote folder ends with a slash.

    Raises:
        StorageError: `origin` is not an address.
    """
    if _ABSOLUTE.match(cell) or cell.startswith("/"):
        return cell
    scheme, base = _base(origin)
    if scheme is Scheme.HTTP:
        return urljoin(base, quote(cell, safe="/%?=&+,;:@!$'()*~"))
    if scheme is Scheme.S3:
        store, _, place = base.partition("://")
        bucket, _, prefix = place.partition("/")
        return f"{store}://{bucket}/{posixpath.normpath(posixpath.join(prefix, cell))}"
    return os.path.join(base, cell)


@lru_cache(maxsize=64)
def _base(origin: str) -> tuple[Scheme, str]:
    """Return how a source is reached, and the folder that its relative paths start from."""
    location = parse_location(origin)
    if location.scheme is Scheme.FILE:
        is_folder = location.is_folder or location.path.is_dir()
        return location.scheme, str(location.path if is_folder else location.path.parent)
    if location.scheme is Scheme.S3:
        prefix = location.key if location.is_folder else location.key.rpartition("/")[0]
        return location.scheme, f"{location.bucket_uri}/{prefix}"
    return location.scheme, origin


class ContentReader:
    """Reads contents; may be used by many threads at once.

    A server that cannot be reached is not tried again, so that ten thousand addresses on it fail at once.
    """

    def __init__(self, rules: AccessRules, timeout_s: float = 20.0) -> None:
        """Set the limits; nothing is opened yet.

        Args:
            rules: What may be opened.
            timeout_s: Seconds after which a content that is still on its way is given up. Half of it is for the head
                of an answer, which is asked for twice.
        """
        self._rules = rules
        self._timeout_s = timeout_s
        self._files = LocalContents(rules)
        self._memory = HostMemory()
        self._lock = threading.Lock()
        self._web: WebClient | None = None
        self._stores: dict[ObjectStore, Minio] = {}

    def read(self, uri: str, max_bytes: int) -> bytes:
        """Return one content.

        Args:
            uri: What `resolve_content` gives: a path, `file://`, `s3://`, `minio://`, `http(s)://` with a query or
                without, or `data:`.
            max_bytes: Largest accepted size.

        Raises:
            ForbiddenError: the rules do not allow it.
            UnreachableError: its server does not answer, is out of order, breaks off or is too slow.
            StorageError: it is missing, refused or too large.
        """
        if _DATA.match(uri):
            return _decode(uri, max_bytes)
        if not _ABSOLUTE.match(uri) and "\0" not in uri and uri.strip():
            return self._files.read(uri, uri, max_bytes)
        # Of the web's addresses only the part before the query goes into messages.
        location = parse_location(_QUERY.sub("", uri) if _WEB.match(uri) else uri)
        if location.scheme is Scheme.FILE:
            return self._files.read(str(location.path), location.uri, max_bytes)
        self._rules.check(location)
        if location.scheme is Scheme.HTTP:
            return self._read_page(uri.partition("#")[0], location, max_bytes)
        return self._read_object(location, max_bytes)

    def _read_page(self, uri: str, location: Location, max_bytes: int) -> bytes:
        # urllib3 and minio take a while to import, which local runs need not pay.
        from urllib3.exceptions import HTTPError

        from embedtune.storage.web.bodies import SlowError, read_body

        deadline = time.monotonic() + self._timeout_s
        response, host = self._web_client().request("GET", uri, {})
        if response.status != 200:
            response.close()
            answer = f"the server answers {response.status} {response.reason}"
            if response.status >= 500:
                self._memory.failed(host, answer, connected=True)
                raise UnreachableError(f"{location.uri}: {answer}.")
            self._memory.answered(host)
            raise StorageError(f"{location.uri}: {answer}.")
        try:
            content = read_body(response, location.uri, max_bytes, deadline)
        except (HTTPError, SlowError) as error:
            self._memory.failed(host, str(error), connected=True)
            raise UnreachableError(f"{location.uri} could not be read to its end: {error}") from error
        self._memory.answered(host)
        return content

    def _read_object(self, location: Location, max_bytes: int) -> bytes:
        from embedtune.storage.objects.client import store_errors
        from embedtune.storage.web.bodies import SlowError, read_body

        store = f"the object store of {location.store}:// addresses"
        self._memory.check(store)
        deadline = time.monotonic() + self._timeout_s
        try:
            with store_errors(location.uri):
                response = self._store_client(location.store).get_object(location.bucket, location.key)
                content = read_body(response, location.uri, max_bytes, deadline)
        except UnreachableError as error:
            self._memory.failed(store, "it did not answer in time", connected=isinstance(error, SlowError))
            raise
        self._memory.answered(store)
        return content

    def _web_client(self) -> "WebClient":
        from embedtune.storage.web.client import WebClient, content_pool

        with self._lock:
            if self._web is None:
                self._web = WebClient(self._rules.hosts, content_pool(self._timeout_s / 2), self._memory)
            return self._web

    def _store_client(self, store: ObjectStore) -> "Minio":
        from embedtune.storage.objects.client import store_client
        from embedtune.storage.web.client import content_pool

        with self._lock:
            if store not in self._stores:
                self._stores[store] = store_client(store, pool=content_pool(self._timeout_s / 2))
            return self._stores[store]


def _decode(uri: str, max_bytes: int) -> bytes:
    """Return the content of a `data:` address (RFC 2397)."""
    head, comma, text = uri.partition(",")
    what = excerpt(head)
    if not comma:
        raise StorageError(f"{what} is no data address. Write data:image/png;base64,... with the content.")
    # Four characters hold three bytes, and percent-encoding takes three characters for one.
    if len(text) > 4 * max_bytes + 4:
        raise too_large(what, max_bytes)
    content = unquote_to_bytes(text)
    if head.lower().endswith(";base64"):
        try:
            content = base64.b64decode(content, validate=True)
        except binascii.Error as error:
            raise StorageError(f"{what} does not hold valid base64: {error}.") from error
    if len(content) > max_bytes:
        raise too_large(what, max_bytes)
    return content

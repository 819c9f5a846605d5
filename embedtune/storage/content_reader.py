"""Read the contents that someone's data names: one image or mesh at a time, within limits of access, size and time."""

import base64
import binascii
import errno
import os
import posixpath
import re
import stat
import threading
import unicodedata
from functools import lru_cache
from itertools import islice
from urllib.parse import quote, unquote, unquote_to_bytes, urljoin

from embedtune.errors import StorageError, reason
from embedtune.storage.access import AccessRules
from embedtune.storage.errors import too_large
from embedtune.storage.locations import Location, ObjectStore, Scheme, parse_location
from embedtune.storage.opening import Contents, open_contents
from embedtune.text import excerpt

_ABSOLUTE = re.compile(r"data:|[A-Za-z][A-Za-z0-9+.-]*://", re.IGNORECASE)
_DATA = re.compile(r"data:", re.IGNORECASE)
_WEB = re.compile(r"https?://", re.IGNORECASE)
_QUERY = re.compile(r"[?#].*", re.DOTALL)
# Without O_NONBLOCK, opening a pipe would wait for its writer.
_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
_UNNAMED = ("", ".", "..")
_MOST_LISTED = 100_000
"""Entries of a folder that are looked at for a file whose name is only spelt otherwise."""


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
            timeout_s: Seconds after which the body of a content that is still on its way is given up. A server that
                sends nothing for half of it is asked once more. Its head may take longer, as long as something comes.
        """
        self._rules = rules
        self._timeout_s = timeout_s
        self._files = _LocalFiles(rules)
        self._lock = threading.Lock()
        self._remote: dict[tuple[Scheme, ObjectStore], Contents] = {}

    def read(self, uri: str, max_bytes: int) -> bytes:
        """Return one content.

        Args:
            uri: What `resolve_content` gives: a path, `file://`, `s3://`, `minio://`, `http(s)://` with a query or
                without, or `data:`.
            max_bytes: Largest accepted size.

        Raises:
            ForbiddenError: the rules do not allow it.
            UnreachableError: its server does not answer, is out of order, breaks off, or sends its body too slowly.
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
        return self._contents(location).read(location, uri.partition("#")[0] if _WEB.match(uri) else uri, max_bytes)

    def _contents(self, location: Location) -> Contents:
        with self._lock:
            key = (location.scheme, location.store)
            if key not in self._remote:
                self._remote[key] = open_contents(location, self._rules.hosts, self._timeout_s)
            return self._remote[key]


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


class _LocalFiles:
    """Reads local files below the folders that the rules allow, with few calls of the system, for there are many."""

    def __init__(self, rules: AccessRules) -> None:
        self._rules = rules
        self._real_folders: dict[str, str] = {}
        self._listed: dict[str, dict[str, str]] = {}

    def read(self, path: str, uri: str, max_bytes: int) -> bytes:
        """Return the content of one file, called `uri` in messages; errors as of `ContentReader.read`."""
        try:
            descriptor = self._open(path, uri)
            try:
                return _read(descriptor, uri, max_bytes)
            finally:
                os.close(descriptor)
        except FileNotFoundError as error:
            raise StorageError(f"{uri} does not exist{self._hint(path)}.") from error
        except IsADirectoryError as error:
            raise StorageError(f"{uri} is not a file.") from error
        except OSError as error:
            raise StorageError(f"{uri} cannot be read: {reason(error)}.") from error

    def _open(self, path: str, uri: str) -> int:
        """Open a file. The links of its folder are followed once, and the file itself must not be one then."""
        folder, name = os.path.split(path)
        real = None if name in _UNNAMED else self._permitted_folder(folder)
        if real is not None:
            try:
                return os.open(os.path.join(real, name), _FLAGS)
            except OSError as error:
                if error.errno != errno.ELOOP:
                    raise
        return os.open(self._rules.permitted_path(path, uri), _FLAGS)

    def _permitted_folder(self, folder: str) -> str | None:
        """Return a folder with its links followed, or None where only the file itself can tell whether it may be read.

        What is in a permitted folder is permitted.
        """
        real = self._real_folders.get(folder)
        if real is None:
            real = os.path.realpath(folder)
            if not self._rules.permits(os.path.join(real, "")):
                return None
            self._real_folders[folder] = real
        return real

    def _hint(self, path: str) -> str:
        """Return how the spelling of a missing file differs from that of one that is there, '' where there is none."""
        folder, missing = path, list[str]()
        while folder and not os.path.isdir(folder):
            folder, _, name = folder.rpartition("/")
            missing.insert(0, name)
        if not folder:
            return ""
        found = []
        for name in re.split(r"[\\/]", unquote("/".join(missing))):
            entry = self._entries(folder).get(_folded(name))
            if entry is None:
                return ""
            found.append(entry)
            folder = os.path.join(folder, entry)
        asked, there = "/".join(missing), "/".join(found)
        plain = unquote(asked).replace("\\", "/")
        differences = {
            "'/' instead of '\\'": "\\" in asked,
            "the signs that %20 and the like stand for": unquote(asked) != asked,
            "other upper and lower case": plain != there and plain.casefold() == there.casefold(),
            "another Unicode form or other white space": plain.casefold() != there.casefold(),
        }
        return f", but a file does whose name has {' and '.join(name for name, told in differences.items() if told)}"

    def _entries(self, folder: str) -> dict[str, str]:
        """Return the entries of a folder that may be read, by their names without what spellings differ in."""
        real = os.path.realpath(folder)
        if real not in self._listed and self._rules.permits(os.path.join(real, "")):
            try:
                with os.scandir(real) as entries:
                    self._listed[real] = {_folded(entry.name): entry.name for entry in islice(entries, _MOST_LISTED)}
            except OSError:
                self._listed[real] = {}
        return self._listed.get(real, {})


def _folded(name: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", unquote(name)).casefold().split())


def _read(descriptor: int, uri: str, max_bytes: int) -> bytes:
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        raise StorageError(f"{uri} is not a file.")
    if found.st_size > max_bytes:
        raise too_large(uri, max_bytes)
    content = os.read(descriptor, found.st_size + 1)
    while 0 < len(content) < found.st_size and (more := os.read(descriptor, found.st_size + 1 - len(content))):
        content += more
    if len(content) != found.st_size:
        raise StorageError(f"{uri} changes while it is read, or is a special file of the system.")
    return content

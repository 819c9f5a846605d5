"""What a URI points at."""

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from urllib.parse import unquote, urlsplit

from embedtune.errors import StorageError

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_DATASET = re.compile(r"(?:[\w.-]+/)?[\w.-]+(?:@[\w.-]+)?")
_PATTERN = re.compile(r"[*?\[]")
_ACCEPTED = (
    "Accepted: a path, file:///path, s3://bucket/key, minio://bucket/key, http(s)://host/path, dataset://user/name"
)


class Scheme(StrEnum):
    """How a location is reached."""

    FILE = "file"
    S3 = "s3"
    HTTP = "http"
    DATASET = "dataset"


class ObjectStore(StrEnum):
    """Whose object store an address means; the value is its scheme."""

    MINIO = "minio"
    """The platform's own."""
    S3 = "s3"
    """The user's."""


@dataclass(frozen=True)
class Location:
    """A parsed URI; the fields that do not belong to its scheme are empty."""

    scheme: Scheme
    uri: str
    """As it was given."""
    path: Path = Path()
    """FILE: the local path."""
    store: ObjectStore = ObjectStore.S3
    """S3: whose store it is."""
    bucket: str = ""
    """S3: the bucket."""
    key: str = ""
    """S3: the object's key, a prefix or a pattern, without slashes around it; may be ''."""
    dataset: str = ""
    """DATASET: `name`, `user/name` or either with `@version`."""

    @property
    def name(self) -> str:
        """The last part of the address, made safe for a file name; 'source' where there is none."""
        return re.sub(r"[^\w.-]", "_", self._last_part())[-80:].lstrip(".") or "source"

    @property
    def title(self) -> str:
        """What a person calls it, without a host or folder: a dataset's name, else the last part of the address."""
        if self.scheme is Scheme.FILE:
            return self.path.name if self.path.name not in ("", "..") else self.path.resolve().name
        return self.dataset or self._last_part() or self.bucket or "data"

    def _last_part(self) -> str:
        address = {
            Scheme.FILE: str(self.path),
            Scheme.S3: self.key,
            Scheme.HTTP: urlsplit(self.uri).path,
            Scheme.DATASET: self.dataset,
        }[self.scheme]
        return unquote(address.rsplit("/", 1)[-1])

    @property
    def bucket_uri(self) -> str:
        """The address of its bucket, without a slash at the end; S3 only."""
        return f"{self.store}://{self.bucket}"

    @property
    def is_folder(self) -> bool:
        """Whether it was written with a slash at its end, so that no file or object is meant."""
        return self.scheme in (Scheme.FILE, Scheme.S3) and self.uri.endswith("/")

    @property
    def pattern_start(self) -> int | None:
        """Which part of the path or key, from 0, is the first with `*`, `?` or `[`; None if no part has."""
        parts = {Scheme.FILE: self.path.parts, Scheme.S3: self.key.split("/")}.get(self.scheme, ())
        return next((index for index, part in enumerate(parts) if _PATTERN.search(part)), None)


def parse_location(uri: str) -> Location:
    """Find out what a URI points at.

    Args:
        uri: A path, `file://`, `s3://bucket/key`, `minio://bucket/key`, `http(s)://` without a query string, or
            `dataset://name`, `dataset://user/name`, each with `@version` or without. A path or key may be a folder, or
            a pattern with `*`, `?` and `[...]`, which match within one part of it.

    Raises:
        StorageError: not one of these, or a URI that carries credentials or could; the message never repeats them.
    """
    if not uri.strip() or "\0" in uri or (uri[:5].lower() == "file:" and "%00" in uri):
        raise StorageError(f"The address {uri!r} is empty or holds a NUL character. {_ACCEPTED}.")
    match = _SCHEME.fullmatch(uri)
    if match is None:
        return Location(Scheme.FILE, uri, path=Path(uri))
    scheme, rest = match[1].lower(), match[2]
    if scheme == "dataset":
        return _dataset(uri, rest)
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if "@" in authority:
        raise StorageError(
            f"The {scheme}:// address carries a user name or password before '@'. Remove it: credentials are read from "
            "the environment only."
        )
    if scheme == "file":
        return _file(uri, authority, rest)
    if scheme in ("s3", "minio"):
        return _object(uri, ObjectStore(scheme), rest)
    if scheme in ("http", "https"):
        return _web(uri)
    raise StorageError(f"The address {uri!r} has the unknown scheme {scheme!r}. {_ACCEPTED}.")


def _file(uri: str, authority: str, rest: str) -> Location:
    if authority not in ("", "localhost") or not rest.removeprefix(authority):
        raise StorageError(f"{uri!r} is not the address of a local file. Write file:///path with three slashes.")
    return Location(Scheme.FILE, uri, path=Path(unquote(rest.removeprefix(authority))))


def _object(uri: str, store: ObjectStore, rest: str) -> Location:
    bucket, _, key = rest.partition("/")
    if not _BUCKET.fullmatch(bucket):
        raise StorageError(
            f"{uri!r}: {bucket!r} is not the name of a bucket, which has 3 to 63 of a-z, 0-9, '.' and '-'. "
            f"Write {store}://bucket/key."
        )
    key = key.strip("/")
    if any(part in ("", ".", "..") for part in key.split("/")) and key:
        raise StorageError(f"{uri!r}: the key has an empty part, '.' or '..'. Write the object's full key.")
    return Location(Scheme.S3, uri, store=store, bucket=bucket, key=key)


def _web(uri: str) -> Location:
    try:
        parts = urlsplit(uri)
        port_is_valid = parts.port is None or parts.port > 0
    except ValueError:
        port_is_valid = False
    if not port_is_valid or not parts.hostname:
        raise StorageError("The http address has no valid host and port. Write https://host/path.")
    if "?" in uri or "#" in uri:
        raise StorageError(
            f"The address on host {parts.hostname} has a query string or fragment, which may hold a signature or token "
            "and would be stored with every run. Copy the file to the object store and give its s3:// address."
        )
    return Location(Scheme.HTTP, uri)


def _dataset(uri: str, rest: str) -> Location:
    if not _DATASET.fullmatch(rest) or any(part in (".", "..") for part in re.split("[/@]", rest)):
        raise StorageError(
            f"{uri!r} is not the name of a data set. Write dataset://user/name or dataset://user/name@version, with "
            "letters, digits, '.', '_' and '-'."
        )
    return Location(Scheme.DATASET, uri, dataset=rest)

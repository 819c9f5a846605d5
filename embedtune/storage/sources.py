"""A source's content as a local file."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from embedtune.errors import StorageError
from embedtune.progress import progress
from embedtune.storage.locations import Location, Scheme, parse_location
from embedtune.storage.versions import local_version, remote_version, stat_remote


@contextmanager
def local_copy(uri: str, version: str) -> Iterator[Path]:
    """Give a local file with exactly this version of a source.

    A local file is given itself; anything else is downloaded to a temporary folder that is removed afterwards.

    Args:
        uri: See `locations.parse_location`.
        version: What `versions.data_version` returned for it, or '' for whatever is there now.

    Yields:
        The path of the file.

    Raises:
        StorageError: it is missing or refused, it changed since, the server is gone, or the disk is full.
    """
    location = parse_location(uri)
    if location.scheme is Scheme.FILE:
        if version or not location.path.is_file():
            _check_version(uri, version, local_version(location.path))
        yield location.path
        return
    try:
        folder = tempfile.TemporaryDirectory(prefix="embedtune-")
    except OSError as error:
        raise StorageError(f"There is no folder for temporary files: {error}. Set TMPDIR to a writable one.") from error
    with folder:
        path = Path(folder.name) / location.name
        _download(location, version, path)
        yield path


def _download(location: Location, version: str, path: Path) -> None:
    etag, size = stat_remote(location)
    _check_version(location.uri, version, remote_version(etag, size))
    with progress(f"Downloading {location.name}", size, "bytes") as advance:
        # minio takes a quarter of a second to import, which local runs need not pay.
        if location.scheme is Scheme.HTTP:
            from embedtune.storage.web import fetch_page

            fetch_page(location, etag, size, path, advance)
        else:
            from embedtune.storage.objects import fetch_object

            fetch_object(location, etag, size, path, advance)


def _check_version(uri: str, expected: str, found: str) -> None:
    if expected not in ("", found):
        raise StorageError(
            f"{uri.partition('?')[0]} changed: version {expected} was asked for, {found} is there. Start a new run "
            "on the new version."
        )

"""Name the present content of a source, so that a run can say what it was made from."""

from pathlib import Path

from embedtune.errors import StorageError
from embedtune.progress import progress
from embedtune.storage.digests import file_sha256
from embedtune.storage.locations import Location, Scheme, parse_location


def data_version(uri: str) -> str:
    """Return the version of the file or object at a URI; it changes whenever the content does.

    Args:
        uri: See `locations.parse_location`.

    Returns:
        `sha256:<hexadecimal>` of a local file, or `etag:<etag>-<size in bytes>` of an object or a web server's file.

    Raises:
        StorageError: it is missing, a folder, refused, or out of reach.
    """
    location = parse_location(uri)
    if location.scheme is Scheme.FILE:
        return local_version(location.path)
    return remote_version(*stat_remote(location))


def local_version(path: Path) -> str:
    """Return the version of a local file.

    Raises:
        StorageError: it is missing, a folder, or unreadable.
    """
    if path.is_dir():
        raise StorageError(f"{path} is a folder. Give the path of one file.")
    try:
        with progress(f"Hashing {path.name}", path.stat().st_size, "bytes") as advance:
            return f"sha256:{file_sha256(path, advance)}"
    except FileNotFoundError as error:
        raise StorageError(f"{path} does not exist. Check the path; in a pod, give an s3:// address.") from error
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error}. Check its permissions.") from error


def remote_version(etag: str, size: int) -> str:
    """Return the version made of an etag and a size in bytes."""
    return f"etag:{etag}-{size}"


def stat_remote(location: Location) -> tuple[str, int]:
    """Return the etag and size in bytes of an object or a web server's file.

    Raises:
        StorageError: it is missing, refused, or out of reach.
    """
    # minio takes a quarter of a second to import, which local runs need not pay.
    if location.scheme is Scheme.HTTP:
        from embedtune.storage.web import stat_page

        return stat_page(location)
    from embedtune.storage.objects import stat_object

    if not location.key:
        raise StorageError(f"{location.uri} is a bucket, not an object. Write s3://bucket/key.")
    return stat_object(location)

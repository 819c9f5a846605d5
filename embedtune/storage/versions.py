"""Name the present content of a source, so that a run can say what it was made from."""

from embedtune.storage.resolving import resolve_source


def data_version(uri: str) -> str:
    """Return the version of what is at a URI; it changes whenever the content does.

    Args:
        uri: See `locations.parse_location`.

    Returns:
        `sha256:<hexadecimal>` of a local file, a folder, prefix or pattern, or `etag:<etag>-<size in bytes>` of an
        object or a web server's file.

    Raises:
        StorageError: it is missing, refused, or out of reach.
    """
    return resolve_source(uri).version

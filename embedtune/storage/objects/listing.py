"""The objects that a location stands for. Imports minio, so import this module where it is used."""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from embedtune.errors import StorageError
from embedtune.storage.errors import MissingObjectError
from embedtune.storage.listing import Entry, Listing, is_data, matches, sorted_entries
from embedtune.storage.locations import Location
from embedtune.storage.objects.client import store_client, store_errors
from embedtune.storage.objects.prefix import stat_object
from embedtune.storage.ownership import run_folders


def list_objects(location: Location) -> Listing:
    """Find the object, or the objects below the prefix, or those that the pattern matches.

    Raises:
        StorageError: there is none, access is denied, or the store does not answer.
    """
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
            entry = Entry(location.key.rpartition("/")[2], location.uri, size, etag)
            return Listing(location.uri, Path(), (entry,), is_folder=False)
    outputs: set[str] = set()
    found = list(_below(location, outputs))
    if missing is not None and not found and location.pattern_start is None:
        raise missing
    return Listing(location.uri, Path(), sorted_entries(location.uri, found), True, tuple(sorted(outputs)))


def _below(location: Location, outputs: set[str]) -> Iterator[Entry]:
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
        yield Entry(name, f"{location.bucket_uri}/{prefix}{name}", found.size, found.etag)

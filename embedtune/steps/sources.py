"""What the data steps share: the address of the data, and the sources at it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from embedtune.records.source_kind import SourceKind, names_kind, table_names
from embedtune.storage.locations import Scheme, parse_location
from embedtune.storage.opening import LocalSource, check_version, local_copy, resolve_source

_DATASET = "dataset:"


@dataclass(frozen=True)
class Source:
    """What one task reads: a file, or files that belong together."""

    uri: str
    version: str
    """Its present content."""


def check_address(uri: str) -> None:
    """Refuse what is no address, before one with a password in it gets into any file of a run.

    Raises:
        StorageError: it is no address, or carries credentials.
    """
    parse_location(uri)


def data_version(uri: str) -> str:
    """Return the version of the data at an address; it changes whenever their content does.

    Returns:
        `dataset:<version>` of a dataset, else see `storage.listing.Listing.version`.

    Raises:
        StorageError: the data are missing, refused, or out of reach.
    """
    return _dataset_version(uri) if _is_dataset(uri) else resolve_source(uri).version


def folder_address(uri: str) -> str:
    """Return where the files of a folder of data are, without a slash at its end.

    Raises:
        ConfigError: the environment names no place for datasets.
        StorageError: it is no address, or there is no such dataset.
    """
    if not _is_dataset(uri):
        return uri.rstrip("/")
    from embedtune.datasets.catalogue import locate

    return locate(uri).uri.rstrip("/")


@contextmanager
def open_source(uri: str, version: str) -> Iterator[LocalSource]:
    """Give local files with exactly this version of the data.

    Args:
        uri: Address of the data.
        version: What `data_version` returned for it, or '' for whatever is there now.

    Raises:
        StorageError: the data are missing or refused, changed since, the server is gone, or the disk is full.
    """
    if not _is_dataset(uri):
        with local_copy(uri, version) as source:
            yield source
        return
    # The datasets import the client of the object store, which other runs need not wait for.
    from embedtune.datasets.pull import pull_files

    # Of a name without a version, another one may be the latest by now.
    pinned = uri if "@" in uri or not version else f"{uri}@{version.removeprefix(_DATASET)}"
    if version:
        check_version(uri, version, _dataset_version(pinned))
    with TemporaryDirectory(prefix="embedtune-") as folder:
        files = pull_files(pinned, Path(folder))
        yield LocalSource(Path(folder), files, tuple(map(str, files)))


def _is_dataset(uri: str) -> bool:
    return parse_location(uri).scheme is Scheme.DATASET


def _dataset_version(uri: str) -> str:
    from embedtune.datasets.catalogue import locate

    return f"{_DATASET}{locate(uri).reference.version}"


def sources_of(uri: str, version: str) -> tuple[Source, ...]:
    """Return the sources at an address: each table of a folder, prefix or pattern; anything else is one source.

    Of several tables, empty files are left out.

    Args:
        uri: Address of the data.
        version: Version that the data must have, '' for any.

    Raises:
        StorageError: nothing is there, it cannot be reached, or it has another version.
        InputError: the files are of no known kind, or of several.
    """
    if _is_dataset(uri):
        return (Source(uri, version if version else _dataset_version(uri)),)
    found = resolve_source(uri, tells=not version)
    check_version(uri, version, found.version)
    files = {file.name: file for file in found.files}
    if found.is_folder and names_kind(list(files)) is SourceKind.CSV:
        names = table_names(list(files))
        filled = [name for name in names if files[name].size] or names
        return tuple(Source(files[name].uri, files[name].version) for name in filled)
    return (Source(found.uri, found.version),)

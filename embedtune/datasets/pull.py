"""Get Documents by the name of their dataset."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from embedtune.datasets.catalogue import Dataset, Found, describe, locate
from embedtune.datasets.manifest import DatasetFile
from embedtune.errors import StorageError
from embedtune.progress import note, progress, silent
from embedtune.storage.atomic import atomic_path, resumable_folder
from embedtune.storage.digests import CHUNK_BYTES
from embedtune.storage.errors import writing
from embedtune.storage.folders import IncompleteError, fetch_files
from embedtune.storage.opening import open_store, temporary_folder
from embedtune.storage.ownership import GZIP_END

if TYPE_CHECKING:
    from docarray import DocumentArray


def pull(reference: str) -> "DocumentArray":
    """Get the Documents of a dataset; every file is checked against its SHA-256 first.

    Args:
        reference: `name`, `user/name`, either with `@version`, with `dataset://` before it or not. Without a version,
            the one that was pushed last.

    Returns:
        The Documents, in the order in which they were pushed. Of a folder of documents with queries and index these
        are both, one after the other; the judged pairs beside them are not part of an array.

    Raises:
        ConfigError: it is no such name, or the environment names no place for datasets.
        StorageError: there is no such dataset, it is private, damaged, or the store fails.
        InputError: a file holds something else than Documents in protobuf; nothing is ever unpickled.
    """
    # docarray takes half a second to import; the command line need not wait for it.
    from docarray import Document, DocumentArray

    from embedtune.records.docarrays.wire import iter_array

    found = locate(reference)
    array = DocumentArray()
    with temporary_folder() as folder, writing(folder):
        _fetch(found, _shards(found), folder)
        for file in _shards(found):
            name = f"{found.reference}, {file.name}"
            for number, message in enumerate(iter_array(folder / file.name, name, silent)):
                if isinstance(message, str):
                    raise StorageError(f"{name}, Document {number}: {message}. Push it again.")
                array.append(Document.from_protobuf(message))
    return array


def pull_file(reference: str, output: Path) -> Dataset:
    """Write a dataset as one saved DocumentArray, protobuf-array with gzip; memory is bounded.

    After an interruption, what came stays in a hidden folder beside `output`, and the same call goes on with it.

    Args:
        reference: See `pull`.
        output: File to write; it appears whole or not at all, in place of an older one.

    Returns:
        What was pulled.

    Raises:
        ConfigError: it is no such name, or the environment names no place for datasets.
        StorageError: there is no such dataset, it is private, damaged, the store fails, or `output` cannot be written.
    """
    found = locate(reference)
    if output.is_dir():
        raise StorageError(f"{output} is a folder. Give the path of a file.")
    shards = output.with_name(f".{output.name}.shards")
    checked = writing(output, "Check space and permissions.")
    with checked, resumable_folder(shards, found.manifest.content) as folder:
        _fetch(found, _shards(found), folder)
        with atomic_path(output) as part:
            _put_together([folder / shard.name for shard in _shards(found)], part)
    shutil.rmtree(shards, ignore_errors=True)
    if any(file.rows == 0 for file in found.manifest.files):
        note(
            f"{found.reference} was pushed as a folder of documents; what lies beside the Documents, such as judged "
            f"pairs, is not in the file. As --data-uri, dataset://{found.reference} has it."
        )
    return describe(found)


def pull_files(reference: str, folder: Path) -> tuple[Path, ...]:
    """Fetch the files of a dataset as they were stored, with what lies beside the Documents, such as judged pairs.

    Only its manifest says which these are: who may read a public dataset may not list it.

    Args:
        reference: See `pull`.
        folder: An empty folder.

    Returns:
        The files in it, sorted.

    Raises:
        ConfigError: it is no such name, or the environment names no place for datasets.
        StorageError: there is no such dataset, it is private, damaged, the store fails, or the disk is full.
    """
    found = locate(reference)
    _fetch(found, found.manifest.files, folder)
    return tuple(sorted(folder / file.name for file in found.manifest.files))


def _put_together(shards: Sequence[Path], target: Path) -> None:
    """Make one file of shards: files of gzip one after the other are one, and so are arrays in protobuf.

    The last one is empty and has a comment, which tells that the file is ours.
    """
    first, *others = shards
    first.replace(target)
    with target.open("ab") as file:
        for shard in others:
            with shard.open("rb") as source:
                shutil.copyfileobj(source, file, CHUNK_BYTES)
        file.write(GZIP_END)


def _shards(found: Found) -> list[DatasetFile]:
    return [file for file in found.manifest.files if file.rows]


def _fetch(found: Found, files: Sequence[DatasetFile], folder: Path) -> None:
    """Fetch files into a folder that may hold some of them, or beginnings."""
    store = open_store(found.place)
    try:
        with progress(f"Pulling {found.reference}", sum(file.size for file in files), "bytes") as advance:
            fetch_files(store, found.manifest.folder, files, folder, advance)
    except IncompleteError as error:
        raise StorageError(f"{found.reference} {error}. Push it again.") from error

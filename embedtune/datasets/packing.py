"""What can be pushed, made ready: an array in memory, saved arrays, or a folder of documents as a step wrote it.

Documents become shards of bounded size, equal for equal Documents.
"""

import gzip
import hashlib
import json
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from docarray import DocumentArray
from docarray.proto.docarray_pb2 import DocumentProto

from embedtune.datasets.inventory import Contents, Inventory
from embedtune.datasets.manifest import FOLDER_LENGTH, DatasetFile
from embedtune.documents.shards.codec import ARRAY_SUFFIX
from embedtune.documents.shards.folder import MANIFEST_NAME, Manifest, Shard, place_of, read_manifest
from embedtune.documents.shards.writer import ShardFiles
from embedtune.errors import ConfigError, InputError, StorageError
from embedtune.progress import Advance, progress, silent
from embedtune.records.docarrays.wire import iter_array
from embedtune.records.source_kind import SourceKind, is_documents_name, source_kind
from embedtune.storage.digests import file_sha256
from embedtune.storage.errors import reading, writing
from embedtune.storage.opening import LocalSource, local_copy, temporary_folder

SHARD_BYTES = 64 << 20
"""Of one shard before it is compressed; several of them travel at a time."""

_ARRAY_START = b"\x0a"
"""What every Document of a DocumentArrayProto begins with: field 1, length-delimited."""

_PREFIX = "documents-"
_PORTION_BYTES = 1 << 20
_LARGEST_SHARD = 2 << 30
_ACCEPTED = (
    "Accepted are a DocumentArray, the path of a saved one (protobuf forms), a folder of such files, a folder of "
    "documents as the build-documents step writes it, and whatever a run reads, such as a CSV"
)

ReadRows = Callable[[LocalSource, Path], Path]
"""Makes a folder of documents of a source of rows, below a folder that may be made, and returns it."""


@dataclass(frozen=True)
class Packed:
    """Files on this machine that shall become a dataset."""

    contents: Contents
    files: tuple[DatasetFile, ...]
    """In the order in which the Documents are read."""
    paths: tuple[Path, ...]
    """Where each file is now."""

    @property
    def folder(self) -> str:
        """Name for the folder of these files and no others."""
        told = "\n".join(f"{file.name} {file.sha256}" for file in self.files)
        return hashlib.sha256(told.encode()).hexdigest()[:FOLDER_LENGTH]


@contextmanager
def packed(documents: "DocumentArray | Path | str", read_rows: ReadRows) -> Iterator[Packed]:
    """Give the files that a dataset of these Documents consists of; temporary ones are removed afterwards.

    Given are a DocumentArray in memory, or the path or address of what is saved. Of a source that holds no Documents,
    `read_rows` makes a folder of them.
    """
    with ExitStack() as stack:
        scratch = stack.enter_context(temporary_folder())
        if isinstance(documents, DocumentArray):
            with progress("Reading the DocumentArray", len(documents), "Documents") as advance:
                array = pack(_iter_live(documents, advance), scratch, "the DocumentArray", live=True)
            yield array
            return
        if not isinstance(documents, Path | str):
            raise ConfigError(f"A {type(documents).__name__} cannot be pushed. {_ACCEPTED}.")
        source = stack.enter_context(local_copy(str(documents), ""))
        if (source.root / MANIFEST_NAME) in source.files:
            yield _pack_folder(source.root, scratch, stack)
        else:
            _check_one_folder(str(documents), source)
            names = [path.relative_to(source.root).as_posix() for path in source.files]
            if source_kind(names, source.root) is SourceKind.DOCUMENTS:
                yield _pack_files(str(documents), source, scratch)
            else:
                yield _pack_folder(read_rows(source, scratch / "rows"), scratch, stack)


def _check_one_folder(name: str, source: LocalSource) -> None:
    """Refuse to mix training and evaluation, which somebody may have named by the folder that holds both."""
    folders = (path.parent for path in source.files if path.name == MANIFEST_NAME)
    built = sorted(folder.relative_to(source.root).as_posix() for folder in folders)
    if built:
        raise InputError(f"{name} holds folders of documents ({', '.join(built)}). Push one of them.")


def _iter_live(array: DocumentArray, advance: Advance) -> Iterator[DocumentProto]:
    for number, document in enumerate(array):
        try:
            yield document.to_protobuf()
        except (TypeError, ValueError, AttributeError, RecursionError) as error:
            raise InputError(
                f"The Document {number} ({document.id}) cannot be written as protobuf: {error}. Its tags may hold "
                "texts, numbers, true, false, None, lists and dicts of these; its tensor must be an array."
            ) from error
        advance(1)


def _pack_files(origin: str, source: LocalSource, scratch: Path) -> Packed:
    is_one = len(source.files) == 1
    files = list(zip(source.files, source.origins, strict=True))
    shards = files if is_one else [(path, name) for path, name in files if is_documents_name(path.name)]
    with progress(f"Reading {origin}", sum(_size(path) for path, _ in shards), "bytes") as advance:
        if is_one and _is_shard(source.files[0]):
            return take(source.files[0], origin, advance)
        documents = (document for path, name in shards for document in iter_array(path, name, advance))
        return pack(documents, scratch, origin)


def _is_shard(path: Path) -> bool:
    """Tell whether a file can be stored as it is, which spares writing it anew."""
    if _size(path) > _LARGEST_SHARD:
        return False
    try:
        with gzip.open(path, "rb") as file:
            return file.read(1) == _ARRAY_START
    except (OSError, EOFError, zlib.error):
        # Compressed otherwise, or damaged, which reading all of it tells.
        return False


def _pack_folder(folder: Path, scratch: Path, stack: ExitStack) -> Packed:
    """Take the files of a folder of documents as they are, with the shards that its manifest names elsewhere."""
    manifest = read_manifest(folder)
    relevance = manifest.relevance
    paths = [stack.enter_context(local_copy(place_of(folder, each), "")).files[0] for each in manifest.shards]
    facts = [manifest.layout, *manifest.modalities, manifest.loaded, relevance.sha256 if relevance else ""]
    inventory = Inventory(manifest.rows_format, json.dumps(facts))
    with progress(f"Reading {folder}", sum(map(_size, paths)), "bytes") as advance:
        for shard, path in zip(manifest.shards, paths, strict=True):
            _read_shard(shard, path, inventory, advance)
    if not manifest.shards:
        raise InputError(f"{folder} holds no Documents, so there is nothing to push.")
    files = [
        DatasetFile(shard.name, _size(path), shard.rows, shard.sha256)
        for shard, path in zip(manifest.shards, paths, strict=True)
    ]
    if relevance is not None:
        path = folder / relevance.name
        files.append(DatasetFile(relevance.name, _size(path), 0, relevance.sha256))
        paths.append(path)
    files.append(_write_manifest(manifest, scratch))
    return Packed(inventory.contents(), tuple(files), (*paths, scratch / MANIFEST_NAME))


def _read_shard(shard: Shard, path: Path, inventory: Inventory, advance: Advance) -> None:
    before, digest = inventory.rows, hashlib.sha256()
    changed = StorageError(f"{path} was changed or cut off: its SHA-256 is not the manifest's. Build it again.")
    inventory.section(shard.split)
    try:
        for document in iter_array(path, str(path), advance, digest):
            inventory.add_document(document, str(path))
    except InputError as error:
        if file_sha256(path, silent) != shard.sha256:
            raise changed from error
        raise
    if digest.hexdigest() != shard.sha256:
        raise changed
    if inventory.rows - before != shard.rows:
        raise StorageError(f"{path} holds other numbers of Documents than its manifest says. Build it again.")


def _write_manifest(manifest: Manifest, scratch: Path) -> DatasetFile:
    path = scratch / MANIFEST_NAME
    with _writing(scratch):
        manifest.without_places().save(scratch)
    return DatasetFile(MANIFEST_NAME, _size(path), 0, file_sha256(path, silent))


def _size(path: Path) -> int:
    with reading(path, "Check that it is there."):
        return path.stat().st_size


def _writing(folder: Path) -> AbstractContextManager[None]:
    return writing(folder, "Free some space there, or set TMPDIR to a folder with more.")


def pack(documents: Iterable[DocumentProto | str], folder: Path, origin: str, live: bool = False) -> Packed:
    """Write Documents into shards in an existing folder; memory holds one Document and a few MiB.

    A text stands for a Document that cannot be read, and says why. For `live` see `Inventory.add_document`.
    """
    inventory = Inventory()
    with _writing(folder), closing(ShardFiles(folder, _PREFIX, portion=_PORTION_BYTES)) as shards:
        for document in documents:
            data = inventory.add_document(document, origin, live)
            if shards.rows and shards.size + len(data) > SHARD_BYTES:
                shards.finish()
            shards.write(_ARRAY_START + _varint(len(data)) + data, 1, len(data))
        files = tuple(DatasetFile(file.name, file.size, file.rows, file.sha256) for file in shards.finish())
    if not files:
        raise InputError(f"{origin} holds no Documents. Push an array with at least one.")
    return Packed(inventory.contents(), files, tuple(folder / file.name for file in files))


def take(path: Path, origin: str, advance: Advance) -> Packed:
    """Take a file that is a shard already, a DocumentArrayProto compressed with gzip, as it is."""
    inventory, digest = Inventory(), hashlib.sha256()
    for document in iter_array(path, origin, advance, digest):
        inventory.add_document(document, origin)
    file = DatasetFile(f"{_PREFIX}{0:05}{ARRAY_SUFFIX}", _size(path), inventory.rows, digest.hexdigest())
    return Packed(inventory.contents(), (file,), (path,))


def _varint(number: int) -> bytes:
    """Return a number as protobuf writes it."""
    found = bytearray()
    while number >= 0x80:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)

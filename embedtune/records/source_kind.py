"""Tell what the files of a source are: by their names, and where there is only one, by its first bytes."""

import bz2
import gzip
import re
import zlib
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path, PurePosixPath

from embedtune.errors import InputError, StorageError, reason
from embedtune.records.layouts import media_suffix
from embedtune.text import excerpt, shown_names

_BEIR_FILE = re.compile(r"(corpus|queries)\.jsonl(\.gz)?|(qrels/[^/]+|qrels)\.tsv")
_TABLES = {".csv": "CSV", ".tsv": "CSV", ".jsonl": "JSON lines", ".ndjson": "JSON lines", ".parquet": "Parquet"}
"""Endings of tables, and their formats."""

_PERHAPS_TABLES = (".txt", ".json")
"""Endings of tables and of much else: such files are read where there is nothing better."""

_DOCUMENTS_FILE = re.compile(
    r".*\.(da|docarray|((protobuf|pickle)(-array)?)(\.(gzip|gz|bz2|lzma|lz4|zlib|zstd))?)", re.IGNORECASE
)
_COMPANION = re.compile(r"README|LICENSE|(manifest\.json|relevance\.parquet)$", re.IGNORECASE)
"""Names of files that lie beside data and tell about them."""

GZIP_START = b"\x1f\x8b"
BZ2_START = re.compile(rb"BZh[1-9](1AY&SY|\x17rE8P\x90)")
"""How compressed files begin: bz2 with its level and the start of a block, or of the end where it holds nothing."""

_FIRST_BYTES = 64
_MOST_TOLD = 3
_ACCEPTED = (
    "a table (CSV, JSON lines, Parquet) or a folder of them, a BEIR folder (corpus.jsonl, queries.jsonl, "
    "qrels/*.tsv), a folder per class of images or meshes, or a DocumentArray saved in protobuf"
)


class SourceKind(StrEnum):
    """What the files of a source are."""

    CSV = "csv"
    """One table (a CSV, JSON lines, Parquet), or several of the same shape."""

    BEIR = "beir"
    """corpus.jsonl, queries.jsonl and qrels, see `records.beir`."""

    CLASS_FOLDERS = "class-folders"
    """Images or meshes in a folder per class, see `records.class_folders`."""

    DOCUMENTS = "documents"
    """DocumentArrays, see `records.docarrays.ingest`."""


def source_kind(names: Sequence[str], root: Path) -> SourceKind:
    """Tell what files are: several by their names relative to `root`, with '/', a single one by its first bytes.

    Raises:
        InputError: the files are of several kinds, or of none that is known.
        StorageError: a single file cannot be read.
    """
    return file_kind(root / names[0]) if len(names) == 1 else names_kind(names)


def names_kind(names: Sequence[str]) -> SourceKind:
    """Tell by their names in the source what several files are; those of unknown names, such as a README, do not count.

    Raises:
        InputError: the files are of several kinds, or of none that is known.
    """
    inner = [name.removeprefix(common_folder(names)) for name in names]
    found: dict[SourceKind, list[str]] = {}
    is_beir = any(name.startswith(("corpus.jsonl", "queries.jsonl")) for name in inner)
    for name in inner:
        kind = _name_kind(name, is_beir)
        if kind is not None:
            found.setdefault(kind, []).append(name)
    if not found and table_names(inner):
        return SourceKind.CSV
    if not found:
        told = ", ".join(map(excerpt, inner[:_MOST_TOLD]))
        raise InputError(f"None of the {len(inner)} files is of a known kind ({told}). Give {_ACCEPTED}.")
    if any("_delta_log" in PurePosixPath(name).parts for name in inner):
        raise InputError(
            "The files are a Delta Lake table, whose log says which of them count. Export it as Parquet or CSV."
        )
    if len(found) > 1:
        told = "; ".join(f"{kind}: {', '.join(map(excerpt, some[:_MOST_TOLD]))}" for kind, some in found.items())
        raise InputError(
            f"The files are of several kinds ({told}). Give one of them: the CSV itself if it names the other files, "
            "or a folder or glob that holds only one kind."
        )
    formats = {_TABLES[_suffix(name)]: name for name in found.get(SourceKind.CSV, ())}
    if len(formats) > 1:
        told = ", ".join(f"{form}: {excerpt(name)}" for form, name in formats.items())
        raise InputError(f"The files are tables of several formats ({told}). Give a pattern for one, such as '*.csv'.")
    return next(iter(found))


def common_folder(names: Sequence[str]) -> str:
    """Return the folders that all files lie in, with '/' at the end, or '' where they have none in common.

    An archive of a BEIR folder holds that folder, for example. One that holds files of its own is not passed over.
    """
    parents = [PurePosixPath(name).parts[:-1] for name in names]
    if not parents:
        return ""
    shared = parents[0]
    for parts in parents[1:]:
        while parts[: len(shared)] != shared:
            shared = shared[:-1]
    return "".join(f"{part}/" for part in shared)


def file_kind(path: Path) -> SourceKind:
    """Tell by its first bytes whether one file is a DocumentArray or a CSV; only an image or mesh is told by its name.

    Raises:
        InputError: it is a part of a larger source, or compressed with something else inside.
        StorageError: it cannot be read.
    """
    if media_suffix(path.name) is not None:
        raise InputError(f"{path.name} is a single image or mesh. Give the folder that holds a folder per class.")
    if _BEIR_FILE.fullmatch(path.name):
        raise InputError(
            f"{path.name} is one file of a BEIR folder. Give the folder: corpus.jsonl, queries.jsonl and qrels/*.tsv."
        )
    start, compression = _first_bytes(path)
    if starts_documents(start) or starts_pickle(start) or is_documents_name(path.name):
        return SourceKind.DOCUMENTS
    if compression:
        raise InputError(
            f"{path.name} is compressed with {compression} and holds no DocumentArray. Unpack it, then give it."
        )
    return SourceKind.CSV


def table_names(names: Sequence[str]) -> list[str]:
    """Return those names of files that are the names of tables, in their order.

    Of endings that tables share with much else, such as `.txt`, they are only where no other table is there.
    """
    tables = [name for name in names if not _COMPANION.match(PurePosixPath(name).name)]
    sure = [name for name in tables if _suffix(name) in _TABLES]
    for suffix in _PERHAPS_TABLES:
        sure = sure or [name for name in tables if _suffix(name) == suffix]
    return sure


def passed_over(names: Sequence[str], read: Sequence[str]) -> tuple[str, ...]:
    """Say which files of a source are not `read`, in one sentence or none; files that tell about data go unsaid."""
    left = [name for name in names if name not in set(read) and not _COMPANION.match(PurePosixPath(name).name)]
    if not left:
        return ()
    return (f"Not read, for they are no tables by their names: {shown_names(left)}. To read one, give it by itself.",)


def is_documents_name(name: str) -> bool:
    """Tell whether a file is named as docarray names saved arrays, such as train.protobuf-array.gzip or train.da."""
    return _DOCUMENTS_FILE.fullmatch(name) is not None


def starts_documents(start: bytes) -> bool:
    """Tell whether bytes begin as a DocumentArray in protobuf does: as one message or as a stream of them.

    A message begins with field 1, whose length and whose own field 1, the id with its length, follow
    (https://protobuf.dev/programming-guides/encoding/). A stream begins with its version, 1, and 8 bytes with the
    number of Documents.
    """
    if start[:1] == b"\x01":
        return len(start) >= 9 and start[1] == 0
    if start[:1] != b"\x0a":
        return False
    try:
        length, position = read_varint(start, 1)
    except IndexError:
        return False
    inner = start[position : position + 2]
    # A CSV may begin with blank lines, but not with a length that the next one fits into.
    return len(inner) == 2 and inner[0] == 0x0A and inner[1] != 0x0A and inner[1] + 2 <= length


def read_varint(data: bytes, position: int) -> tuple[int, int]:
    """Return the protobuf number at a position of bytes, and the position behind it.

    One that is cut off or has more than 64 bits is an IndexError.
    """
    value = 0
    for shift in range(0, 64, 7):
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return value, position
    raise IndexError(position)


def starts_pickle(start: bytes) -> bool:
    """Tell whether bytes begin as a pickle of protocol 2 or later does."""
    return len(start) >= 2 and start[0] == 0x80 and 2 <= start[1] <= 5


def _name_kind(name: str, is_beir: bool) -> SourceKind | None:
    if is_beir and _BEIR_FILE.fullmatch(name):
        return SourceKind.BEIR
    if is_documents_name(name):
        return SourceKind.DOCUMENTS
    if is_beir and _TABLES.get(_suffix(name), "CSV") != "CSV":
        return None
    if _suffix(name) in _TABLES and not _COMPANION.match(PurePosixPath(name).name):
        return SourceKind.CSV
    return None if media_suffix(name) is None else SourceKind.CLASS_FOLDERS


def _suffix(name: str) -> str:
    return PurePosixPath(name).suffix.lower()


def _first_bytes(path: Path) -> tuple[bytes, str]:
    """Return the first bytes of a file, unpacked, and how it is compressed, '' if not."""
    try:
        with path.open("rb") as file:
            start = file.read(_FIRST_BYTES)
        if start.startswith(GZIP_START):
            with gzip.open(path, "rb") as unpacked:
                return unpacked.read(_FIRST_BYTES), "gzip"
        if BZ2_START.match(start):
            with bz2.open(path, "rb") as unpacked:
                return unpacked.read(_FIRST_BYTES), "bz2"
    except FileNotFoundError as error:
        raise StorageError(f"{path.name} does not exist. Give {_ACCEPTED}.") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path.name} is damaged or cut off. Copy it again.") from error
    except OSError as error:
        raise StorageError(f"{path.name} cannot be read: {reason(error)}.") from error
    return start, ""

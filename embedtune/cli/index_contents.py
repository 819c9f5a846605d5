"""Contents that are encoded or searched in, with what a person sees of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from embedtune.models.contents import Contents
from embedtune.records.csv.options import CSVOptions
from embedtune.records.layouts import Layout, Modality
from embedtune.records.loading import load_contents
from embedtune.records.output import open_output
from embedtune.records.rows import DIGEST_SUFFIX, URI_SUFFIX, RowsFormat, iter_rows

QUARANTINE_FILE = "quarantine.csv"
_AT_A_TIME = 64
"""Images or meshes in memory."""
(_COLUMN,) = Layout.PLAIN.contents


@dataclass(frozen=True, eq=False)
class Index:
    """N contents of one kind."""

    contents: Contents
    """In the order of the source."""
    names: list[str]
    """What a person sees of each: its text, or the address of its file, or its number where it has none (N)."""
    keys: list[str]
    """The same for contents that are the same (N)."""
    description: str
    """What was read and how, in one line."""


@dataclass(frozen=True)
class Loaded:
    """Contents that were loaded from their addresses."""

    rows_file: Path
    rows: int
    bad_rows: int
    first: tuple[str, ...]
    """The first of those that cannot be used, and why: 'line N: reason: address'."""


def load_addresses(
    addresses: Sequence[str], modality: Modality, origin: str, options: CSVOptions, scratch: Path
) -> Loaded:
    """Load images or meshes, with the checks and limits of data that are trained on.

    Args:
        addresses: Of N contents, relative to `origin` or not.
        modality: What they are.
        origin: Where the addresses stand: a folder with '/' at its end, or a file.
        options: How to load.
        scratch: Folder for the file.

    Raises:
        InputError: none of them can be used.
    """
    loaded = scratch / "rows.parquet"
    with open_output(loaded, scratch / QUARANTINE_FILE, max_bad_share=1) as output:
        output.begin(RowsFormat(Layout.PLAIN, (modality,), loaded=False))
        for row in enumerate(addresses, 1):
            output.add(row, len(row[1]))
        load_contents(output, origin, options)
    first = tuple(each.replace(f": {_COLUMN}: ", ": ", 1) for each in output.first)  # no name that a person gave
    return Loaded(loaded, output.rows, output.bad_rows, first)


def index_of_texts(texts: list[str], description: str) -> Index:
    """Return texts as an index."""
    return Index(Contents.of_texts(texts), texts, texts, description)


def index_of_rows(rows: Path, modality: Modality, description: str, scratch: Path, column: str = "") -> Index:
    """Return a column of a rows file as an index.

    Args:
        rows: The file; of images and meshes it is removed, since they are copied to one that is mapped into memory.
        modality: What the column holds.
        description: See `Index`.
        scratch: Folder for that file, which must outlive the index.
        column: Name of a column, each content of which is taken once; '' takes the only one, row by row.
    """
    name = column if column else _COLUMN
    if modality is Modality.TEXT:
        found = (text for batch in iter_rows(rows, [name]) for text in batch.column(0).to_pylist())
        return index_of_texts(list(dict.fromkeys(found)), description)
    names: list[str] = []
    keys: list[str] = []
    seen: set[str] = set()
    path = scratch / "contents.arrow"
    schema = pa.schema([pa.field(name, pa.large_binary())])
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        for batch in iter_rows(rows, [name, name + DIGEST_SUFFIX, name + URI_SUFFIX], _AT_A_TIME):
            kept = []
            for place, digest in enumerate(batch.column(1).to_pylist()):
                if not column or digest not in seen:
                    seen.add(digest)
                    keys.append(digest)
                    kept.append(place)
            picked = batch.take(pa.array(kept, pa.int64()))
            uris = picked.column(2).to_pylist()
            names += [uri if uri else f"{modality} {number}" for number, uri in enumerate(uris, len(names) + 1)]
            writer.write_batch(pa.record_batch([picked.column(0)], schema=schema))
    rows.unlink()
    contents = pa.ipc.open_file(pa.memory_map(str(path))).read_all().column(0)
    return Index(Contents([(modality, contents)]), names, keys, description)

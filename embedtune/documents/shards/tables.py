"""Writing folders of Documents: rows become shards one batch at a time, and a manifest vouches for the shards."""

import hashlib
import io
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from embedtune.documents.distinct_contents import Numbers
from embedtune.documents.schema import (
    DIVIDED_SCHEMA,
    ID_COLUMN,
    LABEL_COLUMN,
    RELEVANCE_SCHEMA,
    ROLE_COLUMN,
    SCORE_COLUMN,
    ContentColumns,
    Side,
    Split,
    SplitColumns,
    content_id,
)
from embedtune.documents.shards.folder import PART_NAME, Manifest, RelevanceFile, Shard, part_to_json
from embedtune.documents.shards.writer import open_shards
from embedtune.errors import InputError
from embedtune.progress import Advance
from embedtune.records import layouts
from embedtune.records.layouts import SPLIT_COLUMN, Modality
from embedtune.records.rows import DIGEST_SUFFIX, URI_SUFFIX, RowsFormat, iter_rows, read_format
from embedtune.storage.errors import writing

RELEVANCE_NAME = "relevance.parquet"

_ID_CHARACTERS = len(content_id(b""))

_TEXT_BATCH = 10_000
"""Rows of texts in memory at a time."""

_MEDIA_BATCH = 64
"""Rows of images or meshes in memory at a time: 6 MB of images of 100 kB."""


def write_shards(
    rows: Path, assignment: pa.Table, folder: Path, splits: Sequence[Split], prefix: str, advance: Advance
) -> tuple[Shard, ...]:
    """Write the Documents of some splits that are made of one rows file, reading the file once; return their shards.

    Memory is bounded by a batch of rows, whatever the size of the file. Equal rows and assignments give equal bytes.
    The assignment (ASSIGNMENT_SCHEMA) may have other splits, too. The order of the splits is that of the shards; the
    prefix goes into their names before the numbers, so that those of several rows files differ.
    """
    rows_format = read_format(rows)
    assigned = {split: assignment.filter(pc.equal(assignment["split"], split.value)) for split in splits}
    numbers = {split: table["row"].to_numpy() for split, table in assigned.items()}
    done = dict.fromkeys(splits, 0)
    with _writing(folder), ExitStack() as stack:
        folder.mkdir(exist_ok=True)
        forms = {split: SplitColumns(rows_format, split) for split in splits}
        writers = {split: stack.enter_context(open_shards(folder, forms[split], prefix)) for split in splits}
        start = 0
        for batch in iter_rows(rows, _content_columns(rows_format), _batch_rows(rows_format)):
            for split, writer in writers.items():
                end = int(np.searchsorted(numbers[split], start + len(batch)))
                part = assigned[split].slice(done[split], end - done[split])
                if len(part) > 0:
                    writer.write(_split_table(batch, part, start, forms[split]))
                    advance(len(part))
                done[split] = end
            start += len(batch)
        _check_complete(rows, start, done, assigned)
        return tuple(shard for writer in writers.values() for shard in writer.finish())


def write_part(folder: Path, shards: Sequence[Shard]) -> None:
    """List the shards of a folder, so that a manifest elsewhere can name them (`folder.read_part`)."""
    with _writing(folder):
        (folder / PART_NAME).write_text(part_to_json(shards), encoding="utf-8")


def write_manifest(
    folder: Path, rows_format: RowsFormat, shards: Sequence[Shard], relevance: pa.Table | None, train_digest: str
) -> Manifest:
    """Complete a folder of documents; shards without a uri are in it, in the order in which they are to be read.

    The digest is that of the training documents that these were held out from, '' for training documents.
    """
    with _writing(folder):
        folder.mkdir(exist_ok=True)
        manifest = Manifest(
            layout=rows_format.layout,
            modalities=rows_format.modalities,
            loaded=rows_format.loaded,
            shards=tuple(shards),
            relevance=_write_relevance(folder, relevance),
            train_digest=train_digest,
        )
        manifest.save(folder)
    return manifest


def _write_relevance(folder: Path, relevance: pa.Table | None) -> RelevanceFile | None:
    if relevance is None:
        return None
    sink = io.BytesIO()
    pq.write_table(
        relevance.cast(DIVIDED_SCHEMA if SPLIT_COLUMN in relevance.column_names else RELEVANCE_SCHEMA),
        sink,
        compression="zstd",
    )
    (folder / RELEVANCE_NAME).write_bytes(sink.getvalue())
    return RelevanceFile(RELEVANCE_NAME, len(relevance), hashlib.sha256(sink.getvalue()).hexdigest())


def _batch_rows(rows_format: RowsFormat) -> int:
    is_light = not rows_format.loaded or all(modality is Modality.TEXT for modality in rows_format.modalities)
    return _TEXT_BATCH if is_light else _MEDIA_BATCH


def _check_complete(rows: Path, count: int, done: dict[Split, int], assigned: dict[Split, pa.Table]) -> None:
    for split, table in assigned.items():
        if done[split] != len(table):
            raise InputError(
                f"{rows} has {count} rows, but {len(table) - done[split]} documents of the split {split} are to be "
                "made of rows after these. Plan the documents again on the rows that are to be written."
            )


def _writing(folder: Path) -> AbstractContextManager[None]:
    return writing(f"The folder of documents {folder}", "Free space or choose another place.")


def _content_columns(rows_format: RowsFormat) -> list[str]:
    """Return the columns of a rows file that Documents are made of."""
    names = [layouts.SCORE_COLUMN] if rows_format.layout.has_scores else []
    for name, modality in zip(rows_format.layout.contents, rows_format.modalities, strict=True):
        names.append(name)
        if rows_format.loaded and modality is not Modality.TEXT:
            names += [name + DIGEST_SUFFIX, name + URI_SUFFIX]
    return names


def _split_table(batch: pa.RecordBatch, assignment: pa.Table, start: int, form: SplitColumns) -> pa.Table:
    """Return the Documents (N,) that an assignment makes of a batch, whose first row has the number `start`."""
    rows, sides = assignment["row"].to_numpy() - start, assignment["side"].to_numpy()
    names = form.rows_format.layout.contents
    columns: dict[str, pa.Array | pa.ChunkedArray] = {ID_COLUMN: assignment["id"]}
    if form.is_parent:
        for name, content in zip(names, form.contents, strict=True):
            columns[content.id_column] = _ids(batch, name, content).take(pa.array(rows))
            columns |= _contents(batch, (name,), rows, content)
    else:
        for name, side in zip(names, (Side.FIRST, Side.SECOND), strict=False):
            if (sides == side).all():
                columns |= _contents(batch, (name,), rows, form.contents[0])
                break
        else:
            columns |= _contents(batch, names, rows + len(batch) * sides.astype(np.int64), form.contents[0])
    columns[LABEL_COLUMN], columns[ROLE_COLUMN] = assignment["label"], assignment["role"]
    if form.has_score:
        columns[SCORE_COLUMN] = batch.column(layouts.SCORE_COLUMN).take(pa.array(rows))
    return pa.table([columns[name] for name in form.schema.names], names=form.schema.names).cast(form.schema)


def _contents(
    batch: pa.RecordBatch, names: tuple[str, ...], picks: Numbers, content: ContentColumns
) -> dict[str, pa.Array]:
    """Return the columns of a content, picked from the columns `names` one after the other."""
    suffixes = dict.fromkeys(content.columns, "")
    if content.modality is not Modality.TEXT and content.loaded:
        suffixes[content.uri_column] = URI_SUFFIX
    taken = pa.array(picks)
    return {
        column: pa.concat_arrays([batch.column(name + suffix) for name in names]).take(taken)
        for column, suffix in suffixes.items()
    }


def _ids(batch: pa.RecordBatch, name: str, content: ContentColumns) -> pa.Array:
    """Return the id of each content of a column (B,)."""
    if content.modality is not Modality.TEXT and content.loaded:
        return pc.utf8_slice_codeunits(batch.column(name + DIGEST_SUFFIX), 0, _ID_CHARACTERS)
    return pa.array([content_id(value.encode()) for value in batch.column(name).to_pylist()], pa.string())

"""A batch of rows and what is to become of them, as columns of Documents."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from embedtune.documents.schema import Side, content_id
from embedtune.documents.split_columns import (
    ID_COLUMN,
    LABEL_COLUMN,
    ROLE_COLUMN,
    SCORE_COLUMN,
    ContentColumns,
    SplitColumns,
)
from embedtune.records import layouts
from embedtune.records.layouts import Modality
from embedtune.records.rows import DIGEST_SUFFIX, URI_SUFFIX, RowsFormat

_ID_CHARACTERS = len(content_id(b""))

Numbers = npt.NDArray[np.int64]


def content_columns(rows_format: RowsFormat) -> list[str]:
    """Return the columns of a rows file that Documents are made of."""
    names = [layouts.SCORE_COLUMN] if rows_format.layout.has_scores else []
    for name, modality in zip(rows_format.layout.contents, rows_format.modalities, strict=True):
        names.append(name)
        if rows_format.loaded and modality is not Modality.TEXT:
            names += [name + DIGEST_SUFFIX, name + URI_SUFFIX]
    return names


def split_table(batch: pa.RecordBatch, assignment: pa.Table, start: int, form: SplitColumns) -> pa.Table:
    """Return the Documents of one split that are made of a batch of rows.

    Args:
        batch: The rows (B,), with `content_columns`.
        assignment: What to make of which row (N,), see ASSIGNMENT_SCHEMA.
        start: Number of the batch's first row in its file.
        form: What the Documents hold.

    Returns:
        The columns of `form.schema` (N,).
    """
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

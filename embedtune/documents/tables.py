"""A corpus as the tables that shards are written from."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from embedtune.documents.corpus import Corpus
from embedtune.documents.schema import RELEVANCE_COLUMNS, ROLE_COLUMN, TABLE_COLUMNS, Role, Split
from embedtune.documents.shards import BYTES_PER_SHARD, DOCUMENTS_PER_SHARD
from embedtune.records.layouts import Layout

_JUDGED_RELEVANT = 1.0


def split_tables(corpus: Corpus, split: Split, members: npt.NDArray[np.bool_]) -> Iterator[pa.Table]:
    """Yield the documents of one split, a shard at a time.

    Args:
        corpus: The documents.
        split: The split; training documents of pairs get the column role.
        members: Which documents are in the split (D,).
    """
    roles = _roles(corpus) if corpus.layout is Layout.PAIRS and split is Split.TRAIN else None
    numbers = np.flatnonzero(members)
    label_sizes = pc.binary_length(corpus.label_names).to_numpy(zero_copy_only=False)
    sizes = pc.binary_length(corpus.texts).to_numpy(zero_copy_only=False) + label_sizes[corpus.labels]
    for start, end in shard_bounds(sizes[numbers]):
        batch = pa.array(numbers[start:end])
        labels = corpus.label_names.take(pa.array(corpus.labels[batch]))
        columns = dict(zip(TABLE_COLUMNS, (corpus.ids.take(batch), corpus.texts.take(batch), labels), strict=True))
        if roles is not None:
            columns[ROLE_COLUMN] = roles.take(batch)
        yield pa.table(columns)


def shard_bounds(sizes: npt.NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Yield where each shard begins and ends: DOCUMENTS_PER_SHARD and BYTES_PER_SHARD at most, one document at least.

    Args:
        sizes: Bytes of text and label of each document (N,).
    """
    ends = np.cumsum(sizes, dtype=np.int64)
    start = 0
    while start < len(ends):
        before = ends[start] - sizes[start]
        fitting = int(np.searchsorted(ends, before + BYTES_PER_SHARD, side="right"))
        end = min(max(fitting, start + 1), start + DOCUMENTS_PER_SHARD)
        yield start, end
        start = end


def _roles(corpus: Corpus) -> pa.Array:
    """Return each document's Role (D,)."""
    numbers = np.zeros(len(corpus), np.int8)
    numbers[corpus.pairs[:, 0]] |= 1
    numbers[corpus.pairs[:, 1]] |= 2
    names = pa.array([Role.QUERY, Role.DOCUMENT, Role.BOTH])
    return pa.DictionaryArray.from_arrays(numbers - 1, names).dictionary_decode()


def relevance_table(corpus: Corpus, members: npt.NDArray[np.bool_]) -> pa.Table | None:
    """Return the judged pairs among `members` (D,) with RELEVANCE_COLUMNS, or None for labelled documents."""
    if corpus.layout is Layout.LABELLED:
        return None
    pairs = corpus.pairs[members[corpus.pairs[:, 0]]]
    gains = np.full(len(pairs), _JUDGED_RELEVANT, np.float32)
    columns = (corpus.ids.take(pa.array(pairs[:, 0])), corpus.ids.take(pa.array(pairs[:, 1])), pa.array(gains))
    return pa.table(dict(zip(RELEVANCE_COLUMNS, columns, strict=True)))

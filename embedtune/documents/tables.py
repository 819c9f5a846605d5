"""A corpus as the tables that shards are written from."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from embedtune.documents.corpus import Corpus
from embedtune.documents.schema import RELEVANCE_COLUMNS, ROLE_COLUMN, TABLE_COLUMNS, Role, Split
from embedtune.documents.shards import DOCUMENTS_PER_SHARD
from embedtune.records.layouts import Layout

_JUDGED_RELEVANT = 1.0


def split_tables(corpus: Corpus, split: Split, members: npt.NDArray[np.bool_]) -> Iterator[pa.Table]:
    """Yield the documents of one split, at most DOCUMENTS_PER_SHARD at a time.

    Args:
        corpus: The documents.
        split: The split; training documents of pairs get the column role.
        members: Which documents are in the split (D,).
    """
    roles = _roles(corpus) if corpus.layout is Layout.PAIRS and split is Split.TRAIN else None
    numbers = np.flatnonzero(members)
    for start in range(0, len(numbers), DOCUMENTS_PER_SHARD):
        batch = pa.array(numbers[start : start + DOCUMENTS_PER_SHARD])
        labels = corpus.label_names.take(pa.array(corpus.labels[batch]))
        columns = dict(zip(TABLE_COLUMNS, (corpus.ids.take(batch), corpus.texts.take(batch), labels), strict=True))
        if roles is not None:
            columns[ROLE_COLUMN] = roles.take(batch)
        yield pa.table(columns)


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

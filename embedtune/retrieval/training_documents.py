"""The documents that a model was trained on, as queries and as what is searched in."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from embedtune.documents.schema import (
    LABEL_COLUMN,
    ROLE_COLUMN,
    SCORE_COLUMN,
    ContentColumns,
    Role,
    Split,
    SplitColumns,
)
from embedtune.documents.shards.folder import BuiltFolder
from embedtune.models.contents import Contents, Indices, column_of, spool_split
from embedtune.records.layouts import Modality
from embedtune.retrieval.held_out import file_name

Pairs = tuple[list[str], list[str], list[float]]
"""Ids of the queries and of the documents of P judged pairs, and their gains."""


@dataclass(frozen=True, eq=False)
class Pool:
    """N contents that search or are searched in."""

    ids: list[str]
    labels: list[str]
    """Of pairs, names of the connected components."""
    contents: Contents
    addresses: pa.ChunkedArray | None = None
    """Of contents that are no texts, where they came from, '' where it is not known (N,)."""

    def name(self, row: int) -> str:
        """Return a text as it is, and of another content the name of the file that it came from."""
        return self.contents.text(row) if self.addresses is None else file_name(self.addresses[row].as_py())

    def select(self, rows: Indices) -> "Pool":
        """Keep only these, ascending (n,); contents stay where they are."""
        ids, labels = ([column[row] for row in rows] for column in (self.ids, self.labels))
        addresses = None if self.addresses is None else self.addresses.take(rows)
        return Pool(ids, labels, self.contents.select(rows), addresses)


@dataclass(frozen=True, eq=False)
class TrainingDocuments:
    """What a model was trained on."""

    queries: Pool
    index: Pool
    pairs: Pairs | None
    """The judged pairs; None where equal labels make the pairs."""


def read_training(folder: Path, scratch: Path) -> TrainingDocuments:
    """Read a folder of training documents; their contents stay on disk until a batch needs them.

    Args:
        folder: Training documents.
        scratch: Folder for a copy of the contents, which must outlive them.

    Raises:
        InputError: only the addresses of the contents are there.
        StorageError: the folder cannot be read.
    """
    built = BuiltFolder.open(folder)
    form, table = built.columns(Split.TRAIN), spool_split(built, Split.TRAIN, scratch)
    if form.is_parent:
        return _of_parents(table, form)
    pool = _pool(table, form.contents[0])
    if not form.has_role:
        return TrainingDocuments(pool, pool, None)
    roles = np.array(table[ROLE_COLUMN].to_pylist(), dtype=object)
    queries, documents = (pool.select(np.flatnonzero(roles != other)) for other in (Role.DOCUMENT, Role.QUERY))
    relevance = built.relevance()
    names = ("query_id", "document_id", "relevance")
    pairs = ([], [], []) if relevance is None else tuple(relevance[name].to_pylist() for name in names)
    return TrainingDocuments(queries, documents, pairs)


def _of_parents(table: pa.Table, form: SplitColumns) -> TrainingDocuments:
    """Return the first contents as queries and the second ones as what is searched in, each once."""
    pools = []
    for content in form.contents:
        _, rows = np.unique(np.array(table[content.id_column].to_pylist(), dtype=object), return_index=True)
        pools.append(_pool(table, content).select(np.sort(rows)))
    gains = table[SCORE_COLUMN].to_pylist() if form.has_score else [1.0] * len(table)
    judged: dict[tuple[str, str], float] = {}
    for one, other, gain in zip(*(table[each.id_column].to_pylist() for each in form.contents), gains, strict=True):
        judged[one, other] = gain
    queries, documents = pools
    first, second = [one for one, _ in judged], [other for _, other in judged]
    return TrainingDocuments(queries, documents, (first, second, list(judged.values())))


def _pool(table: pa.Table, content: ContentColumns) -> Pool:
    ids, labels = table[content.id_column].to_pylist(), table[LABEL_COLUMN].to_pylist()
    addresses = None if content.modality is Modality.TEXT else table[content.uri_column]
    return Pool(ids, labels, Contents([column_of(table, content)]), addresses)

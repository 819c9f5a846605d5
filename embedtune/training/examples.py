"""Training documents as a set that batches are drawn from. Imports no torch."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from embedtune.documents.schema import LABEL_COLUMN, SCORE_COLUMN, Split, SplitColumns
from embedtune.documents.shards.folder import BuiltFolder
from embedtune.models.contents import Contents, Indices, column_of, rows_of, spool_split

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """N contents and what is known of them; every number is the position of a content."""

    contents: Contents
    labels: Indices
    """Label number of each content, (N,); of rows with two contents the connected component."""
    pairs: Indices | None = None
    """Contents that belong together (first, second), (R, 2); None where equal labels make the pairs."""
    gains: Floats | None = None
    """How relevant the second of each pair is to the first, above 0, (R,); None with `pairs`."""
    negatives: Indices | None = None
    """Judged not to belong together (first, second), (S, 2); None where nothing was."""
    scores: Floats | None = None
    """How similar the two of each pair are, 0 to 1, (R,); only where the rows say so, pairs of score 0 included."""

    @classmethod
    def read(cls, folder: Path, scratch: Path) -> "TrainingSet":
        """Read a folder of training documents; contents stay on disk until a batch needs them.

        Args:
            folder: Folder of training documents.
            scratch: Folder for a copy in one file, which must outlive the set.

        Raises:
            InputError: only the addresses of the contents are there.
            StorageError: the folder cannot be read.
        """
        built = BuiltFolder.open(folder)
        table = spool_split(built, Split.TRAIN, scratch)
        return cls.from_table(table, built.columns(Split.TRAIN), built.relevance())

    @classmethod
    def from_table(cls, documents: pa.Table, form: SplitColumns, relevance: pa.Table | None) -> "TrainingSet":
        """Number the labels and turn ids into positions.

        Args:
            documents: The columns of `form.schema`.
            form: What the documents hold.
            relevance: Columns of `documents.schema.RELEVANCE_COLUMNS`, or None where the rows judge none.
        """
        labels = _numbers(documents[LABEL_COLUMN])
        if form.is_parent:
            return _of_parents(documents, form, labels)
        contents = Contents([column_of(documents, form.contents[0])])
        if relevance is None:
            return cls(contents, labels)
        pairs, gains = _judged(documents, relevance)
        wrong = gains <= 0
        return cls(
            contents,
            labels,
            pairs=pairs[~wrong],
            gains=gains[~wrong],
            negatives=pairs[wrong] if wrong.any() else None,
        )

    @property
    def positives(self) -> Indices:
        """Pairs that belong together (P, 2): all but those of score 0; none where labels make the pairs."""
        if self.pairs is None:
            return np.empty((0, 2), np.int64)
        return self.pairs if self.scores is None else self.pairs[self.scores > 0]


def _of_parents(documents: pa.Table, form: SplitColumns, labels: Indices) -> TrainingSet:
    """Return rows of two contents as pairs of contents, each content once."""
    columns, numbers, first_rows = [], [], []
    for content in form.contents:
        number = _numbers(documents[content.id_column])
        _, rows = np.unique(number, return_index=True)
        modality, values = column_of(documents, content)
        columns.append((modality, rows_of(values, rows)))
        numbers.append(number)
        first_rows.append(rows)
    pairs = np.column_stack([numbers[0], numbers[1] + len(first_rows[0])])
    scores = documents[SCORE_COLUMN].to_numpy().astype(np.float32) if form.has_score else None
    return TrainingSet(
        Contents(columns),
        np.concatenate([labels[rows] for rows in first_rows]),
        pairs=pairs,
        gains=np.ones(len(pairs), np.float32) if scores is None else None,
        scores=scores,
    )


def _numbers(column: pa.ChunkedArray) -> Indices:
    """Number the values of a column in the order in which they come."""
    indices = pa.concat_arrays(column.chunks) if column.num_chunks != 1 else column.chunk(0)
    numbers: Indices = indices.dictionary_encode().indices.to_numpy().astype(np.int64)
    return numbers


def _judged(documents: pa.Table, relevance: pa.Table) -> tuple[Indices, Floats]:
    """Return the judged pairs as positions (P, 2), and their gains (P,)."""
    position = {identifier: row for row, identifier in enumerate(documents["id"].to_pylist())}
    ends = zip(relevance["query_id"].to_pylist(), relevance["document_id"].to_pylist(), strict=True)
    pairs = np.array([(position[query], position[document]) for query, document in ends], np.int64).reshape(-1, 2)
    return pairs, relevance["relevance"].to_numpy().astype(np.float32)

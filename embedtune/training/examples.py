"""Training documents as arrays: what the batches are drawn from. Imports no torch."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class TrainingExamples:
    """N texts and what is relevant to what among them."""

    texts: Sequence[str]
    labels: Indices
    """Label number of each text, (N,)."""
    pairs: Indices | None
    """Judged pairs (query position, document position), (R, 2); None where equal labels make the pairs."""

    @classmethod
    def from_tables(cls, documents: pa.Table, relevance: pa.Table | None) -> "TrainingExamples":
        """Number the labels and turn judged ids into positions.

        Args:
            documents: Columns of `documents.schema.TABLE_COLUMNS`.
            relevance: Columns of `documents.schema.RELEVANCE_COLUMNS`, or None for the labelled layout.
        """
        labels = documents["label"].combine_chunks().dictionary_encode().indices.to_numpy().astype(np.int64)
        return cls(documents["text"].to_pylist(), labels, _pair_positions(documents, relevance))


def _pair_positions(documents: pa.Table, relevance: pa.Table | None) -> Indices | None:
    if relevance is None:
        return None
    position = {identifier: row for row, identifier in enumerate(documents["id"].to_pylist())}
    ends = zip(relevance["query_id"].to_pylist(), relevance["document_id"].to_pylist(), strict=True)
    return np.array([(position[query], position[document]) for query, document in ends], dtype=np.int64).reshape(-1, 2)

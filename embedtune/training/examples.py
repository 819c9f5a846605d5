"""Training documents as arrays: what the batches are drawn from. Imports no torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from embedtune.documents.schema import Split
from embedtune.documents.shards import read_manifest, read_relevance, read_table
from embedtune.errors import InputError
from embedtune.records.layouts import Layout, Modality

Indices = npt.NDArray[np.int64]

TRAINABLE_LAYOUTS = (Layout.LABELLED, Layout.PAIRS, Layout.MATCHES, Layout.BEIR)
"""Layouts that this version can train on and evaluate, if all contents are texts."""


@dataclass(frozen=True)
class TrainingExamples:
    """N texts and what is relevant to what among them."""

    texts: Sequence[str]
    labels: Indices
    """Label number of each text, (N,)."""
    pairs: Indices | None
    """Relevant pairs (query position, document position), (R, 2); None where equal labels make the pairs."""

    @classmethod
    def read(cls, folder: Path) -> "TrainingExamples":
        """Read a folder of training documents.

        Raises:
            InputError: this version cannot train on such documents.
            StorageError: the folder cannot be read.
        """
        check_trainable(folder)
        return cls.from_tables(read_table(folder, Split.TRAIN), read_relevance(folder))

    @classmethod
    def from_tables(cls, documents: pa.Table, relevance: pa.Table | None) -> "TrainingExamples":
        """Number the labels and turn judged ids into positions.

        Args:
            documents: Columns id, text and label.
            relevance: Columns of `documents.schema.RELEVANCE_COLUMNS`, or None for the labelled layout. Pairs with gain
                0, judged not relevant, are left out.
        """
        labels = documents["label"].combine_chunks().dictionary_encode().indices.to_numpy().astype(np.int64)
        return cls(documents["text"].to_pylist(), labels, _pair_positions(documents, relevance))


def check_trainable(folder: Path) -> None:
    """Check that this version can train on, and evaluate with, a folder of documents.

    Raises:
        InputError: it cannot.
        StorageError: the manifest cannot be read.
    """
    manifest = read_manifest(folder)
    error = untrainable(str(folder), manifest.layout, manifest.modalities)
    if error is not None:
        raise error


def untrainable(what: str, layout: Layout, modalities: Sequence[Modality]) -> InputError | None:
    """Return why this version can neither train on nor evaluate with documents, None where it can.

    Args:
        what: What to call the documents in the message.
        layout: What they were made from.
        modalities: Of the contents of a row.
    """
    media = sorted({modality.value for modality in modalities} - {Modality.TEXT.value})
    if layout in TRAINABLE_LAYOUTS and not media:
        return None
    found = f"layout {layout.value!r}" + (f" with contents of modality {', '.join(media)}" if media else "")
    return InputError(
        f"{what} holds documents of {found}, which this version can neither train on nor evaluate; it accepts texts "
        f"of the layouts {', '.join(TRAINABLE_LAYOUTS)}. What can be done with these documents: look at them with "
        "'embedtune summary', keep them as a data set with 'embedtune push', or load them with docarray. Otherwise "
        "give texts with labels or pairs."
    )


def _pair_positions(documents: pa.Table, relevance: pa.Table | None) -> Indices | None:
    if relevance is None:
        return None
    relevant = relevance.filter(pc.greater(relevance["relevance"], 0))
    position = {identifier: row for row, identifier in enumerate(documents["id"].to_pylist())}
    ends = zip(relevant["query_id"].to_pylist(), relevant["document_id"].to_pylist(), strict=True)
    return np.array([(position[query], position[document]) for query, document in ends], dtype=np.int64).reshape(-1, 2)

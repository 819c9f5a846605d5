"""Labels that seem to be wrong, among the held-out documents and those of the training where these are at hand."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from embedtune.models.contents import Contents, Indices
from embedtune.progress import note
from embedtune.retrieval.held_out import HeldOut
from embedtune.retrieval.label_noise import MOST_LISTED, MOST_ROWS, DoubtfulLabel, LabelNoise, find_doubts
from embedtune.retrieval.score_files import LABEL_NOISE_FILE
from embedtune.retrieval.training_documents import Pool, TrainingDocuments
from embedtune.retrieval.vectors import Embeddings
from embedtune.retrieval.whole_corpus import rows_not_among

if TYPE_CHECKING:
    from embedtune.models.comparing import Encoded


@dataclass(frozen=True, eq=False)
class Labelled:
    """Q held-out queries, D documents of the held-out index and T training documents, no content twice."""

    held_out: HeldOut
    queries: Indices
    """Rows of the queries (Q,)."""
    index: Indices
    """Rows of the index (D,)."""
    training: Pool | None
    """The T training documents; None where T is 0."""
    contents: int
    """How many there are, drawn or not."""

    @property
    def alone(self) -> Contents | None:
        """What the base encodes for this alone."""
        return None if self.training is None else self.training.contents

    @property
    def ids(self) -> list[str]:
        """Ids of the Q + D + T contents."""
        documents = self.held_out.documents
        trained = [] if self.training is None else self.training.ids
        return [*_at(documents.query_ids, self.queries), *_at(documents.index_ids, self.index), *trained]

    @property
    def labels(self) -> list[str]:
        """Their labels."""
        index_labels = self.held_out.index_labels
        trained = [] if self.training is None else self.training.labels
        found = [] if index_labels is None else _at(index_labels, self.index)
        return [*_at(self.held_out.documents.query_labels, self.queries), *found, *trained]

    def vectors(self, encoded: "Encoded") -> Embeddings:
        """Return what the base made of them, of all that it encoded."""
        held_out = [encoded.queries[self.queries], encoded.index[self.index]]
        return np.concatenate(held_out if encoded.alone is None else [*held_out, encoded.alone])

    def name(self, row: int) -> str:
        """Return a text as it is, and of another content the name of its file."""
        documents, first = self.held_out.documents, self.queries.size
        if row < first:
            return _at(documents.query_texts, self.queries[row : row + 1])[0]
        if row < first + self.index.size or self.training is None:
            return _at(documents.index_texts, self.index[row - first : row - first + 1])[0]
        return self.training.name(row - first - self.index.size)


def labelled_contents(held_out: HeldOut, training: TrainingDocuments | None, seed: int) -> Labelled | None:
    """Return what has labels, None where judged pairs say what is relevant; of very many contents some are drawn.

    Args:
        held_out: What is held out; it goes first.
        training: The training documents, None where they are not at hand.
        seed: Seed of the draw.
    """
    if held_out.index_labels is None:
        return None
    documents, draw = held_out.documents, np.random.default_rng(seed)
    index = np.arange(len(documents.index_ids))
    queries = rows_not_among(documents.query_ids, documents.index_ids)
    pool = None if training is None else training.index
    others = (
        np.empty(0, np.int64)
        if pool is None
        else rows_not_among(pool.ids, [*documents.index_ids, *documents.query_ids])
    )
    contents, left, kept = index.size + queries.size + others.size, MOST_ROWS, []
    for rows in (index, queries, others):
        kept.append(np.sort(draw.permutation(rows)[:left]))
        left -= kept[-1].size
    drawn = None if pool is None or not kept[2].size else pool.select(kept[2])
    return Labelled(held_out, kept[1], kept[0], drawn, contents)


def find_label_noise(labelled: Labelled | None, encoded: "Encoded") -> LabelNoise | None:
    """Look for labels that seem to be wrong, and say how many there are; None where there are no labels.

    Args:
        labelled: What `labelled_contents` returned.
        encoded: What the base made of it: the tuned model learns wrong labels by heart.
    """
    if labelled is None:
        return None
    ids, labels = labelled.ids, labelled.labels
    doubts = find_doubts(labelled.vectors(encoded), ids, labels)
    held_out = labelled.queries.size + labelled.index.size
    listed = tuple(
        DoubtfulLabel(
            id=ids[doubt.row],
            content=labelled.name(doubt.row),
            trained=doubt.row >= held_out,
            label=labels[doubt.row],
            doubt=doubt,
            nearest=tuple(map(labelled.name, doubt.nearest)),
        )
        for doubt in doubts[:MOST_LISTED]
    )
    noise = LabelNoise(listed, len(doubts), len(ids), labelled.contents)
    if noise.found:
        some = "" if noise.looked_at == noise.contents else f" that were drawn from {noise.contents:,}"
        note(
            f"Look here: the label of {noise.found:,} of {noise.looked_at:,} contents{some} seems to be wrong. "
            f"{LABEL_NOISE_FILE} lists them, the surest first."
        )
    return noise


def _at(values: Sequence[str], rows: Indices) -> list[str]:
    return [values[row] for row in rows.tolist()]

"""What two models are compared on: queries, an index, and which document is relevant to which query."""

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from embedtune.errors import InputError
from embedtune.records.layouts import Modality
from embedtune.retrieval.judgments import Judgments
from embedtune.retrieval.units import Units
from embedtune.retrieval.vectors import Embeddings


@dataclass(frozen=True, eq=False)
class ScoredPairs:
    """P pairs of a query and a document, with what people said of them."""

    queries: NDArray[np.int64]
    """Rows of the queries (P,)."""
    documents: NDArray[np.int64]
    """Rows of the index (P,)."""
    scores: NDArray[np.float64]
    """How similar the two are, 0 or more (P,)."""

    @classmethod
    def from_ids(
        cls, ends: Sequence[tuple[str, str]], scores: NDArray[np.float64], queries: Sequence[str], index: Sequence[str]
    ) -> "ScoredPairs":
        """Return pairs whose two ends are given by their ids."""
        query_rows, index_rows = ({identifier: row for row, identifier in enumerate(ids)} for ids in (queries, index))
        rows = np.array([(query_rows[one], index_rows[other]) for one, other in ends], np.int64).reshape(-1, 2)
        return cls(rows[:, 0], rows[:, 1], scores)


@dataclass(frozen=True, eq=False)
class EvaluationSet:
    """N queries, M index documents and the judgments between them."""

    query_ids: Sequence[str]
    """N different ids."""
    query_texts: Sequence[str]
    """N texts; of other contents the names of their files, each '' where it is not known."""
    query_labels: Sequence[str]
    """N labels; each '' where judged pairs say what is relevant."""
    index_ids: Sequence[str]
    """M different ids; a document with a query's id is never a result of it."""
    index_texts: Sequence[str]
    """M texts, or names of files."""
    judgments: Judgments
    """Relevance of the M documents to the N queries."""
    query_kind: Modality = Modality.TEXT
    """What the queries are."""
    index_kind: Modality = Modality.TEXT
    """What the documents are."""
    scored: ScoredPairs | None = None
    """The pairs, those of score 0 among them; only where the data have scores."""
    units: Units | None = None
    """What was held out together; None: each query by itself."""

    def __post_init__(self) -> None:
        """Check that the columns belong together."""
        queries, documents = len(self.query_ids), len(self.index_ids)
        lengths = {
            "query_texts": (len(self.query_texts), queries),
            "query_labels": (len(self.query_labels), queries),
            "judged queries": (self.judgments.query_groups.size, queries),
            "index_texts": (len(self.index_texts), documents),
            "judged index documents": (self.judgments.index_size, documents),
        }
        if self.units is not None:
            lengths["query units"] = (self.units.queries.size, queries)
            lengths["index units"] = (self.units.index.size, documents)
        for name, (length, expected) in lengths.items():
            if length != expected:
                raise InputError(f"There are {length} {name} for {expected} ids; they must be as many.")
        repeated = queries - len(set(self.query_ids))
        if repeated:
            raise InputError(f"{repeated} of {queries} query ids repeat an earlier one; each query needs its own id.")

    def select(self, queries: NDArray[np.int64]) -> "EvaluationSet":
        """Keep only these queries, in this order.

        Args:
            queries: Shape (n,): rows of the queries.
        """
        return dataclasses.replace(
            self,
            query_ids=[self.query_ids[row] for row in queries],
            query_texts=[self.query_texts[row] for row in queries],
            query_labels=[self.query_labels[row] for row in queries],
            judgments=self.judgments.select(queries),
            scored=None if self.scored is None else _pairs_of(self.scored, queries, len(self.query_ids)),
            units=None if self.units is None else self.units.select(queries),
        )

    def reversed(self) -> "EvaluationSet":
        """Return the set in which the documents are the queries, of judged pairs without scores."""
        return EvaluationSet(
            self.index_ids,
            self.index_texts,
            [""] * len(self.index_ids),
            self.query_ids,
            self.query_texts,
            self.judgments.reversed(),
            self.index_kind,
            self.query_kind,
            units=None if self.units is None else self.units.reversed(),
        )

    def digest(self) -> str:
        """Return `sha256:<hex>` over queries, index and judgments, in whatever order they come.

        Means over sets of equal digests compare. Ids stand for contents: see `documents.schema`.
        """
        order = np.array(sorted(range(len(self.index_ids)), key=self.index_ids.__getitem__), dtype=np.int64)
        places = np.empty_like(order)
        places[order] = np.arange(order.size)
        relevant = self.judgments.digests(places)
        facts: dict[str, object] = {
            "index": [self.index_ids[row] for row in order],
            "queries": sorted(zip(self.query_ids, relevant, strict=True)),
        }
        if self.scored is not None:
            ends = zip(self.scored.queries.tolist(), self.scored.documents.tolist(), strict=True)
            names = [(self.query_ids[query], self.index_ids[document]) for query, document in ends]
            facts["pairs"] = sorted(zip(names, self.scored.scores.tolist(), strict=True))
        return f"sha256:{hashlib.sha256(json.dumps(facts).encode()).hexdigest()}"


def _pairs_of(pairs: ScoredPairs, queries: NDArray[np.int64], count: int) -> ScoredPairs:
    """Return the pairs of some of `count` queries, numbered as these are."""
    places = np.full(count, -1, np.int64)
    places[queries] = np.arange(queries.size)
    kept = places[pairs.queries] >= 0
    return ScoredPairs(places[pairs.queries[kept]], pairs.documents[kept], pairs.scores[kept])


@dataclass(frozen=True, eq=False)
class Vectors:
    """One model's vectors for an evaluation set; two models may differ in d."""

    queries: Embeddings
    """Shape (N, d)."""
    index: Embeddings
    """Shape (M, d)."""
    distance: str = "cosine"
    """What they are compared by, one of `distances.DISTANCES`."""

    def of(self, queries: NDArray[np.int64]) -> "Vectors":
        """Keep only these queries, in this order (n,)."""
        return dataclasses.replace(self, queries=self.queries[queries])

    def reversed(self) -> "Vectors":
        """Return the vectors of a search from documents to queries."""
        return Vectors(self.index, self.queries, self.distance)

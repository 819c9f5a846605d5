"""Held-out queries in the whole corpus, and seen or new queries against seen or new documents."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, product

import numpy as np
from numpy.typing import NDArray

from embedtune.documents.schema import SplitRule
from embedtune.models.contents import Contents, Indices
from embedtune.models.digests import Digests
from embedtune.models.trained_texts import trained_digests
from embedtune.retrieval.cells import Cell
from embedtune.retrieval.comparison import SideTable
from embedtune.retrieval.evaluation_set import EvaluationSet
from embedtune.retrieval.held_out import HeldOut
from embedtune.retrieval.judgments import Judgments
from embedtune.retrieval.measuring import Contestant, Measured, measure_sides
from embedtune.retrieval.metric_names import Metric
from embedtune.retrieval.sides import TUNED
from embedtune.retrieval.training_documents import Pool, TrainingDocuments
from embedtune.retrieval.units import QUERIES, Units
from embedtune.retrieval.vectors import Embeddings

WHOLE_CORPUS = "whole corpus"
"""What the table is called; nothing that somebody names in evaluations can be called so."""

HITS = 10
"""First results of which is told how many the tuned model was trained on."""


@dataclass(frozen=True, eq=False)
class WholeCorpus:
    """N held-out queries and S that were trained on; M held-out documents and the T others that were trained on."""

    held_out: HeldOut
    queries: Pool
    """The S training queries."""
    documents: Pool
    """The T training documents that are not held out as well."""
    pairs: dict[tuple[str, str], float]
    """Gain by the ids of query and document; none where equal labels are relevant to each other."""
    seen: NDArray[np.bool_]
    """Which of all documents were trained on (M + T,)."""
    rule: str
    """Rule of the split."""

    @property
    def further(self) -> tuple[Contents, Contents]:
        """What is encoded beside the held-out contents: S queries and T documents."""
        return self.queries.contents, self.documents.contents

    @property
    def are_labelled(self) -> bool:
        """Whether equal labels are relevant to each other."""
        return self.held_out.index_labels is not None

    def part(self, queries: Indices, documents: Indices) -> EvaluationSet:
        """Return some of the N + S queries and of the M + T documents with what is relevant among these.

        Without texts and names of files, which nothing shows: those of all training documents may be gigabytes.

        Args:
            queries: Rows of the queries (n,).
            documents: Rows of the documents (m,).
        """
        held_out = self.held_out.documents
        query_ids, index_ids = (
            _at([*first, *second.ids], rows)
            for first, second, rows in (
                (held_out.query_ids, self.queries, queries),
                (held_out.index_ids, self.documents, documents),
            )
        )
        labels = _at(
            [*held_out.query_labels, *(self.queries.labels if self.are_labelled else [""] * self._drawn)], queries
        )
        return EvaluationSet(
            query_ids,
            [""] * queries.size,
            labels,
            index_ids,
            [""] * documents.size,
            self._judgments(query_ids, labels, index_ids, documents),
            held_out.query_kind,
            held_out.index_kind,
            units=self._units(queries, documents.size),
        )

    @property
    def _drawn(self) -> int:
        return len(self.queries.ids)

    def _judgments(
        self, query_ids: Sequence[str], labels: Sequence[str], index_ids: Sequence[str], documents: Indices
    ) -> Judgments:
        if self.held_out.index_labels is not None:
            index_labels = _at([*self.held_out.index_labels, *self.documents.labels], documents)
            return Judgments.from_labels(labels, query_ids, index_labels, index_ids)
        asked, searched = set(query_ids), set(index_ids)
        found = [ends for ends in self.pairs if ends[0] in asked and ends[1] in searched]
        gains = [self.pairs[ends] for ends in found]
        return Judgments.from_pairs(
            query_ids, index_ids, [one for one, _ in found], [other for _, other in found], gains
        )

    def _units(self, queries: Indices, documents: int) -> Units | None:
        """Return what an interval resamples: of training queries single ones, or their labels or components."""
        units = self.held_out.documents.units
        if units is None:
            return None
        after = int(units.queries.max(initial=-1)) + 1
        drawn = np.arange(self._drawn)
        if units.name != QUERIES and self._drawn:
            drawn = np.unique(np.array(self.queries.labels, dtype=object), return_inverse=True)[1]
        return Units(units.name, np.concatenate([units.queries, drawn + after])[queries], np.arange(documents))


def join_corpus(held_out: HeldOut, training: TrainingDocuments, rule: str, seed: int) -> WholeCorpus:
    """Put training documents beside the held-out ones, and draw as many training queries as are held out at most.

    Args:
        held_out: What the comparison that decides is over.
        training: What the tuned model was trained on.
        rule: Rule of the split.
        seed: Seed of the draw.
    """
    documents = held_out.documents
    rows, asked = rows_not_among(training.queries.ids, documents.query_ids), len(documents.query_ids)
    drawn = np.sort(np.random.default_rng(seed).permutation(rows)[:asked])
    others = training.index.select(rows_not_among(training.index.ids, documents.index_ids))
    trained = (training.queries,) if training.queries is training.index else (training.queries, training.index)
    digests = trained_digests(chain.from_iterable(pool.contents.all_stored() for pool in trained))
    seen = np.isin(trained_digests(held_out.index.all_stored()), digests)
    pairs = (
        {}
        if training.pairs is None
        else dict(zip(zip(*training.pairs[:2], strict=True), training.pairs[2], strict=True))
    )
    return WholeCorpus(
        held_out,
        training.queries.select(drawn),
        others,
        {**pairs, **_held_out_pairs(documents)} if training.pairs is not None else {},
        np.concatenate([seen, np.ones(len(others.ids), np.bool_)]),
        rule,
    )


def measure_whole(
    corpus: WholeCorpus,
    contestants: Sequence[Contestant],
    trained: Mapping[str, Digests | None],
    asked: Indices,
    *,
    metrics: Sequence[Metric],
    seed: int,
) -> SideTable:
    """Measure held-out queries in the whole corpus: what a search in all of the data is like.

    Args:
        corpus: Held-out and training documents.
        contestants: The sides, with what they made of all N + S queries and M + T documents.
        trained: Name of a side -> what it was trained on, None where that is not known.
        asked: Rows of the held-out queries that count.
        metrics: What to measure.
        seed: Seed of the bootstrap.
    """
    found, data = _measured(corpus, contestants, asked, np.arange(corpus.seen.size), metrics, seed)
    queries = corpus.held_out.queries
    documents = trained_digests(chain(corpus.held_out.index.all_stored(), corpus.documents.contents.all_stored()))
    searched = trained_digests(queries.all_stored())[asked]
    known = {one.name: trained[one.name] for one in contestants}
    of_tuned = known[TUNED]
    return SideTable(
        name=WHOLE_CORPUS,
        source="The held-out queries in every document of the data",
        metrics=found.metrics,
        differences=found.differences,
        queries=len(found.judged.query_ids),
        queries_without_relevant=asked.size - len(found.judged.query_ids),
        index_documents=corpus.seen.size,
        query_kind=data.query_kind.value,
        index_kind=data.index_kind.value,
        trained_queries={name: int(np.isin(searched, each).sum()) for name, each in known.items() if each is not None},
        trained_index={name: int(np.isin(documents, each).sum()) for name, each in known.items() if each is not None},
        trained_hits=_trained_hits(found, corpus.seen if of_tuned is None else np.isin(documents, of_tuned)),
    )


def measure_cells(
    corpus: WholeCorpus,
    contestants: Sequence[Contestant],
    asked: Indices,
    *,
    metrics: Sequence[Metric],
    seed: int,
) -> tuple[Cell, ...]:
    """Measure new and seen queries against new and seen documents, or say why that cannot be done.

    Args:
        corpus: Held-out and training documents.
        contestants: See `measure_whole`.
        asked: Rows of the held-out queries that count.
        metrics: What to measure.
        seed: Seed of the bootstrap.
    """
    held_out = len(corpus.held_out.documents.query_ids)
    rows = {True: asked, False: np.arange(held_out, held_out + len(corpus.queries.ids))}
    columns = {True: np.flatnonzero(~corpus.seen), False: np.flatnonzero(corpus.seen)}
    cells = []
    for new_queries, new_documents in product((True, False), repeat=2):
        queries, documents = rows[new_queries], columns[new_documents]
        part = corpus.part(queries, documents)
        if not part.judgments.relevant_counts().any():
            why = _why(corpus, new_queries, new_documents, documents.size)
            cells.append(Cell(new_queries, new_documents, 0, documents.size, why=why))
            continue
        found, _ = _measured(corpus, contestants, queries, documents, metrics, seed, part)
        count = len(found.judged.query_ids)
        cells.append(Cell(new_queries, new_documents, count, documents.size, found.metrics, found.differences))
    return tuple(cells)


def _why(corpus: WholeCorpus, new_queries: bool, new_documents: bool, documents: int) -> str:
    if documents == 0:
        return "All documents were trained on." if new_documents else "No document was trained on."
    if corpus.rule == SplitRule.GROUP and new_queries != new_documents:
        what = "labels" if corpus.are_labelled else "groups of connected pairs"
        asked, found = ("a held-out", "trained on") if new_queries else ("a training", "held out")
        return f"Whole {what} were held out, so nothing that is relevant to {asked} query was {found}."
    asked, found = ("held-out" if new_queries else "training"), ("new" if new_documents else "seen")
    return f"Nothing that is relevant to a {asked} query is among the {found} documents."


def _measured(
    corpus: WholeCorpus,
    contestants: Sequence[Contestant],
    queries: Indices,
    documents: Indices,
    metrics: Sequence[Metric],
    seed: int,
    part: EvaluationSet | None = None,
) -> tuple[Measured, EvaluationSet]:
    part = corpus.part(queries, documents) if part is None else part
    sides = [
        replace(
            one,
            vectors=replace(
                one.vectors,
                queries=one.vectors.queries[queries],
                index=_rows(one.vectors.index, documents),
            ),
            new=None if one.new is None else one.new[queries],
        )
        for one in contestants
    ]
    return measure_sides(part, sides, metrics=metrics, depth=HITS, seed=seed), part


def _trained_hits(found: Measured, seen: NDArray[np.bool_]) -> dict[str, float]:
    """Return of each side which share of its first results the tuned model was trained on."""
    shares = {}
    for side, result in found.results.items():
        first = result.ranking.indices[found.counted[side], :HITS]
        if (first >= 0).any():
            shares[side] = float(seen[first[first >= 0]].mean())
    return shares


def _held_out_pairs(documents: EvaluationSet) -> dict[tuple[str, str], float]:
    """Return the gains above 0 of judged pairs."""
    judgments = documents.judgments
    queries, rows = np.divmod(judgments.keys, judgments.index_size)
    ends = zip(_at(documents.query_ids, queries), _at(documents.index_ids, rows), strict=True)
    return dict(zip(ends, judgments.key_gains.tolist(), strict=True))


def rows_not_among(ids: Sequence[str], others: Sequence[str]) -> Indices:
    """Return the rows of the ids that are not among others."""
    known = set(others)
    return np.array([row for row, each in enumerate(ids) if each not in known], np.int64)


def _rows(vectors: Embeddings, rows: Indices) -> Embeddings:
    """Return ascending rows (n,) of vectors (N, d): without a copy where they follow each other."""
    follow = rows.size > 0 and int(rows[-1] - rows[0]) == rows.size - 1
    return vectors[rows[0] : rows[-1] + 1] if follow else vectors[rows]


def _at(values: Sequence[str], rows: Indices) -> list[str]:
    return [values[row] for row in rows.tolist()]

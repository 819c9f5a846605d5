"""Hold out a share of training documents once more: by the rules, and the code, that held out the evaluation's."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from embedtune.documents.assignment import relevance_table
from embedtune.documents.distinct_contents import (
    NO_CONTENT,
    DistinctContents,
    Flags,
    Numbers,
    fingerprint,
    number_contents,
)
from embedtune.documents.document_set import DocumentSet, build_document_set
from embedtune.documents.row_uses import Use
from embedtune.documents.schema import LABEL_COLUMN, SCORE_COLUMN, ContentColumns, SplitColumns, SplitRule
from embedtune.documents.split import split_documents
from embedtune.errors import InputError
from embedtune.progress import silent
from embedtune.records.layouts import RELEVANCE_COLUMN, Modality

SHARE_OPTION = "validation_share"
"""What the share is called where people set it."""

_Sides = list[Numbers]


@dataclass(frozen=True, eq=False)
class ValidationSplit:
    """Which training documents are still trained on, and which are searched with and in."""

    rule: SplitRule
    """STRATIFIED or GROUP."""
    train: pa.Array
    """Ids of the Documents that are trained on."""
    train_relevance: pa.Table | None
    """The judged pairs between them, None where the folder has none."""
    queries: pa.Array
    """Ids of the held-out contents that search."""
    index: pa.Array
    """Ids of the held-out contents that are searched in."""
    relevance: pa.Table | None
    """The judged pairs between queries and index; None where equal labels make the pairs."""


def split_training(
    documents: pa.Table, form: SplitColumns, relevance: pa.Table | None, rule: SplitRule, share: float, seed: int
) -> ValidationSplit:
    """Hold out a share of training documents so that no content, up to spelling, is on both sides.

    Args:
        documents: The training documents, with the columns of `form.schema` and loaded contents.
        form: What they hold.
        relevance: The judged pairs, or None where the folder has none.
        rule: How to hold out; AUTO chooses as for an evaluation.
        share: Share of the documents to hold out, above 0 and below 1.
        seed: Seed of the draws.

    Raises:
        InputError: the documents do not allow such a split, or leave nothing to train or to validate on.
    """
    corpus = _corpus(_rows_of(documents, form, relevance), seed)
    try:
        plan = split_documents(corpus, rule, share, SHARE_OPTION)
    except InputError as error:
        raise InputError(
            f"train_options: {SHARE_OPTION} is {share!r}, but so much of the training documents cannot be held out. "
            f"{error} Or leave {SHARE_OPTION} at 0: then nothing is validated on."
        ) from error
    has_judgments = relevance is not None
    return ValidationSplit(
        rule=SplitRule(plan.rule),
        train=_where(corpus.judgments.ids, plan.train_pairs) if form.is_parent else _where(corpus.ids, plan.train),
        train_relevance=relevance_table(corpus, plan.train_pairs) if has_judgments else None,
        queries=_where(corpus.ids, plan.query),
        index=_where(corpus.ids, plan.index),
        relevance=relevance_table(corpus, plan.evaluation_pairs),
    )


def _where(ids: pa.Array, members: Flags) -> pa.Array:
    return ids.filter(pa.array(members))


def _corpus(contents: DistinctContents, seed: int) -> DocumentSet:
    # In silence: the building of the documents took as long, and the training takes much longer.
    prints = fingerprint(contents.values, contents.texts, True, seed, silent)
    uses = np.where(contents.first == NO_CONTENT, Use.DOCUMENT, Use.OPEN).astype(np.int8)
    return build_document_set(contents, prints, uses)


def _rows_of(documents: pa.Table, form: SplitColumns, relevance: pa.Table | None) -> DistinctContents:
    """Return the rows that such documents could have been made of."""
    columns = [documents[_telling_column(content)] for content in form.contents]
    values, texts, numbers = number_contents(columns, [content.modality for content in form.contents])
    rows = [np.arange(len(documents))] * len(form.contents)
    labels, row_values = pa.nulls(1, pa.large_string()), {}
    if relevance is not None:
        rows, gains = _judged_rows(documents, relevance)
        numbers = [np.where(side == NO_CONTENT, NO_CONTENT, numbers[0][side]) for side in rows]
        row_values = {RELEVANCE_COLUMN: pa.chunked_array([gains])}
    elif not form.is_parent:
        encoded = documents[LABEL_COLUMN].combine_chunks().dictionary_encode()
        labels = encoded.dictionary
        numbers = [*numbers, encoded.indices.to_numpy().astype(np.int64)]
    elif form.has_score:
        row_values = {SCORE_COLUMN: documents[SCORE_COLUMN]}
    return DistinctContents(
        rows_format=form.rows_format,
        starts=np.array([0, len(rows[0])]),
        lines=np.arange(len(rows[0])),
        sources=None,
        values=values,
        texts=texts,
        first=numbers[0],
        second=numbers[1],
        labels=labels,
        uris=_uris(documents, form, rows),
        row_values=row_values,
    )


def _telling_column(content: ContentColumns) -> str:
    """Return the column that tells one content from another: the texts, or the ids, which are digests."""
    return content.column if content.modality is Modality.TEXT else content.id_column


def _judged_rows(documents: pa.Table, relevance: pa.Table) -> tuple[_Sides, pa.Array]:
    """Return the numbers of the two documents of each judged pair, and its gain.

    A document that nobody judged is in a row of its own, without a query.
    """
    ids = documents["id"].combine_chunks()
    queries, answers = (
        pc.index_in(relevance[name].cast(ids.type), value_set=ids).to_numpy().astype(np.int64)
        for name in ("query_id", "document_id")
    )
    alone = np.setdiff1d(np.arange(len(ids)), np.concatenate([queries, answers]))
    sides = [np.append(queries, np.full(len(alone), NO_CONTENT)), np.append(answers, alone)]
    gains = np.append(relevance["relevance"].to_numpy(), np.zeros(len(alone))).astype(np.float32)
    return sides, pa.array(gains)


def _uris(documents: pa.Table, form: SplitColumns, rows: _Sides) -> tuple[pa.ChunkedArray | None, ...]:
    """Return for each content of a row where it came from, by which messages name it; None of texts."""
    contents = form.contents if len(form.contents) == len(rows) else form.contents * len(rows)
    return tuple(
        None if content.modality is Modality.TEXT else documents[content.uri_column].take(pa.array(side.clip(min=0)))
        for content, side in zip(contents, rows, strict=True)
    )

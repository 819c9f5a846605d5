"""Which row of which rows file becomes which Document: all that the writing of documents needs to know."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa

from embedtune.documents.distinct_contents import Codes, Flags, Numbers
from embedtune.documents.document_set import DocumentSet
from embedtune.documents.schema import ASSIGNMENT_SCHEMA, RELEVANCE_SCHEMA, Role, Side, Split
from embedtune.documents.split import SplitPlan
from embedtune.records.layouts import SPLIT_COLUMN


@dataclass(frozen=True, eq=False)
class _Members:
    """The N Documents of one split, in the order of their rows."""

    split: Split
    homes: Numbers
    """As DocumentSet.homes (N,)."""
    side: Side | None
    """Where all contents of a row become one Document; None where `homes` tells the side."""
    ids: pa.Array
    """(N,)."""
    labels: Numbers
    """Numbers of the labels (N,)."""
    roles: Codes | None
    """0, 1, 2 for the roles in their order (N,), or None."""


def assign(corpus: DocumentSet, plan: SplitPlan) -> tuple[pa.Table, ...]:
    """Return ASSIGNMENT_SCHEMA for each rows file of the corpus; each Document of a split is in exactly one of them."""
    splits = list(_splits(corpus, plan))
    starts = corpus.contents.starts
    return tuple(
        pa.concat_tables(
            [_table(corpus, members, int(start), int(stop)) for members in splits], promote_options="none"
        ).combine_chunks()
        for start, stop in pairwise(starts)
    )


def _splits(corpus: DocumentSet, plan: SplitPlan) -> Iterator[_Members]:
    """Yield the splits in the order of their names."""
    if not corpus.layout.is_trainable:
        yield _contents(corpus, Split.CORPUS, plan.train)
        return
    yield _contents(corpus, Split.INDEX, plan.index)
    yield _contents(corpus, Split.QUERY, plan.query)
    if corpus.layout.has_parents:
        yield _parents(corpus, plan.train_pairs)
    else:
        roles = _roles(corpus, plan.train_pairs) if corpus.layout.has_roles else None
        yield _contents(corpus, Split.TRAIN, plan.train, roles)


def _contents(corpus: DocumentSet, split: Split, members: Flags, roles: Codes | None = None) -> _Members:
    numbers = np.flatnonzero(members)
    numbers = numbers[np.argsort(corpus.homes[numbers], kind="stable")]
    return _Members(
        split=split,
        homes=corpus.homes[numbers],
        side=None,
        ids=corpus.ids.take(pa.array(numbers)),
        labels=corpus.labels[numbers],
        roles=None if roles is None else roles[numbers],
    )


def _parents(corpus: DocumentSet, members: Flags) -> _Members:
    judgments = corpus.judgments
    numbers = np.flatnonzero(members)
    numbers = numbers[np.argsort(judgments.rows[numbers], kind="stable")]
    return _Members(
        split=Split.TRAIN,
        homes=2 * judgments.rows[numbers],
        side=Side.PARENT,
        ids=judgments.ids.take(pa.array(numbers)),
        labels=corpus.labels[judgments.pairs[numbers, 0]],
        roles=None,
    )


def _roles(corpus: DocumentSet, train_pairs: Flags) -> Codes:
    """Return the number of each training document's Role (D,)."""
    pairs = corpus.pairs[train_pairs]
    numbers = np.zeros(len(corpus), np.int8)
    numbers[pairs[:, 0]] |= 1
    numbers[pairs[:, 1]] |= 2
    # What nobody judged is there to be searched in.
    numbers[numbers == 0] = 2
    return numbers - np.int8(1)


def _table(corpus: DocumentSet, members: _Members, start: int, stop: int) -> pa.Table:
    """Return the Documents of one split that are written from the rows `start`..`stop`-1."""
    part = slice(*np.searchsorted(members.homes, [2 * start, 2 * stop]))
    homes = members.homes[part]
    count = len(homes)
    sides = homes % 2 if members.side is None else np.full(count, members.side)
    roles = pa.nulls(count, pa.string())
    if members.roles is not None:
        names = pa.array([Role.QUERY, Role.DOCUMENT, Role.BOTH], pa.string())
        roles = names.take(pa.array(members.roles[part]))
    columns = [
        pa.repeat(pa.scalar(members.split.value), count),
        homes // 2 - start,
        sides.astype(np.int8),
        members.ids[part],
        corpus.label_names.take(pa.array(members.labels[part])).cast(pa.string()),
        roles,
    ]
    return pa.table(columns, schema=ASSIGNMENT_SCHEMA)


def relevance_table(corpus: DocumentSet, members: Flags, divided: bool = False) -> pa.Table | None:
    """Return some judged pairs (P,) with RELEVANCE_SCHEMA, or None where rows have one content.

    Divided, it tells the split of each pair where the source gives it one (DIVIDED_SCHEMA).
    """
    if not corpus.contents.has_pairs:
        return None
    pairs = corpus.pairs[members]
    ends = [corpus.ids.take(pa.array(pairs[:, side])) for side in (0, 1)]
    table = pa.table([*ends, corpus.judgments.gains[members]], schema=RELEVANCE_SCHEMA)
    if not divided or not corpus.contents.split_names:
        return table
    splits = corpus.contents.row_values[SPLIT_COLUMN].take(pa.array(corpus.judgments.rows[members]))
    return table.append_column(SPLIT_COLUMN, splits)

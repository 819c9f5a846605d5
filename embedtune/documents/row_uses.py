"""What each row is used for: judgments to split, official training or test judgments, or its document alone."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from embedtune.documents.distinct_contents import NO_CONTENT, DistinctContents
from embedtune.documents.fingerprints import Codes, Flags, Numbers
from embedtune.records.layouts import SPLIT_COLUMN

_TRAIN, _DEV, _TEST = "train", "dev", "test"


class Use(IntEnum):
    """What a row is used for; those from OPEN on are judgments."""

    NOTHING = 0
    """It is set aside."""

    DOCUMENT = 1
    """Its document is one to search in; nothing is known about its relevance."""

    OPEN = 2
    """It is for training or for evaluation, which the split decides."""

    TRAIN = 3
    """It is for training, as its source says."""

    EVALUATION = 4
    """It is for evaluation, as its source says."""


@dataclass(frozen=True)
class LeftOut:
    """Judgments that are not used although nothing is wrong with them."""

    unanswered_queries: int
    """Queries without any relevant document."""
    overlapping_judgments: int
    """Official training judgments of a content that is an official evaluation query."""
    other_judgments: int
    """Official judgments of a split that is used for neither training nor evaluation."""


def declared_uses(contents: DistinctContents, follow_split: bool) -> Codes:
    """Return what each row is used for as far as its source says (R,): Use; all judgments are open if none is followed.

    Where the judgments of beir are divided into two or three splits, the test split is for the evaluation, or dev where
    there is no test; train is for training, or dev where there is no train. With train and test, dev is not used: it is
    neither trained on nor measured, so that the numbers compare with published ones. Judgments without a split are for
    training.
    """
    uses = np.where(contents.first == NO_CONTENT, Use.DOCUMENT, Use.OPEN).astype(np.int8)
    if not contents.layout.has_splits or not follow_split:
        return uses
    splits = contents.row_values[SPLIT_COLUMN]
    judged = uses == Use.OPEN
    named = {name for name in (_TRAIN, _DEV, _TEST) if np.any(_equals(splits, name) & judged)}
    if len(named) < 2:
        return uses
    evaluation = _TEST if _TEST in named else _DEV
    training = _TRAIN if _TRAIN in named else _DEV
    uses[judged] = Use.DOCUMENT
    uses[judged & (_equals(splits, training) | _equals(splits, ""))] = Use.TRAIN
    uses[judged & _equals(splits, evaluation)] = Use.EVALUATION
    return uses


def _equals(column: pa.ChunkedArray, value: str) -> Flags:
    equal: Flags = pc.equal(column, value).to_numpy()
    return equal


def decide_uses(
    contents: DistinctContents,
    keys: Numbers,
    declared: Codes,
    usable: Flags,
) -> tuple[Codes, LeftOut]:
    """Return what each row is used for in the end (R,), and what is left out.

    A document of beir stays in the corpus whatever is wrong with its judgments. An official training judgment goes
    where an end of it is an official evaluation query. A query without any relevant document can neither be learnt from
    nor measured: its judgments go, its documents stay to be searched in.

    Args:
        contents: The rows.
        keys: Content key of each content (T,).
        declared: What `declared_uses` returned (R,).
        usable: Rows without a fault (R,).
    """
    uses = declared.copy()
    uses[~usable] = Use.DOCUMENT if contents.layout.has_splits else Use.NOTHING
    if not contents.layout.is_ranked:
        return uses, LeftOut(0, 0, 0)
    other = int(np.count_nonzero((declared == Use.DOCUMENT) & (contents.first != NO_CONTENT)))
    overlapping = _overlapping(contents, keys, uses)
    uses[overlapping] = Use.DOCUMENT
    unanswered, queries = _unanswered(contents, keys, uses)
    uses[unanswered] = Use.DOCUMENT
    return uses, LeftOut(queries, int(np.count_nonzero(overlapping)), other)


def _overlapping(contents: DistinctContents, keys: Numbers, uses: Codes) -> Flags:
    """Tell which training judgments touch an evaluation query (R,)."""
    asked = np.zeros(int(keys.max()) + 1, np.bool_)
    asked[keys[contents.first[uses == Use.EVALUATION]]] = True
    # A row without a query is no training judgment, whatever the content before the first one is.
    touching: Flags = asked[keys[contents.first]] | asked[keys[contents.second]]
    touching &= uses == Use.TRAIN
    return touching


def _unanswered(contents: DistinctContents, keys: Numbers, uses: Codes) -> tuple[Flags, int]:
    """Tell which judgments are of a query without a relevant document (R,), and the number of these queries."""
    judged = uses >= Use.OPEN
    codes = keys[contents.first] * len(Use) + uses
    answered = np.zeros((int(keys.max()) + 1) * len(Use), np.bool_)
    answered[codes[judged & (contents.gains() > 0)]] = True
    unanswered = judged & ~answered[codes]
    return unanswered, len(np.unique(codes[unanswered]))

"""What each row is used for, or why it is set aside: it contradicts others or itself, which too many must not."""

import csv
import io
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from embedtune.documents.distinct_contents import NO_CONTENT, Codes, DistinctContents, Fingerprints, Flags, Numbers
from embedtune.records.layouts import SCORE_COLUMN, SPLIT_COLUMN
from embedtune.records.output import Part, QuarantineWriter
from embedtune.storage.atomic import atomic_path
from embedtune.text import excerpt

_TRAIN, _DEV, _TEST = "train", "dev", "test"

USABLE = 0
"""Fault number of a row that can be used."""

_SEVERAL_LABELS = 1
_SAME_CONTENT = 2
_SEVERAL_SCORES = 3
_SEVERAL_GAINS = 4

FAULT_REASONS = {
    _SEVERAL_LABELS: "the same content has several labels",
    _SAME_CONTENT: "query and document are the same content up to case, Unicode form and white space",
    _SEVERAL_SCORES: "the same two contents have several scores",
    _SEVERAL_GAINS: "the same document is judged differently for the same query",
}
"""Why a row is set aside, by fault number."""


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


def decide_uses(contents: DistinctContents, keys: Numbers, declared: Codes, usable: Flags) -> tuple[Codes, LeftOut]:
    """Return what each row is used for in the end (R,), and what is left out.

    A document of beir stays in the corpus whatever is wrong with its judgments. An official training judgment goes
    where an end of it is an official evaluation query. A query without any relevant document can neither be learnt from
    nor measured: its judgments go, its documents stay to be searched in. Given are the content key of each content
    (T,), what `declared_uses` returned (R,), and which rows have no fault (R,).
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


def find_faults(contents: DistinctContents, prints: Fingerprints, uses: Codes) -> Codes:
    """Return the fault number of each row (R,): USABLE or a key of FAULT_REASONS.

    Of rows that contradict each other all are at fault: which one is right, nobody here can know. Contents are compared
    up to case, Unicode form and white space, except for their labels: there each spelling is a document of its own.
    Official judgments contradict only others with their use (R,).
    """
    faults = np.full(len(contents.lines), USABLE, np.int8)
    if contents.layout.has_labels:
        faults[_has_several(contents.first, contents.second)] = _SEVERAL_LABELS
        return faults
    if not contents.has_pairs:
        return faults
    judged = np.flatnonzero(uses >= Use.OPEN)
    first, second = prints.keys[contents.first[judged]], prints.keys[contents.second[judged]]
    if contents.row_values:
        codes = (first * len(prints.draws) + second) * len(Use) + uses[judged]
        pairs = np.unique(codes, return_inverse=True)[1]
        fault = _SEVERAL_SCORES if SCORE_COLUMN in contents.row_values else _SEVERAL_GAINS
        faults[judged[_has_several(pairs, contents.gains()[judged])]] = fault
    # Two equal sentences with the score 1 are a fair example; a text is never an image.
    if contents.layout.has_roles:
        faults[judged[first == second]] = _SAME_CONTENT
    return faults


def _has_several(numbers: Numbers, values: npt.NDArray[np.int64 | np.float32]) -> Flags:
    """Tell for each row whether rows with its number, 0 or more, have more than one value (R,)."""
    count = int(numbers.max(initial=-1)) + 1
    one = np.zeros(count, values.dtype)
    one[numbers] = values
    several = np.zeros(count, np.bool_)
    several[numbers[values != one[numbers]]] = True
    return several[numbers]


def set_aside(path: Path, contents: DistinctContents, faults: Codes, max_bad_share: float) -> None:
    """Write the rows with a fault, with line and reason, even if there are none; refuse more than a share of them."""
    with atomic_path(path) as part, part.open("w", encoding="utf-8", newline="") as file:
        writer = QuarantineWriter(file, contents.sources is not None)
        for number in np.flatnonzero(faults != USABLE).tolist():
            reason = FAULT_REASONS[int(faults[number])]
            writer.add(int(contents.lines[number]), reason, _as_csv(contents, number), contents.source(number))
    writer.check_shares([Part(None, "Building the documents", len(faults))], max_bad_share, path)


def _as_csv(contents: DistinctContents, number: int) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(contents.row(number))
    return line.getvalue()


def count_reasons(contents: DistinctContents, faults: Codes) -> tuple[tuple[str, int, str], ...]:
    """Return each reason that rows were set aside for, how many were, and the cells of the first one.

    The most frequent comes first; how the rows are divided into files makes no difference.
    """
    found = []
    for fault, reason in FAULT_REASONS.items():
        rows = np.flatnonzero(faults == fault)
        if rows.size:
            found.append((reason, len(rows), ", ".join(map(excerpt, contents.row(int(rows[0]))))))
    return tuple(sorted(found, key=lambda entry: -entry[1]))

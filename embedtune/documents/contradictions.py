"""Rows that contradict others or themselves: found, written down, and too many of them refused."""

import csv
import io
from pathlib import Path

import numpy as np
import numpy.typing as npt

from embedtune.documents.distinct_contents import DistinctContents
from embedtune.documents.fingerprints import Codes, Fingerprints, Flags, Numbers
from embedtune.documents.row_uses import Use
from embedtune.records.layouts import SCORE_COLUMN
from embedtune.records.output import Part, QuarantineWriter
from embedtune.storage.atomic import atomic_path
from embedtune.text import excerpt

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
            found.append((reason, len(rows), _cells(contents, int(rows[0]))))
    return tuple(sorted(found, key=lambda entry: -entry[1]))


def _cells(contents: DistinctContents, number: int) -> str:
    return ", ".join(excerpt(cell) for cell in contents.row(number))

"""Rows that cannot become documents: written down, and too many of them refused."""

import csv
import io
from pathlib import Path

import numpy as np
import numpy.typing as npt

from embedtune.documents.contents import FAULT_REASONS, USABLE, Contents
from embedtune.errors import InputError
from embedtune.records.quarantine import QuarantineWriter
from embedtune.storage.atomic import atomic_path
from embedtune.text import excerpt

_EXAMPLES = 3


def write_quarantine(path: Path, contents: Contents, faults: npt.NDArray[np.int8]) -> QuarantineWriter:
    """Write the rows with a fault, with line and reason.

    Args:
        path: The quarantine file; written also where no row has a fault.
        contents: The rows (R).
        faults: The fault number of each row (R,).

    Returns:
        What was written, for `check_bad_share`.

    Raises:
        StorageError: The file cannot be written.
    """
    with atomic_path(path) as part, part.open("w", encoding="utf-8", newline="") as file:
        writer = QuarantineWriter(file)
        for number in np.flatnonzero(faults != USABLE).tolist():
            writer.add(int(contents.lines[number]), FAULT_REASONS[int(faults[number])], _as_csv(contents, number))
    return writer


def _as_csv(contents: Contents, number: int) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(contents.row(number))
    return line.getvalue()


def check_bad_share(
    contents: Contents, faults: npt.NDArray[np.int8], max_bad_share: float, quarantine: Path, rejected: QuarantineWriter
) -> None:
    """Refuse rows of which too many have a fault.

    Args:
        contents: The rows (R).
        faults: The fault number of each row (R,).
        max_bad_share: Largest share of rows with a fault to accept, 0..1.
        quarantine: Where these rows were written.
        rejected: What wrote them.

    Raises:
        InputError: More rows than that have a fault, or all have.
    """
    bad = np.flatnonzero(faults != USABLE)
    rows = len(faults)
    if len(bad) <= max_bad_share * rows and len(bad) < rows:
        return
    rejected.show_first()
    reasons = "; ".join(
        f"{np.count_nonzero(faults == fault)} x {reason}" for fault, reason in FAULT_REASONS.items() if fault in faults
    )
    examples = "; ".join(_example(contents, number) for number in bad[:_EXAMPLES].tolist())
    raise InputError(
        f"{len(bad)} of {rows} rows ({len(bad) / rows:.1%}) cannot be used; max_bad_share={max_bad_share} accepts at "
        f"most {max_bad_share:.1%}. Reasons: {reasons}. Examples: {examples}. All of them are in {quarantine}. Correct "
        "these rows (one label per text, different texts in a pair) or raise max_bad_share."
    )


def _example(contents: Contents, number: int) -> str:
    first, second = contents.row(number)
    return f"line {contents.lines[number]}: {excerpt(first)}, {excerpt(second)}"

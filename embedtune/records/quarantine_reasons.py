"""What a quarantine file says, in a few lines."""

import csv
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from embedtune.errors import InputError, StorageError
from embedtune.records.quarantine import QUARANTINE_COLUMNS, RAISE_SHARE
from embedtune.text import shortened

_ROW_CHARACTERS = 200

_MOST_CHARACTERS = 2**31 - 1
_LOOKED_THROUGH = 20_000
_BETWEEN_CELLS = re.compile(r"[\",;|\t\r\n]+")

_LEAST_CELL = 4
"""Characters of a cell that is looked for in a reason; a shorter one may be a word of the reason by chance."""


def read_reasons(*paths: Path) -> tuple[tuple[str, int, str], ...]:
    """Count the reasons in quarantine files.

    Args:
        paths: Files that a `QuarantineWriter` wrote.

    Returns:
        Each reason, how many rows have it, and the first of these as it stands in the file, shortened; the most
        frequent reason first. What a reason says of one row only, such as the address of its image, is '…'.

    Raises:
        StorageError: it cannot be read, or is no quarantine file.
    """
    counts: dict[str, int] = {}
    first: dict[str, str] = {}
    for path in paths:
        for reason, text in _read_rows(path):
            told = _without_cells(reason, text)
            counts[told] = counts.get(told, 0) + 1
            first.setdefault(told, shortened(text, _ROW_CHARACTERS))
    order = sorted(counts, key=lambda reason: -counts[reason])
    return tuple((reason, counts[reason], first[reason]) for reason in order)


def without_place(error: InputError, *paths: Path) -> InputError:
    """Return an error that does not name quarantine files that are gone when it is read."""
    told = str(error)
    for path in paths:
        told = told.replace(f" All of them are in {path}.", "")
    return InputError(told)


def without_options(error: InputError, *advice: str) -> InputError:
    """Return an error that advises no option that cannot be set where the rows are read.

    Args:
        error: A refusal of bad rows, or any other error, which stays as it is.
        advice: SET_OPTIONS where the CSV options cannot be set; max_bad_share is never advised.
    """
    told = str(error)
    for unwanted in advice:
        told = told.replace(f", {unwanted}", ", ")
    return InputError(re.sub(f",? {re.escape(RAISE_SHARE)}$", ".", told))


def _read_rows(path: Path) -> Iterator[tuple[str, str]]:
    try:
        with any_field_size(), path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                yield row["reason"], row["row"]
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise StorageError(
            f"{path} cannot be read as a quarantine file with the columns {', '.join(QUARANTINE_COLUMNS)}."
        ) from error


@contextmanager
def any_field_size() -> Iterator[None]:
    """Lift the csv module's process-wide limit for a while: a row of many long values is one value here."""
    before = csv.field_size_limit(_MOST_CHARACTERS)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _without_cells(reason: str, row: str) -> str:
    cells = {cell.strip() for cell in _BETWEEN_CELLS.split(row[:_LOOKED_THROUGH])}
    for cell in sorted(cells, key=len, reverse=True):
        if len(cell) >= _LEAST_CELL:
            reason = reason.replace(cell, "…")
    return reason

"""A quarantine file that goes on where an earlier step stopped."""

import csv
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from embedtune.records.quarantine import QUARANTINE_SOURCE, QuarantineWriter
from embedtune.records.quarantine_reasons import any_field_size


@contextmanager
def continued_quarantine(
    earlier: Path, part: Path, several_sources: bool
) -> Iterator[tuple[QuarantineWriter, Counter[str]]]:
    """Write a new quarantine file that begins with the rows of an earlier one.

    Args:
        earlier: Written by QuarantineWriter, or not there.
        part: The new file.
        several_sources: Whether a new file names the file of each row; one that goes on does what it did before.

    Yields:
        The writer of further rows, and the number of rows that were in the earlier file, by their sources.
    """
    if earlier.exists():
        with earlier.open(encoding="utf-8", newline="") as lines:
            several_sources = QUARANTINE_SOURCE in next(csv.reader(lines), ())
    with part.open("w", encoding="utf-8", newline="") as file:
        writer = QuarantineWriter(file, several_sources)
        yield writer, _copy_rejected(earlier, file) if earlier.exists() else Counter()


def _copy_rejected(earlier: Path, file: TextIO) -> Counter[str]:
    with earlier.open(encoding="utf-8", newline="\n") as lines:
        lines.readline()
        shutil.copyfileobj(lines, file)
    with any_field_size(), earlier.open(encoding="utf-8", newline="") as lines:
        return Counter(row.get(QUARANTINE_SOURCE) or "" for row in csv.DictReader(lines))

"""What reading a source writes: the rows, and in a quarantine file those that cannot be used, with line and reason."""

import csv
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from embedtune.errors import ConfigError, InputError, StorageError
from embedtune.records.rows import IngestReport, RowsFormat, RowsWriter, open_rows
from embedtune.storage.atomic import PART_SUFFIX, atomic_path
from embedtune.text import excerpt, shortened, spreadsheet_cell

_COLUMNS = ("line", "reason", "row")
"""Header of a quarantine file; `row` is the text of the row as it stands in the source."""

_SOURCE = "source"
"""Fourth column of a quarantine file where the rows come from several files: the name of the row's file."""

SET_OPTIONS = "set the CSV options if the file was read wrongly, "
_RAISE_SHARE = "or raise max_bad_share."

_BATCH_ROWS = 10_000
_BATCH_BYTES = 8 << 20
_FIRST_ROWS = 20
_MOST_TOLD = 3
_ROW_CHARACTERS = 200
_MOST_CHARACTERS = 2**31 - 1
_LOOKED_THROUGH = 20_000
_USER = re.compile(r"(https?://)[^\s/@\"',;]+@", re.IGNORECASE)
_QUERY = re.compile(r"(https?://[^\s?\"',;]+)\?[^\s\"',;]*", re.IGNORECASE)
_BETWEEN_CELLS = re.compile(r"[\",;|\t\r\n]+")

Watch = Callable[[Sequence[Sequence[object]]], None]

_LEAST_CELL = 4
"""Characters of a cell that is looked for in a reason; a shorter one may be a word of the reason by chance."""


def check_share(max_bad_share: float) -> None:
    """Raise ConfigError unless a largest accepted share of bad rows is a share."""
    if not 0 <= max_bad_share <= 1:
        raise ConfigError(f"max_bad_share={max_bad_share!r} is not a share. Give a number from 0 to 1.")


@dataclass(frozen=True)
class Part:
    """What was read of one file of a source."""

    name: str | None
    """The `source` of its bad rows, which counts where there are several; None for those of all together."""
    origin: str
    """What to call it in a message, perhaps with how it was read."""
    total: int
    """Its rows, good and bad."""


class QuarantineWriter:
    """Writes a quarantine file and remembers its first reasons."""

    def __init__(self, file: TextIO, several_sources: bool = False) -> None:
        """Write the header to a file opened as UTF-8 with newline=''; several sources have the fourth column."""
        self.counts = Counter[str]()  # rows written so far, by their sources; under '' where there is only one
        self._first: dict[str, list[str]] = {}
        self._several = several_sources
        self._writer = csv.writer(file, lineterminator="\n")
        self._writer.writerow((*_COLUMNS, _SOURCE) if several_sources else _COLUMNS)

    @property
    def first(self) -> list[str]:
        """The first few rows: '[file ]line N: reason: row', the row cut and its web addresses without secrets."""
        return [row for rows in self._first.values() for row in rows][:_FIRST_ROWS]

    def add(self, line: int, reason: str, row: str, source: str = "") -> None:
        """Set one bad row aside; `source` is the name of its file, '' where it does not matter."""
        self.counts[self._key(source)] += 1
        first = self._first.setdefault(self._key(source), [])
        if len(first) < _FIRST_ROWS:
            place = f"{source} line {line}" if self._several and source else f"line {line}"
            first.append(f"{place}: {reason}: {excerpt(_without_secrets(row))}")
        self.add_uncounted(line, reason, row, source)

    def add_uncounted(self, line: int, reason: str, row: str, source: str = "") -> None:
        """Set a row aside that is no bad one, such as a footer."""
        cells: tuple[object, ...] = (line, spreadsheet_cell(reason), spreadsheet_cell(row))
        self._writer.writerow((*cells, spreadsheet_cell(source)) if self._several else cells)

    def forget_first(self) -> None:
        """Let the first reasons be those of what follows; the counts stay."""
        self._first.clear()

    def check_shares(
        self, parts: Sequence[Part], max_bad_share: float, quarantine: Path, what: str = "rows", cure: str = ""
    ) -> None:
        """Raise InputError if more than a share of any part was set aside, or all of it, with the first such part.

        Each file is judged alone, so that a large one does not hide a small one that is lost. The first rows of the
        refused one are printed, too: in a pod, nobody reaches a failed task's files. For the message, `quarantine` is
        where the rows are, `what` what they are, and `cure` what may help besides mending them, such as 'set the CSV
        options, '.
        """
        total = self.counts.total()
        bad_of = {part: total if part.name is None else self.counts[self._key(part.name)] for part in parts}
        over = [part for part in parts if part.total and bad_of[part] > min(max_bad_share * part.total, part.total - 1)]
        if not over:
            return
        part, bad = over[0], bad_of[over[0]]
        first = self.first if part.name is None else self._first.get(self._key(part.name), [])
        sys.stderr.write(f"The first {len(first)} of {bad} {what} that cannot be used:\n")
        sys.stderr.writelines(f"  {row}\n" for row in first)
        limit = "nothing is left" if bad == part.total else f"max_bad_share allows {max_bad_share:g}"
        more = f" There are too many in {len(over) - 1} more files as well." if len(over) > 1 else ""
        raise InputError(
            f"{part.origin}: {bad} of {part.total} {what} ({bad / part.total:.2%}) cannot be used, {limit}. "
            f"First ones: {'; '.join(first[:_MOST_TOLD])}.{more} All of them are in {quarantine}. Mend the {what}, "
            f"{cure}{_RAISE_SHARE}"
        )

    def _key(self, source: str) -> str:
        return source if self._several else ""


def _without_secrets(row: str) -> str:
    """Leave out of web addresses what may be a password, a signature or a token: these texts go into logs."""
    return _QUERY.sub(r"\1?…", _USER.sub(r"\1…@", row))


@contextmanager
def open_output(rows: Path, quarantine: Path, max_bad_share: float = 0.01) -> Iterator["RowsOutput"]:
    """Open a rows file (see `rows`) and a quarantine file for the reader of a source.

    The rows file appears only if nothing is raised. The quarantine is a CSV with the columns `line,reason,row`, and
    `source` of several files, also where no row is bad; it appears as soon as everything was read, even if it is then
    refused because of `max_bad_share`, the largest accepted share of rows that cannot be used in each file.

    Raises:
        ConfigError: that is no share from 0 to 1.
        StorageError: an output cannot be written.
    """
    check_share(max_bad_share)
    refusal: InputError | None = None
    with atomic_path(rows) as rows_part:
        with atomic_path(quarantine) as quarantine_part, ExitStack() as files:
            output = RowsOutput(rows_part, quarantine_part, quarantine, max_bad_share, files)
            try:
                yield output
                output.flush()
            except InputError as error:
                if not output.is_read:
                    raise
                refusal = error
        if refusal is not None:
            raise refusal


class RowsOutput:
    """Writes the rows of a source, and sets those aside that cannot be used."""

    rows_format: RowsFormat
    """What the columns of the rows file hold; from `begin` on."""
    is_read = False
    """Whether everything was read, so that the quarantine file is worth keeping."""
    _writer: RowsWriter
    _rejected: QuarantineWriter

    def __init__(
        self, rows_part: Path, quarantine_part: Path, quarantine: Path, max_bad_share: float, files: ExitStack
    ) -> None:
        """Begin with nothing written; see `open_output`."""
        self._rows_part = rows_part
        self._quarantine_part = quarantine_part
        self._quarantine = quarantine
        self._max_bad_share = max_bad_share
        self._files = files
        self._rows_file = files.enter_context(ExitStack())
        self._watch: Watch | None = None
        self._batch: list[Sequence[object]] = []
        self._bytes = 0

    @property
    def folder(self) -> Path:
        """Where the rows file is written, and temporary files may be."""
        return self._rows_part.parent

    @property
    def rows(self) -> int:
        """Rows added so far."""
        return self._writer.count + len(self._batch)

    @property
    def bad_rows(self) -> int:
        """Rows set aside so far."""
        return self._rejected.counts.total()

    @property
    def first(self) -> list[str]:
        """The first few rows that were set aside, see `QuarantineWriter.first`."""
        return self._rejected.first

    def begin(self, rows_format: RowsFormat, watch: Watch | None = None) -> None:
        """Begin both files; `watch` is shown the columns of contents and values of every batch of rows."""
        self.rows_format, self._watch = rows_format, watch
        file = self._files.enter_context(self._quarantine_part.open("w", encoding="utf-8", newline=""))
        self._rejected = QuarantineWriter(file, rows_format.several_sources)
        self._writer = self._rows_file.enter_context(open_rows(self._rows_part, rows_format))

    def add(self, row: Sequence[object], size: int) -> None:
        """Add a row: its values in the order of the columns, which take about so many bytes."""
        self._batch.append(row)
        self._bytes += size
        if self._bytes >= _BATCH_BYTES or len(self._batch) >= _BATCH_ROWS:
            self.flush()

    def reject(self, line: int, reason: str, row: str, source: str = "") -> None:
        """Set a bad row aside; see `QuarantineWriter.add`."""
        self._rejected.add(line, reason, row, source)

    def pass_over(self, line: int, reason: str, row: str, source: str = "") -> None:
        """Set a row aside that is no bad one, such as a footer."""
        self._rejected.add_uncounted(line, reason, row, source)

    def flush(self) -> None:
        """Write what was added."""
        if self._batch:
            columns = list(zip(*self._batch, strict=True))
            if self._watch is not None:
                self._watch(columns[1 + self.rows_format.several_sources :])
            self._writer.write(columns)
        self._batch, self._bytes = [], 0

    def finish(self, parts: Sequence[Part], what: str = "rows", cure: str = "") -> None:
        """Say that everything was read, and refuse it as `QuarantineWriter.check_shares` does: with an InputError."""
        self.flush()
        self.is_read = True
        self._rejected.check_shares(parts, self._max_bad_share, self._quarantine, what, cure)

    def tell(self, report: IngestReport) -> None:
        """Have the rows file say how its rows were read."""
        self._writer.report = report

    @contextmanager
    def rewritten(self, rows_format: RowsFormat) -> Iterator[tuple[Path, Counter[str]]]:
        """Write rows of another format instead of those so far.

        Yielded are a rows file with the rows so far, which is gone afterwards, and how many were set aside by source.
        """
        self.flush()
        self._rejected.forget_first()
        self._rows_file.close()
        with tempfile.TemporaryDirectory(dir=self.folder, prefix=".rows-", suffix=PART_SUFFIX) as folder:
            earlier = self._rows_part.replace(Path(folder) / "rows.parquet")
            self.rows_format, self._watch = rows_format, None
            self._writer = self._rows_file.enter_context(open_rows(self._rows_part, rows_format))
            yield earlier, Counter(self._rejected.counts)
            self.flush()


def read_reasons(*paths: Path) -> tuple[tuple[str, int, str], ...]:
    """Count the reasons in quarantine files.

    Returns:
        Each reason, how many rows have it, and the first of these as it stands in the file, shortened; the most
        frequent reason first. What a reason says of one row only, such as the address of its image, is '…'.

    Raises:
        StorageError: one cannot be read, or is no quarantine file.
    """
    counts, first = Counter[str](), dict[str, str]()
    for path in paths:
        for reason, text in _read_quarantine(path):
            told = _without_cells(reason, text)
            counts[told] += 1
            first.setdefault(told, shortened(text, _ROW_CHARACTERS))
    return tuple((reason, count, first[reason]) for reason, count in counts.most_common())


def without_place(error: InputError, *paths: Path) -> InputError:
    """Return an error that does not name quarantine files that are gone when it is read."""
    told = str(error)
    for path in paths:
        told = told.replace(f" All of them are in {path}.", "")
    return InputError(told)


def without_options(error: InputError, *advice: str) -> InputError:
    """Return a refusal of bad rows, or another error, without the advice to set what cannot be set where it is read.

    `advice` is SET_OPTIONS where the CSV options cannot be set; max_bad_share is never advised.
    """
    told = str(error)
    for unwanted in advice:
        told = told.replace(f", {unwanted}", ", ")
    return InputError(re.sub(f",? {re.escape(_RAISE_SHARE)}$", ".", told))


def _read_quarantine(path: Path) -> Iterator[tuple[str, str]]:
    # A row of many long values is one value here; the limit is one of the whole process.
    before = csv.field_size_limit(_MOST_CHARACTERS)
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                yield row["reason"], row["row"]
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise StorageError(
            f"{path} cannot be read as a quarantine file with the columns {', '.join(_COLUMNS)}."
        ) from error
    finally:
        csv.field_size_limit(before)


def _without_cells(reason: str, row: str) -> str:
    cells = {cell.strip() for cell in _BETWEEN_CELLS.split(row[:_LOOKED_THROUGH])}
    for cell in sorted(cells, key=len, reverse=True):
        if len(cell) >= _LEAST_CELL:
            reason = reason.replace(cell, "…")
    return reason

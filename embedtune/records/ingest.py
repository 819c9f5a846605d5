"""Turn a CSV into validated rows and a quarantine file."""

from dataclasses import dataclass
from pathlib import Path

from embedtune.errors import ConfigError, InputError
from embedtune.progress import progress
from embedtune.records.checks import LearnableCheck
from embedtune.records.columns import Columns, find_columns
from embedtune.records.csv_options import AUTO, CSVOptions
from embedtune.records.dialects import Dialect, choose_dialect, parse_sample
from embedtune.records.encodings import read_sample
from embedtune.records.layouts import CONTENT_COLUMNS, Layout
from embedtune.records.quarantine import QuarantineWriter
from embedtune.records.reader import RecordReader
from embedtune.records.report import IngestReport
from embedtune.records.rows import RowsWriter, open_rows
from embedtune.storage.atomic import atomic_path

_BATCH_ROWS = 10_000


def ingest_csv(
    source: Path, rows: Path, quarantine: Path, layout: str, options: CSVOptions, max_bad_share: float
) -> IngestReport:
    """Read a CSV of `text,label` or `query,document` rows.

    What is not set is detected on the first MiB of the file and reported: see `encodings.read_sample`,
    `dialects.choose_dialect`, `columns.detect_header` and `columns.detect_layout` for the rules. Values are stripped
    of white space around them; blank lines are skipped; bad rows go to the quarantine file. Memory does not grow
    with the file.

    Args:
        source: The CSV, a local file.
        rows: Parquet file to write, see `rows.read_rows`. It appears only if nothing is raised.
        quarantine: CSV to write with the columns `line,reason,row`, also where no row is bad. It appears as soon as
            the whole file was read, even if it is then refused.
        layout: 'auto', 'labelled' or 'pairs'.
        options: How to read the CSV.
        max_bad_share: Largest accepted share of bad rows among all rows, 0..1.

    Raises:
        ConfigError: `layout` or `max_bad_share` is not accepted.
        StorageError: the source is missing or unreadable, or an output cannot be written.
        InputError: the source cannot be used: no rows, undecodable, one column, columns or layout that cannot be told,
            too many bad rows, or nothing to learn from.
    """
    check_arguments(layout, max_bad_share)
    plan = _plan(source, layout, options)
    with atomic_path(rows) as rows_part:
        with atomic_path(quarantine) as quarantine_part:
            counts = _copy_rows(source, plan, rows_part, quarantine_part)
        _check_counts(source, plan, counts, quarantine, max_bad_share)
        counts.check.finish(str(source))
    return _report(plan, counts, layout, options)


@dataclass(frozen=True)
class _Plan:
    encoding: str
    dialect: Dialect
    columns: Columns


@dataclass(frozen=True)
class _Counts:
    good: int
    rejected: QuarantineWriter
    check: LearnableCheck


def check_arguments(layout: str, max_bad_share: float) -> None:
    """Check what `ingest_csv` is told besides the CSV options.

    Raises:
        ConfigError: a value is not accepted.
    """
    if layout not in (AUTO, *Layout):
        raise ConfigError(f"layout={layout!r} is not accepted. Choose one of auto, {', '.join(Layout)}.")
    if not 0 <= max_bad_share <= 1:
        raise ConfigError(f"max_bad_share={max_bad_share!r} is not a share. Give a number from 0 to 1.")


def _plan(source: Path, layout: str, options: CSVOptions) -> _Plan:
    sample = read_sample(source, options.encoding)
    if not sample.text.strip():
        raise InputError(f"{source} holds nothing but white space. Give rows of text,label or query,document.")
    try:
        dialect = choose_dialect(sample.text, options.dialect)
    except InputError as error:
        raise InputError(f"{source}: {error}") from error
    try:
        columns = find_columns(parse_sample(sample.text, dialect), layout, options.header)
    except InputError as error:
        raise InputError(f"{source}, read as {dialect.describe()}: {error}") from error
    return _Plan(sample.encoding, dialect, columns)


def _copy_rows(source: Path, plan: _Plan, rows: Path, quarantine: Path) -> _Counts:
    reader = RecordReader(source, plan.encoding, plan.dialect)
    check = LearnableCheck(plan.columns.layout)
    with (
        quarantine.open("w", encoding="utf-8", newline="") as file,
        open_rows(rows, plan.columns.layout) as writer,
        progress(f"Reading {source.name}", source.stat().st_size, "bytes") as advance,
    ):
        rejected = QuarantineWriter(file)
        batch = _Batch(writer, check)
        first, second = plan.columns.used
        width = len(plan.columns.names)
        told = 0
        header_ahead = plan.columns.header
        for line, cells, problem in reader.records():
            if header_ahead and not problem:
                header_ahead = False
                continue
            if not problem and len(cells) == width:
                one, two = cells[first].strip(), cells[second].strip()
                if one and two and "\0" not in one and "\0" not in two:
                    if batch.add(line, one, two):
                        advance(reader.position - told)
                        told = reader.position
                    continue
            rejected.add(line, problem or _problem(cells, plan.columns), reader.raw)
        batch.flush()
        advance(reader.position - told)
    return _Counts(writer.count, rejected, check)


class _Batch:
    """Collects rows until they are worth writing."""

    def __init__(self, writer: RowsWriter, check: LearnableCheck) -> None:
        self._writer = writer
        self._check = check
        self._columns: tuple[list[int], list[str], list[str]] = ([], [], [])

    def add(self, line: int, first: str, second: str) -> bool:
        """Add one row; say whether the batch was written."""
        lines, firsts, seconds = self._columns
        lines.append(line)
        firsts.append(first)
        seconds.append(second)
        if len(lines) < _BATCH_ROWS:
            return False
        self.flush()
        return True

    def flush(self) -> None:
        """Write what was collected."""
        lines, firsts, seconds = self._columns
        if lines:
            self._check.watch(firsts, seconds)
            self._writer.write(lines, firsts, seconds)
            self._columns = ([], [], [])


def _problem(cells: list[str], columns: Columns) -> str:
    """Say why a well-formed record is not a row."""
    width = len(columns.names)
    if len(cells) > width:
        return f"{len(cells)} columns instead of {width}; a value that contains the delimiter must stand in quotes"
    if len(cells) < width:
        return f"{len(cells)} columns instead of {width}"
    for what, position in zip(CONTENT_COLUMNS[columns.layout], columns.used, strict=True):
        if not cells[position].strip():
            return f"the {what} is empty"
    return "a value contains a NUL character"


def _check_counts(source: Path, plan: _Plan, counts: _Counts, quarantine: Path, max_bad_share: float) -> None:
    bad = counts.rejected.count
    total = counts.good + bad
    if counts.good > 0 and bad <= max_bad_share * total:
        return
    counts.rejected.show_first()
    limit = f"max_bad_share allows {max_bad_share:g}" if counts.good > 0 else "no row is left"
    raise InputError(
        f"{source}, read as {plan.dialect.describe()}, layout {plan.columns.layout}: {bad} of {total} rows "
        f"({bad / total:.2%}) cannot be used, {limit}. First ones: {'; '.join(counts.rejected.first[:3])}. "
        f"All of them are in {quarantine}. Mend the rows, set the CSV options if the file was read wrongly, or raise "
        "max_bad_share."
    )


def _report(plan: _Plan, counts: _Counts, layout: str, options: CSVOptions) -> IngestReport:
    asked = {"layout": layout, "dialect": options.dialect, "encoding": options.encoding, "header": options.header}
    names = plan.columns.names
    first, second = plan.columns.used
    return IngestReport(
        rows=counts.good,
        bad_rows=counts.rejected.count,
        layout=plan.columns.layout.value,
        dialect=plan.dialect.name,
        delimiter=plan.dialect.delimiter,
        quoting=plan.dialect.quoting,
        skip_blanks=plan.dialect.skip_blanks,
        encoding=plan.encoding,
        header=plan.columns.header,
        columns=names,
        columns_used=(names[first], names[second]),
        detected=tuple(name for name, value in asked.items() if value == AUTO),
    )

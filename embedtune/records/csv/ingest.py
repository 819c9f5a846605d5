"""Turn CSV files into validated rows and a quarantine file."""

from collections.abc import Iterator, Sequence
from hashlib import blake2b

from embedtune.errors import InputError, StorageError
from embedtune.progress import Advance, progress
from embedtune.records.csv.extra_rows import ExtraRows
from embedtune.records.csv.header import OTHER_ORDER
from embedtune.records.csv.named_tables import NamedRecords
from embedtune.records.csv.options import AUTO, CSVOptions, CSVSource, IngestRequest
from embedtune.records.csv.reading_plan import FilePlan, IngestPlan, file_stamp, plan_files
from embedtune.records.csv.row_parsers import LearnableCheck, RowParser
from embedtune.records.layouts import Modality
from embedtune.records.output import SET_OPTIONS, Part, RowsOutput
from embedtune.records.report import CSVFacts, IngestReport
from embedtune.records.rows import RowsFormat
from embedtune.text import excerpt, shown_names

_ROWS_BETWEEN_LOOKS = 100
_DIGEST_BYTES = 8


def ingest_csv(sources: Sequence[CSVSource], output: RowsOutput, request: IngestRequest) -> IngestReport:
    """Read CSV files of one layout, in order, into validated rows.

    What is not set is detected on the beginnings of the files and reported: see `encodings.read_sample`,
    `dialect_detection.choose_dialect`, `header.find_head` and `columns.find_columns` for the rules. Values are
    stripped of white space around them; blank lines are skipped; records that `row_parsers` cannot use are set aside.
    Contents that are not text stay addresses. Memory does not grow with the files.

    Args:
        sources: The files, at least one.
        output: Takes the rows and those that are set aside; just opened.
        request: What to read the files as.

    Raises:
        StorageError: a source is missing, unreadable or changes meanwhile, or an output cannot be written.
        InputError: the sources cannot be used: no rows, undecodable, columns or layout that cannot be told or differ
            between the files, too many bad rows, or nothing to learn from.
    """
    plan = plan_files(sources, request)
    columns = plan.columns
    texts_only = all(modality is Modality.TEXT for modality in columns.modalities)
    rows_format = RowsFormat(columns.layout, columns.modalities, loaded=texts_only, several_sources=plan.several)
    check = LearnableCheck(columns.layout)
    output.begin(rows_format, check.watch)
    copy = _Copy(plan, request.options, output)
    what = plan.files[0].name if not plan.several else f"{len(plan.files)} files"
    with progress(f"Reading {what}", sum(file.stamp[0] for file in plan.files), "bytes") as advance:
        for file in plan.files:
            copy.file(file, advance)
    output.finish(_parts(plan, copy), cure=SET_OPTIONS)
    if not copy.kept + output.bad_rows:
        raise InputError(
            f"{plan.label}: no row is left, because the sampling_rate kept none. Raise it, or change the seed."
        )
    if request.whole:
        check.finish(plan.label)
    return _report(plan, copy, request)


class _Copy:
    """Copies the records of files to an output.

    Attributes:
        output: Where they go.
        kept: Records that became rows.
        without_value: Records without any value, which count as blank.
        unknown: Files with columns that none of the first rows has.
        counts: Of each file the records that became rows, and those that did not.
        notes: What was set aside because it is no data, such as a footer.
        warnings: What may be no data.
    """

    def __init__(self, plan: IngestPlan, options: CSVOptions, output: RowsOutput) -> None:
        """Begin with nothing copied."""
        self.output = output
        self.kept = 0
        self.counts: list[tuple[int, int]] = []
        self.notes: list[str] = []
        self.warnings: list[str] = []
        self._columns = plan.columns
        self._several = plan.several
        self.without_value = 0
        self.unknown: dict[str, NamedRecords] = {}
        rate = options.sampling_rate
        self._sampler = None if rate is None else _RowSampler(rate, options.seed)
        self._size = options.size

    def file(self, plan: FilePlan, advance: Advance) -> None:
        """Copy one file, unless there are rows enough already."""
        reader = plan.records(self._columns)
        parse = RowParser(self._columns).parse
        extra = ExtraRows(self._columns, looks=plan.table is None)
        before = self.kept, self.output.bad_rows
        told = weight = size = 0
        for line, cells, problem, held, sort in extra.records(reader):
            if sort:
                self._set_aside(plan, line, sort, held or reader.raw)
                continue
            if self._size is not None and self.kept >= self._size:
                break
            if self._sampler is not None and not self._sampler.keeps(held or reader.raw):
                continue
            found = problem or parse(line, cells)
            if isinstance(found, str):
                self.output.reject(line, found, held or reader.raw, plan.name)
                continue
            self.kept += 1
            if self.kept % _ROWS_BETWEEN_LOOKS == 0:
                size, weight = reader.weight - weight, reader.weight
                position = reader.position
                advance(position - told)
                told = position
            for row in found:
                self.output.add((line, plan.name, *row[1:]) if self._several else row, size)
                size = 0
        self.without_value += reader.without_value
        if isinstance(reader, NamedRecords) and reader.unknown:
            self.unknown[plan.name] = reader
        self.notes += extra.notes(plan.name if self._several else "")
        self.warnings += [f"{plan.name}: {extra.warning}" if self._several else extra.warning] if extra.warning else []
        self.counts.append((self.kept - before[0], self.output.bad_rows - before[1]))
        advance(plan.stamp[0] - told)
        if file_stamp(plan.source) != plan.stamp:
            raise StorageError(f"{plan.source.origin} changed while it was read. Start again when it is complete.")

    def _set_aside(self, plan: FilePlan, line: int, sort: str, raw: str) -> None:
        if sort == OTHER_ORDER:
            raise InputError(
                f"{plan.source.origin}: on line {line} the header comes again with its columns in another order, "
                f"{excerpt(raw)}. Bring the rows below it into the order of the others."
            )
        self.output.pass_over(line, sort, raw, plan.name)


class _RowSampler:
    """Decides for each row by a hash of its text and a seed whether it is kept.

    So a row is kept or not whatever stands before it, and a file cut into several gives the same rows. Rows of the same
    text are kept or dropped together.
    """

    def __init__(self, rate: float, seed: int) -> None:
        self._limit = int(rate * 256**_DIGEST_BYTES)
        self._hash = blake2b(f"{seed}:".encode(), digest_size=_DIGEST_BYTES)

    def keeps(self, row: str) -> bool:
        digest = self._hash.copy()
        digest.update(row.encode())
        return int.from_bytes(digest.digest()) < self._limit


def _parts(plan: IngestPlan, copy: _Copy) -> list[Part]:
    layout = plan.columns.layout
    return [
        Part(file.name, f"{file.source.origin}, read as {file.read_as}, layout {layout}", sum(counts))
        for file, counts in zip(plan.files, copy.counts, strict=True)
    ]


def _report(plan: IngestPlan, copy: _Copy, request: IngestRequest) -> IngestReport:
    options, columns, first = request.options, plan.columns, plan.files[0]
    settled = {
        "layout": request.wanted is not None,
        "modalities": options.task != AUTO,
        "dialect": options.dialect != AUTO,
        "encoding": options.encoding != AUTO,
        "header": options.header != AUTO,
    }
    is_csv = first.table is None
    return IngestReport(
        rows=copy.output.rows,
        bad_rows=copy.output.bad_rows,
        layout=columns.layout.value,
        modalities=tuple(modality.value for modality in columns.modalities),
        sources=len(plan.files),
        csv=CSVFacts(
            dialect=first.dialect.name if is_csv else first.read_as,
            delimiter=first.dialect.delimiter if is_csv else "",
            quoting=first.dialect.quoting,
            skip_blanks=first.dialect.skip_blanks,
            typographic=first.dialect.typographic,
            encoding=first.encoding,
            header=columns.header,
            columns=columns.names,
            columns_used=tuple(columns.names[i] for i in columns.used),
            detected=tuple(name for name, is_set in settled.items() if not is_set),
        ),
        notes=(*plan.notes, *copy.notes, *_notes(plan, copy, options)),
        warnings=(*columns.warnings, *copy.warnings, *_unknown(copy)),
        files=tuple((file.name, *counts) for file, counts in zip(plan.files, copy.counts, strict=True) if plan.several),
    )


def _notes(plan: IngestPlan, copy: _Copy, options: CSVOptions) -> Iterator[str]:
    first = plan.files[0]
    for file in plan.files:
        if (file.dialect, file.encoding) != (first.dialect, first.encoding):
            yield f"{file.name} was read as {file.dialect.describe()}, encoding {file.encoding}."
    if options.size is None and options.sampling_rate is None:
        bare = [file.name for file, counts in zip(plan.files, copy.counts, strict=True) if not any(counts)]
        if bare:
            yield f"There are no rows in {shown_names(bare)}."
    if copy.without_value:
        yield f"Passed over as blank: {copy.without_value} rows without any value."


def _unknown(copy: _Copy) -> Iterator[str]:
    for name, reader in copy.unknown.items():
        yield (
            f"{name}: {reader.unknown} rows have columns that none of the first rows has, and these are not read: "
            f"{shown_names(list(reader.unknown_names))}. Write every column into each row."
        )

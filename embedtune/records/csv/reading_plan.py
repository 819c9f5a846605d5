"""Decide how to read one or several CSV files, or other tables, as one."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice

from embedtune.errors import InputError, StorageError, reason
from embedtune.records.csv.column_contents import Table, comparable, modality_of_column
from embedtune.records.csv.columns import Columns, find_columns
from embedtune.records.csv.dialect_detection import choose_dialect
from embedtune.records.csv.encodings import SAMPLE_BYTES, TableForm, is_empty, other_format, read_sample, table_form
from embedtune.records.csv.header import detect_header
from embedtune.records.csv.named_tables import NamedRecords, NamedTable, Records, names_of
from embedtune.records.csv.options import AUTO, CSVSource, IngestRequest, source_names
from embedtune.records.csv.reader import Dialect, RecordReader, parse_sample
from embedtune.records.layouts import Layout
from embedtune.text import excerpt, shown_names

_LEAST_SAMPLE_BYTES = 1 << 16
_POOLED_RECORDS = 20_000
_POOLED_CELLS = 1_000_000
_KEPT_RECORDS = 50
_COMPARED_RECORDS = 1000
_NOTHING = ' \t\r\n\x1a,;|"'
_POOLED_LINES = 2000


@dataclass(frozen=True)
class FilePlan:
    """How to read one file."""

    source: CSVSource
    name: str
    """Tells the file from the others."""
    encoding: str
    dialect: Dialect
    stamp: tuple[int, int]
    """Size in bytes and time of the last change (ns) when the file was looked at."""
    table: NamedTable | None = None
    """The file where it is no CSV; encoding and dialect mean nothing then."""

    @property
    def read_as(self) -> str:
        """How the file is read, in words."""
        return self.dialect.describe() if self.table is None else str(self.table.form)

    def records(self, columns: Columns) -> Records:
        """Return what reads its records."""
        if self.table is not None:
            return NamedRecords(self.table, columns.names, columns.used)
        return RecordReader(self.source, self.encoding, self.dialect, len(columns.names))


@dataclass(frozen=True)
class IngestPlan:
    """How to read all files."""

    columns: Columns
    """Of every file."""
    files: tuple[FilePlan, ...]
    """Those that hold something."""
    several: bool
    """Whether rows name the file that they come from."""
    notes: tuple[str, ...] = ()
    """What a reader of the rows must know, one sentence each."""

    @property
    def label(self) -> str:
        """What is read, for messages."""
        first = self.files[0].source.origin
        return first if len(self.files) == 1 else f"{first} and {len(self.files) - 1} more"


@dataclass(frozen=True)
class _Beginning:
    """The beginning of one file, parsed."""

    plan: FilePlan
    records: list[list[str]]
    """Well-formed records, values stripped; of several files only the first few are kept."""
    text: str
    """Of several files only the first lines are kept."""


def plan_files(sources: Sequence[CSVSource], request: IngestRequest) -> IngestPlan:
    """Decide on encoding and dialect of each file, and on header, layout and columns of all of them together.

    These are told from the beginnings of all files as if they were one, a first row that they share counted once; so a
    file cut into pieces, each with the header if there is one, is read as the whole. Files that seem to differ in their
    dialect are read by the one that fits them all together, unless each has the same header under its own. An empty
    file among others is passed over. Of tables that are no CSVs (`named_tables`), the columns of all files are joined.
    Refused are a file that cannot be used, what cannot be told, and files that differ in columns or what these hold.
    """
    if not sources:
        raise InputError("There is no file to read. Give at least one CSV.")
    named = dict(zip(source_names(sources), sources, strict=True))
    empty = [name for name, source in named.items() if len(sources) > 1 and is_empty(source)]
    if len(empty) == len(sources):
        raise InputError(f"All {len(sources)} files are empty: {shown_names(empty)}. Give at least one row.")
    notes = (f"Passed over, for there is nothing in it: {shown_names(empty)}.",) if empty else ()
    files = {name: source for name, source in named.items() if name not in set(empty)}
    form = _common_form(files, request)
    if form is not TableForm.CSV:
        plans, columns, told = _plan_tables(files, form, request)
        return IngestPlan(columns, plans, len(sources) > 1, (*notes, *told))
    beginnings, pooled = _begin_all(files, request)
    common = _common_dialect(beginnings, request)
    if common is not None:
        beginnings, pooled = _begin_all(files, request, common)
        _check_dialect(beginnings)
    first = beginnings[0].plan
    try:
        columns = find_columns(pooled, request)
    except InputError as error:
        raise InputError(f"{first.source.origin}, read as {first.dialect.describe()}: {error}") from error
    for beginning in beginnings[1:]:
        _check_columns(columns, request, pooled[:_COMPARED_RECORDS], beginnings[0], beginning)
        _check_contents(columns, beginnings[0], beginning)
    return IngestPlan(columns, tuple(beginning.plan for beginning in beginnings), len(sources) > 1, notes)


def _common_form(files: Mapping[str, CSVSource], request: IngestRequest) -> TableForm:
    """Return what all files are, or refuse those of different forms, which nobody reads as one."""
    options = request.options
    limit = _sample_bytes(files)
    forms = {source.origin: table_form(source, options.encoding, options.dialect, limit) for source in files.values()}
    first, form = next(iter(forms.items()))
    other = next((origin for origin, each in forms.items() if each is not form), None)
    if other is not None:
        raise InputError(
            f"{first} is {form}, but {other} is {forms[other]}. Several files are read as one: give files of one "
            "format."
        )
    if form is not TableForm.CSV and options.header == "no":
        raise InputError(f"{first} is {form}, which names its columns. Leave the CSV option `header` out.")
    return form


def _sample_bytes(files: Mapping[str, CSVSource]) -> int:
    """Return how much to look at of each of several files."""
    return max(SAMPLE_BYTES // len(files), _LEAST_SAMPLE_BYTES)


def _plan_tables(
    files: Mapping[str, CSVSource], form: TableForm, request: IngestRequest
) -> tuple[tuple[FilePlan, ...], Columns, tuple[str, ...]]:
    """Decide how to read tables that are no CSVs: each of them, their columns, and notes."""
    encoding = request.options.encoding
    tables = {name: NamedTable(source, form, encoding) for name, source in files.items()}
    limit = max(_POOLED_RECORDS // len(files), _KEPT_RECORDS)
    samples = [table.sample(limit, SAMPLE_BYTES) for table in tables.values()]
    names, nested = names_of(list(tables.values()), samples)
    note = f"Not read, for they hold lists, objects or other data than texts: {shown_names(nested)}." if nested else ""
    first = islice(chain.from_iterable(samples), max(_POOLED_CELLS // len(names), _KEPT_RECORDS))
    rows = [[str(row.get(name) or "").strip() for name in names] for row in first]
    named = replace(request, options=replace(request.options, header="yes"))
    try:
        columns = find_columns([list(names), *filter(any, rows)], named)
    except InputError as error:
        origin = next(iter(files.values())).origin
        raise InputError(f"{origin}, read as {form}: {error}{f' {note}' if note else ''}") from error
    plans = tuple(
        FilePlan(each.source, name, encoding, Dialect("lines"), file_stamp(each.source), replace(each, left_out=nested))
        for name, each in tables.items()
    )
    return plans, columns, (note,) if note else ()


def _begin_all(
    sources: Mapping[str, CSVSource], request: IngestRequest, dialect: Dialect | None = None
) -> tuple[list[_Beginning], list[list[str]]]:
    """Return the beginnings of the files, and their records together; a file that names its delimiter keeps it."""
    limit = _sample_bytes(sources)
    if len(sources) == 1:
        ((name, source),) = sources.items()
        single = _begin(source, name, request, limit, dialect)
        return [single], single.records
    beginnings = []
    pooled: list[list[str]] = []
    for name, source in sources.items():
        found = _begin(source, name, request, limit, dialect)
        repeats_header = bool(pooled and found.records) and comparable(found.records[0]) == comparable(pooled[0])
        if len(pooled) < _POOLED_RECORDS:
            pooled += found.records[1:] if repeats_header else found.records
        lines = "".join(found.text.splitlines(keepends=True)[: max(_POOLED_LINES // len(sources), 2)])
        beginnings.append(_Beginning(found.plan, found.records[:_KEPT_RECORDS], lines))
    return beginnings, pooled


def _common_dialect(beginnings: list[_Beginning], request: IngestRequest) -> Dialect | None:
    """Return the dialect that fits all files together, None where each is to be read by its own.

    That is so where all have the same one, and where the same header stands under each of different delimiters.
    """
    guessed = [each for each in beginnings if not each.plan.dialect.names_delimiter]
    dialects = {each.plan.dialect for each in guessed}
    if len(dialects) < 2:
        return None
    headers = {tuple(each.records[0]) for each in guessed if each.records}
    delimiters = {dialect.delimiter for dialect in dialects}
    if len(delimiters) == len(dialects) and len(headers) == 1 and detect_header(guessed[0].records):
        return None
    text = "".join(each.text if each.text.endswith(("\n", "\r")) else each.text + "\n" for each in guessed)
    try:
        return choose_dialect(text, request.options.dialect, _least_columns(request))
    except InputError as error:
        first = guessed[0].plan
        other = next(each.plan for each in guessed if each.plan.dialect != first.dialect)
        raise InputError(
            f"{first.source.origin} and {other.source.origin} seem to differ in their dialect: {error}"
        ) from error


def _least_columns(request: IngestRequest) -> int:
    if request.wanted is Layout.PLAIN:
        return 0
    return 1 if request.wanted is None else 2


def _check_dialect(beginnings: list[_Beginning]) -> None:
    """Refuse files read by one dialect of which one has rows of another width than the first."""
    widths = [Counter(map(len, each.records)).most_common(1) for each in beginnings]
    for beginning, width in zip(beginnings, widths, strict=True):
        if [most for most, _ in width] != [most for most, _ in widths[0]]:
            raise InputError(
                f"{beginnings[0].plan.source.origin} and {beginning.plan.source.origin} seem to differ in how they "
                "separate or quote their values. Several files are read as one: write them alike, or set the CSV "
                "option `dialect`."
            )


def _begin(source: CSVSource, name: str, request: IngestRequest, limit: int, dialect: Dialect | None) -> _Beginning:
    options = request.options
    sample = read_sample(source, options.encoding, limit)
    if not sample.text.strip(_NOTHING):
        raise InputError(
            f"{source.origin} holds nothing but white space and delimiters. Give rows such as text,label or "
            "query,document."
        )
    other = other_format(sample.text) if options.dialect != "lines" else ""
    if other:
        raise InputError(f"{source.origin} is no table but {other}.")
    try:
        found = choose_dialect(sample.text, options.dialect, _least_columns(request))
    except InputError as error:
        raise InputError(f"{source.origin}: {error}") from error
    dialect = found if dialect is None or found.names_delimiter else dialect
    plan = FilePlan(source, name, sample.encoding, dialect, file_stamp(source))
    return _Beginning(plan, parse_sample(sample.text, dialect), sample.text)


def file_stamp(source: CSVSource) -> tuple[int, int]:
    """Return the size in bytes and the time of the last change (ns) of a file."""
    try:
        found = source.path.stat()
    except OSError as error:
        raise StorageError(
            f"{source.origin} cannot be read on: {reason(error)}. Start again when it is complete."
        ) from error
    return found.st_size, found.st_mtime_ns


def _check_columns(
    columns: Columns, request: IngestRequest, pooled: list[list[str]], first: _Beginning, other: _Beginning
) -> None:
    """Refuse a file that has other columns than were found in all, or, unlike the first, a header."""
    begins = other.records[0] if other.records else []
    if columns.header:
        same = comparable(begins) == comparable(columns.names)
    else:
        as_wide = any(len(cells) == len(columns.names) for cells in other.records)
        same = as_wide and (request.options.header != AUTO or not detect_header([begins, *pooled]))
    if same:
        return
    names = shown_names(columns.names, ",") if columns.header else f"{len(columns.names)} columns without a header"
    raise InputError(
        f"{first.plan.source.origin} has {names}, but {other.plan.source.origin}, read as "
        f"{other.plan.dialect.describe()}, begins with {excerpt(','.join(begins))}. Several files are read as one: "
        "give files with the same columns in the same order, each with the same header or none with any, or set the "
        "CSV option `header`."
    )


def _check_contents(columns: Columns, first: _Beginning, other: _Beginning) -> None:
    """Refuse a file that holds another kind of contents than the first one."""
    rows = [Table.of(columns.names, columns.header, each.records[columns.header :]) for each in (first, other)]
    for position in columns.used[: len(columns.layout.contents)]:
        kinds = [modality_of_column(columns.names[position], table.cells(position)) for table in rows]
        if None not in kinds and kinds[0] != kinds[1]:
            raise InputError(
                f"The values of {columns.names[position]} are those of {kinds[0]} in {first.plan.source.origin}, but "
                f"of {kinds[1]} in {other.plan.source.origin}. Give files with the same contents, or read "
                "them one by one."
            )

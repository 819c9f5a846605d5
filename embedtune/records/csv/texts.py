"""Read one column of a CSV or another table, every row of it or none."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from embedtune.errors import ConfigError, InputError
from embedtune.records.csv.column_contents import Table
from embedtune.records.csv.columns import Columns
from embedtune.records.csv.dialect_detection import choose_dialect
from embedtune.records.csv.encodings import SAMPLE_BYTES, TableForm, read_sample, table_form
from embedtune.records.csv.extra_rows import FOOTER, ExtraRows
from embedtune.records.csv.header import Head, find_head
from embedtune.records.csv.named_tables import NamedTable, names_of
from embedtune.records.csv.options import CSVOptions, CSVSource
from embedtune.records.csv.reader import Dialect, parse_sample
from embedtune.records.csv.reading_plan import FilePlan, file_stamp
from embedtune.records.layouts import Layout, Modality
from embedtune.text import excerpt, stripped

_SAMPLE_ROWS = 1000


@dataclass(frozen=True)
class Texts:
    """The texts of one column."""

    values: list[str]
    """One text per row of data, in order, white space around it stripped."""
    description: str
    """What was read and how, in one line."""


def read_texts(source: Path, column: str, options: CSVOptions) -> Texts:
    """Read one column of a CSV or another table (`named_tables`), or a file with one text per row.

    Dialect, encoding and header are detected as in `ingest.ingest_csv`, and what is no data above and below all texts,
    such as a footer, is left out and told as there. Any other row that cannot be used stops the reading, so that the
    n-th text is that of the n-th row.

    Args:
        source: The table, a local file.
        column: A name in the first row, or a number from 1; '' for the only column, or the first below a header.
        options: How to read the CSV.

    Raises:
        ConfigError: `options` sets something besides dialect, encoding and header.
        StorageError: the file is missing or unreadable.
        InputError: no texts, a row that is blank or malformed or has another number of columns, no such column, or it
            cannot be told which column to read.
    """
    _check_options(options)
    plan, records = _begin(source, options)
    is_csv = plan.table is None
    chosen = (column,) if column and not column.isdecimal() else ()
    head = find_head(records, options.header, chosen) if is_csv else Head(tuple(records[0]))
    names = head.names or tuple(f"column {number}" for number in range(1, len(records[0]) + 1))
    position = _position(source, Table.of(names, bool(head.names), records[1:]), column)
    columns = Columns(Layout.PLAIN, (Modality.TEXT,), bool(head.names), names, (position,), head.more)
    extra = ExtraRows(columns, looks=is_csv)
    values = _rows(plan, columns, extra)
    if not values:
        below = f" below its header ({', '.join(names)})" if is_csv else ""
        raise InputError(f"{source} holds no texts{below}. Add rows.")
    how = f"; {plan.encoding}; header {'yes' if head.names else 'no'}" if is_csv else ""
    described = (
        f"{source}: {len(values)} texts of {names[position]!r} ({position + 1} of {len(names)} columns), read as "
        f"{plan.read_as}{how}"
    )
    told = " ".join(filter(None, (head.warning, *extra.notes(""), extra.warning)))
    return Texts(values, f"{described}. {told}" if told else described)


def first_row(source: Path, options: CSVOptions) -> list[str]:
    """Return the first row of a CSV, names or values, or the names of another table's columns; see `read_texts`."""
    return _begin(source, options)[1][0]


def _begin(source: Path, options: CSVOptions) -> tuple[FilePlan, list[list[str]]]:
    """Return how to read a file, and the records at its beginning, of a table that is no CSV the names first."""
    file = CSVSource(source, str(source))
    form = table_form(file, options.encoding, options.dialect)
    if form is not TableForm.CSV:
        named = NamedTable(file, form, options.encoding)
        rows = named.sample(_SAMPLE_ROWS, SAMPLE_BYTES)
        names, left_out = names_of([named], [rows])
        named = dataclasses.replace(named, left_out=left_out)
        plan = FilePlan(file, file.origin, options.encoding, Dialect("lines"), file_stamp(file), named)
        return plan, [list(names), *([str(row.get(name) or "") for name in names] for row in rows)]
    sample = read_sample(file, options.encoding)
    dialect = choose_dialect(sample.text, options.dialect, least_columns=0)
    records = parse_sample(sample.text, dialect)
    if not records:
        raise InputError(f"{source} begins without one well-formed row. Give a CSV with a text per row.")
    return FilePlan(file, file.origin, sample.encoding, dialect, file_stamp(file)), records


def _check_options(options: CSVOptions) -> None:
    usual = dataclasses.replace(CSVOptions(), dialect=options.dialect, encoding=options.encoding, header=options.header)
    for field in dataclasses.fields(CSVOptions):
        value = getattr(options, field.name)
        if value != getattr(usual, field.name):
            raise ConfigError(
                f"CSV option {field.name}={value!r} means nothing here, where every row of one column of texts is "
                "read. Accepted: dialect, encoding, header."
            )


def _position(source: Path, table: Table, column: str) -> int:
    names, header = table.names, table.header
    if header and column and column in names:
        if names.count(column) > 1:
            raise InputError(f"{source} has several columns {column!r}. Give a number from 1 to {len(names)}.")
        return names.index(column)
    if column.isdecimal() and 1 <= int(column) <= len(names):
        return int(column) - 1
    if column:
        raise InputError(f"{source} has no column {column!r}. Its columns: {', '.join(names)}, or a number from 1.")
    if len(names) > 1 and not header:
        raise InputError(
            f"{source} has {len(names)} columns and no header, so it is not clear which one to read. Give --column and "
            """a number from 1; or, if each row is one text, --csv-options '{"dialect": "lines"}'."""
        )
    return table.index


def _rows(plan: FilePlan, columns: Columns, extra: ExtraRows) -> list[str]:
    """Return the texts of all rows, but for those above and below them that are no data."""
    texts: list[str] = []
    origin, width, position = plan.source.origin, len(columns.names), columns.used[0]
    reader = plan.records(columns)
    for line, cells, malformed, held, sort in extra.records(reader):
        if sort and (not texts or sort == FOOTER):
            continue
        if 0 < reader.blank_line < line:
            raise InputError(f"{origin}: line {reader.blank_line} is blank. Remove it or give it a text.")
        problem = malformed or sort
        if not problem and len(cells) != width:
            problem = f"{len(cells)} columns instead of {width}"
        if not problem and not stripped(cells[position]):
            problem = "the text is empty"
        if problem:
            raise InputError(
                f"{origin}, read as {plan.read_as}: line {line}: {problem}: {excerpt(held or reader.raw)}. Mend the "
                """row, or set the CSV options if the file was read wrongly, such as '{"dialect": "lines"}' for one """
                "text per row."
            )
        texts.append(stripped(cells[position]))
    return texts

"""Read one column of a CSV or another table, every row of it or none."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from embedtune.errors import ConfigError, InputError
from embedtune.records.csv.column_contents import Table
from embedtune.records.csv.columns import Columns
from embedtune.records.csv.dialect_detection import choose_dialect
from embedtune.records.csv.encodings import SAMPLE_BYTES, TableForm, read_sample, table_form
from embedtune.records.csv.extra_rows import FOOTER, ExtraRows
from embedtune.records.csv.header import find_head
from embedtune.records.csv.named_tables import NamedTable, Records, names_of
from embedtune.records.csv.options import CSVOptions, CSVSource
from embedtune.records.csv.reader import Dialect, RecordReader, parse_sample
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
    named = _named_table(source, options)
    if named is not None:
        return _named_texts(named, column)
    encoding, dialect, records = _begin(source, options)
    head = find_head(records, options.header, (column,) if column and not column.isdecimal() else ())
    names = head.names or tuple(f"column {number}" for number in range(1, len(records[0]) + 1))
    position = _position(source, Table.of(names, bool(head.names), records[1:]), column)
    extra = ExtraRows(Columns(Layout.PLAIN, (Modality.TEXT,), bool(head.names), names, (position,), head.more))
    reader = RecordReader(CSVSource(source, str(source)), encoding, dialect, len(names))
    values = _rows(reader, extra, source, dialect.describe(), names, position)
    if not values:
        raise InputError(f"{source} holds no texts below its header ({', '.join(names)}). Add rows.")
    described = (
        f"{source}: {len(values)} texts of {names[position]!r} ({position + 1} of {len(names)} columns), read as "
        f"{dialect.describe()}; {encoding}; header {'yes' if head.names else 'no'}"
    )
    told = " ".join(filter(None, (head.warning, *extra.notes(""), extra.warning)))
    return Texts(values, f"{described}. {told}" if told else described)


def first_row(source: Path, options: CSVOptions) -> list[str]:
    """Return the first row of a CSV, names or values, or the names of another table's columns; see `read_texts`."""
    named = _named_table(source, options)
    return _begin(source, options)[2][0] if named is None else list(_begin_named(named)[1].names)


def _named_table(source: Path, options: CSVOptions) -> NamedTable | None:
    """Return a table that is no CSV."""
    file = CSVSource(source, str(source))
    form = table_form(file, options.encoding, options.dialect)
    return None if form is TableForm.CSV else NamedTable(file, form, options.encoding)


def _begin(source: Path, options: CSVOptions) -> tuple[str, Dialect, list[list[str]]]:
    """Return encoding and dialect of a CSV, and the records at its beginning."""
    sample = read_sample(CSVSource(source, str(source)), options.encoding)
    dialect = choose_dialect(sample.text, options.dialect, least_columns=0)
    records = parse_sample(sample.text, dialect)
    if not records:
        raise InputError(f"{source} begins without one well-formed row. Give a CSV with a text per row.")
    return sample.encoding, dialect, records


def _begin_named(named: NamedTable) -> tuple[NamedTable, Table]:
    """Return a table with the columns that are left out, and its beginning."""
    sample = named.sample(_SAMPLE_ROWS, SAMPLE_BYTES)
    names, left_out = names_of([named], [sample])
    rows = [[str(row.get(name) or "") for name in names] for row in sample]
    return dataclasses.replace(named, left_out=left_out), Table.of(names, True, rows)


def _named_texts(named: NamedTable, column: str) -> Texts:
    source = named.source.path
    named, table = _begin_named(named)
    position = _position(source, table, column)
    columns = Columns(Layout.PLAIN, (Modality.TEXT,), True, table.names, (position,))
    reader = named.records(table.names, (position,))
    values = _rows(reader, ExtraRows(columns, looks=False), source, str(named.form), table.names, position)
    if not values:
        raise InputError(f"{source} holds no texts. Add rows.")
    described = f"{table.names[position]!r} ({position + 1} of {len(table.names)} columns), read as {named.form}"
    return Texts(values, f"{source}: {len(values)} texts of {described}")


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


def _rows(
    reader: Records, extra: ExtraRows, source: Path, read_as: str, names: Sequence[str], position: int
) -> list[str]:
    """Return the texts of all rows, but for those above and below them that are no data."""
    texts: list[str] = []
    for line, cells, malformed, held, sort in extra.records(reader):
        if sort and (not texts or sort == FOOTER):
            continue
        if 0 < reader.blank_line < line:
            raise InputError(f"{source}: line {reader.blank_line} is blank. Remove it or give it a text.")
        problem = malformed or sort
        if not problem and len(cells) != len(names):
            problem = f"{len(cells)} columns instead of {len(names)}"
        if not problem and not stripped(cells[position]):
            problem = "the text is empty"
        if problem:
            raise InputError(
                f"{source}, read as {read_as}: line {line}: {problem}: {excerpt(held or reader.raw)}. Mend the row, "
                """or set the CSV options if the file was read wrongly, such as '{"dialect": "lines"}' for one text """
                "per row."
            )
        texts.append(stripped(cells[position]))
    return texts

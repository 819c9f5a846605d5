"""Tables that name their columns in every row or once for all: JSON lines, an array of JSON objects, and Parquet.

Their values become the texts that a CSV of the same table would hold, null an empty one, so that everything behind the
reading is the same.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

from embedtune.errors import InputError
from embedtune.records.csv.encodings import TableForm
from embedtune.records.csv.named_rows import Progress, Values, iter_rows, parquet_columns
from embedtune.records.csv.options import CSVSource
from embedtune.records.csv.reader import FIELD_LIMIT
from embedtune.text import shown_names

_MOST_TOLD = 3
_MOST_COLUMNS = 10_000


class Records(Protocol):
    """The records of one table that are not blank, in order."""

    blank_line: int
    """The line or number of the last record so far without any value, 0 if there was none."""
    without_value: int
    """How many of these there were, but for empty lines."""

    @property
    def position(self) -> int:
        """How many bytes of the file were read so far."""

    @property
    def weight(self) -> int:
        """About how many bytes the records so far take in memory."""

    @property
    def raw(self) -> str:
        """The text of the record last given."""

    def records(self) -> Iterator[tuple[int, list[str], str]]:
        """Yield the line or number of each record, its values, and what is wrong with it ('' if nothing)."""


@dataclass(frozen=True)
class NamedTable:
    """One file."""

    source: CSVSource
    form: TableForm
    """Not CSV."""
    encoding: str
    """The CSV option."""
    left_out: tuple[str, ...] = ()
    """Columns that are not read, for they hold no texts."""

    def sample(self, most_rows: int, most_characters: int) -> list[Values]:
        """Return the first rows that can be read, until there are so many, or so many characters in them.

        Raises:
            StorageError: the file is unreadable.
            InputError: it is damaged, or too large to be read at once.
        """
        sample = list[Values]()
        size = 0
        for _, row, _ in islice(iter_rows(self.source, self.form, self.encoding, Progress()), most_rows):
            if not isinstance(row, str):
                sample.append(row)
                size += sum(len(value) for value in row.values() if isinstance(value, str))
            if size >= most_characters:
                break
        return sample

    def records(self, names: Sequence[str], used: Sequence[int]) -> "NamedRecords":
        """Return the records: of the columns `names` what is wrong matters only with those at the positions `used`."""
        return NamedRecords(self, names, used)


class NamedRecords:
    """The records of one table, as `reader.RecordReader` gives those of a CSV: the names come first.

    Attributes:
        blank_line: The last record so far without any value, 0 if there was none.
        without_value: How many of these there were.
        unknown: Records so far with columns that are none of the names.
        unknown_names: The first few of these columns.
    """

    def __init__(self, table: NamedTable, names: Sequence[str], used: Sequence[int]) -> None:
        """Remember what to read; nothing is opened yet."""
        self.blank_line = self.without_value = self.unknown = 0
        self.unknown_names: dict[str, None] = {}
        self._table = table
        self._names = tuple(names)
        self._known = frozenset((*names, *table.left_out))
        self._used = frozenset(used)
        self._progress = Progress()
        self._row: Values | str = ""
        self._text = ""

    @property
    def position(self) -> int:
        """How many bytes of the file were read so far."""
        return self._progress.position

    @property
    def weight(self) -> int:
        """About how many bytes the records so far take in memory."""
        return self._progress.weight

    @property
    def raw(self) -> str:
        """The record last given, as an object of JSON."""
        text = self._text or json.dumps(self._row, ensure_ascii=False)
        return text.encode("utf-8", "backslashreplace").decode()

    def records(self) -> Iterator[tuple[int, list[str], str]]:
        """Yield the names, and of each row its number, its values and what is wrong with it ('' if nothing)."""
        yield 0, list(self._names), ""
        table = self._table
        for number, row, text in iter_rows(table.source, table.form, table.encoding, self._progress):
            self._row, self._text = row, text
            if isinstance(row, str):
                yield number, [], row
                continue
            if not self._known.issuperset(row):
                self.unknown += 1
                new = (name for name in row if name not in self._known)
                self.unknown_names.update(dict.fromkeys(islice(new, _MOST_TOLD - len(self.unknown_names))))
            values = [row.get(name) for name in self._names]
            cells = [value if isinstance(value, str) else "" for value in values]
            if any(map(str.strip, cells)) or not all(value is None or isinstance(value, str) for value in values):
                yield number, cells, self._problem(values)
            else:
                self.blank_line = number
                self.without_value += 1

    def _problem(self, values: Sequence[object]) -> str:
        for position in self._used:
            value = values[position]
            if value is None:
                continue
            if not isinstance(value, str):
                return f"the value of {self._names[position]!r} is a list or an object"
            if len(value) > FIELD_LIMIT:
                return f"a value has more than {FIELD_LIMIT} characters"
            try:
                value.encode()
            except UnicodeEncodeError:
                return f"the value of {self._names[position]!r} is no text in Unicode"
        return ""


def names_of(
    tables: Sequence[NamedTable], samples: Sequence[Sequence[Values]]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the columns of tables that are read as one, and those that are left out.

    Left out are columns that hold nothing but lists or objects, and numbers of rows as pandas writes them. `samples`
    are the first rows of each table.

    Raises:
        InputError: nothing is left, a name stands for two columns, or there are too many.
    """
    known = dict[str, bool]()
    for table, sample in zip(tables, samples, strict=True):
        if table.form is TableForm.PARQUET:
            for name, is_flat in parquet_columns(table.source).items():
                known[name] = known.get(name, False) or is_flat
        for row in sample:
            for name, value in row.items():
                known[name] = known.get(name, False) or value is None or isinstance(value, str)
    if len(known) > _MOST_COLUMNS:
        raise InputError(
            f"{tables[0].source.origin} has more than {_MOST_COLUMNS} columns, such as {shown_names([*known][:3])}. "
            "Give those that are to be read."
        )
    names = tuple(name for name, is_flat in known.items() if is_flat)
    nested = tuple(name for name, is_flat in known.items() if not is_flat)
    if not names:
        raise InputError(
            f"{tables[0].source.origin} is {tables[0].form} without a column of texts or numbers"
            f"{f', but of lists or objects ({shown_names(nested)})' if nested else ''}. Give rows such as text and "
            "label, or query and document."
        )
    return names, nested

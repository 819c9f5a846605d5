"""Turn the addresses in a rows file into contents."""

import csv
import io
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import pyarrow.parquet as pq

from embedtune.errors import InputError
from embedtune.progress import progress
from embedtune.records.layouts import CONTENT_COLUMNS, LABEL_COLUMN, LINE_COLUMN, SOURCE_COLUMN, VALUE_COLUMNS, Modality
from embedtune.records.load_queue import LoadQueue, Ticket
from embedtune.records.loader import ContentKey, ContentLoader, Failed, Failure, Loaded, LoadOptions
from embedtune.records.output import Part, RowsOutput
from embedtune.records.rows import RowsFormat, iter_rows
from embedtune.text import excerpt

_WINDOW_BYTES = 32 << 20
_BATCH_ROWS = 2_000
_ADVANCE_ROWS = 50
_HOPELESS_CONTENTS = 200
_MOST_TOLD = 3
_PEEKED_ROWS = 1_000

Queue = LoadQueue[ContentKey, Loaded | Failed]


def load_contents(output: RowsOutput, origins: Mapping[str, str] | str, options: LoadOptions) -> tuple[str, ...]:
    """Load the images or meshes that the rows of an output name, several at a time, in their order.

    What is stored of a content says `loader.Loaded`; its address is kept beside it, the content of a `data:`
    address left out. An address that occurs again soon is loaded once. What may be opened say
    `storage.access.AccessRules` for each origin. Rows with a content that cannot be loaded are set aside. Memory does
    not grow with the rows: about 250 MiB, and more only where single contents are very large.

    Args:
        output: Holds rows with addresses (`RowsFormat.loaded` False); their contents take the places of these.
        origins: Address that the rows came from, which relative addresses start from; of several sources, for each
            name in the column `source`.
        options: How to load.

    Returns:
        What a person should know about the rows set aside.

    Raises:
        InputError: too many rows are set aside, here and before; or of the first 200 contents each may not be opened,
            or none can be reached.
        StorageError: an output cannot be written.
    """
    rows_format = output.rows_format
    with output.rewritten(replace(rows_format, loaded=True)) as (rows, earlier):
        work = _Work(rows_format, origins, output)
        work.run(rows, options)
    work.hope.check_at_end()
    output.finish(list(work.parts(earlier)), cure="and what they name, ")
    return work.warnings()


@dataclass(frozen=True)
class _Row:
    cells: tuple[object, ...]
    """The values of the row, in the order of the file's columns."""
    tickets: tuple[Ticket[ContentKey, Loaded | Failed], ...]
    """Of its contents that are not text, in order."""


class _Work:
    """Everything that one run of `load_contents` shares."""

    def __init__(
        self,
        rows_format: RowsFormat,
        origins: Mapping[str, str] | str,
        output: RowsOutput,
    ) -> None:
        self.seen = Counter[str]()
        self.what = next(modality for modality in rows_format.modalities if modality is not Modality.TEXT).plural
        self._origins = origins
        self._names = rows_format.schema.names
        modalities = dict(zip(CONTENT_COLUMNS[rows_format.layout], rows_format.modalities, strict=True))
        self._media = {
            self._names.index(name): modality for name, modality in modalities.items() if modality is not Modality.TEXT
        }
        self._told = [self._names.index(name) for name in (*modalities, *VALUE_COLUMNS[rows_format.layout])]
        self._output = output
        self._label = self._names.index(LABEL_COLUMN) if LABEL_COLUMN in self._names else None
        self._labels: tuple[set[object], set[object]] = set(), set()
        self.hope = _Hope(self.what)

    def run(self, rows: Path, options: LoadOptions) -> None:
        """Load everything."""
        total = pq.read_metadata(rows).num_rows
        with (
            progress(f"Loading {self.what}", total, "rows") as advance,
            LoadQueue(ContentLoader(options).load, _size_of, self._workers(rows, options), _WINDOW_BYTES) as queue,
        ):
            for number, row in enumerate(self._in_order(rows, queue), start=1):
                self._finish(row, queue)
                if number % _ADVANCE_ROWS == 0 or number == total:
                    advance(_ADVANCE_ROWS if number % _ADVANCE_ROWS == 0 else number % _ADVANCE_ROWS)

    def parts(self, earlier: Counter[str]) -> Iterator[Part]:
        """Yield what was tried of each source, with what was set aside before."""
        for name in sorted({*self.seen, *earlier}):
            before = f" ({earlier[name]} rows were set aside before)" if earlier[name] else ""
            loading = f"{name}, loading" if name else "Loading"
            yield Part(name, f"{loading} {self.what}{before}", self.seen[name] + earlier[name])

    def warnings(self) -> tuple[str, ...]:
        """Return what the rows set aside mean: which labels are lost with them."""
        kept, hit = self._labels
        lost = sorted(str(label) for label in hit - kept)
        if not lost:
            return ()
        more = f" and {len(lost) - _MOST_TOLD} more" if len(lost) > _MOST_TOLD else ""
        told = ", ".join(map(excerpt, lost[:_MOST_TOLD]))
        return (f"{len(lost)} labels are lost, since none of their {self.what} can be used: {told}{more}.",)

    def _workers(self, rows: Path, options: LoadOptions) -> int:
        origins = [self._origins] if isinstance(self._origins, str) else list(self._origins.values())
        first = islice(_iter_cells(rows), _PEEKED_ROWS)
        return options.workers_for([*origins, *(str(cells[place]) for cells in first for place in self._media)])

    def _in_order(self, rows: Path, queue: Queue) -> Iterator[_Row]:
        """Ask for the contents of the rows ahead, and yield each row when its turn has come."""
        waiting: deque[_Row] = deque()
        for cells in _iter_cells(rows):
            while waiting and not queue.wait_for_room(waiting[0].tickets):
                yield waiting.popleft()
            waiting.append(self._asked(cells, queue))
        yield from waiting

    def _asked(self, cells: tuple[object, ...], queue: Queue) -> _Row:
        origin = self._origins
        if not isinstance(origin, str):
            origin = origin[str(cells[self._names.index(SOURCE_COLUMN)])]
        keys = [ContentKey(modality, origin, str(cells[place])) for place, modality in self._media.items()]
        return _Row(cells, tuple(queue.ask(key) for key in keys))

    def _finish(self, row: _Row, queue: Queue) -> None:
        self.seen[self._source(row)] += 1
        contents = queue.take(row.tickets)
        found: list[tuple[int, str, Loaded]] = []
        for place, ticket, content in zip(self._media, row.tickets, contents, strict=True):
            self.hope.note(ticket.key, content)
            if isinstance(content, Failed):
                self._reject(row, place, content)
                self._note_label(row, False)
                return
            found.append((place, ticket.key.cell, content))
        values = list(row.cells)
        # From the right, so that the places of the others stay.
        for place, cell, content in reversed(found):
            values[place : place + 1] = (content.data, content.digest, _named(cell))
        self._output.add(values, sum(len(content.data) for _, _, content in found))
        self._note_label(row, True)

    def _note_label(self, row: _Row, is_kept: bool) -> None:
        if self._label is not None:
            self._labels[0 if is_kept else 1].add(row.cells[self._label])

    def _source(self, row: _Row) -> str:
        return str(row.cells[self._names.index(SOURCE_COLUMN)]) if SOURCE_COLUMN in self._names else ""

    def _reject(self, row: _Row, place: int, failed: Failed) -> None:
        line = row.cells[self._names.index(LINE_COLUMN)]
        text = io.StringIO()
        csv.writer(text, lineterminator="").writerow([row.cells[told] for told in self._told])
        self._output.reject(
            int(str(line)), f"{self._names[place]}: {failed.reason}", text.getvalue(), self._source(row)
        )


class _Hope:
    """Ends the work early where nothing can be opened or reached, so that nobody waits for thousands of failures."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._failed: dict[ContentKey, Failed] = {}
        self._is_lost = True

    def note(self, key: ContentKey, content: Loaded | Failed) -> None:
        """Take one outcome into account."""
        if not self._is_lost:
            return
        if isinstance(content, Loaded) or content.failure is Failure.OTHER:
            self._is_lost = False
            self._failed.clear()
            return
        self._failed[key] = content
        if len(self._failed) >= _HOPELESS_CONTENTS:
            self._end("the first ")

    def check_at_end(self) -> None:
        """Judge fewer contents than are needed to end early; raise InputError if all of them failed."""
        if self._is_lost and self._failed:
            self._end("")

    def _end(self, which: str) -> None:
        key, failed = next(iter(self._failed.items()))
        failures = sorted({failed.failure for failed in self._failed.values()}, reverse=True)
        raise InputError(
            f"{key.origin}: none of {which}{len(self._failed)} {self._what} can be loaded, since each of them "
            f"{' or '.join(failures)}. The first one: {failed.reason}."
        )


def _iter_cells(rows: Path) -> Iterator[tuple[object, ...]]:
    for batch in iter_rows(rows, batch_rows=_BATCH_ROWS):
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def _size_of(content: Loaded | Failed) -> int:
    return len(content.data) if isinstance(content, Loaded) else len(content.reason)


def _named(cell: str) -> str:
    return cell.partition(",")[0] if cell[:5].lower() == "data:" else cell

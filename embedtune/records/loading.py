"""Turn the addresses in a rows file into contents."""

import csv
import io
import re
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from queue import SimpleQueue
from typing import Self, cast

import pyarrow.parquet as pq

from embedtune.cpus import available_cpus
from embedtune.errors import InputError
from embedtune.progress import progress
from embedtune.records.csv.options import CSVOptions
from embedtune.records.layouts import LABEL_COLUMN, SOURCE_COLUMN
from embedtune.records.loader import ContentKey, ContentLoader, Failed, Failure, Loaded
from embedtune.records.output import Part, RowsOutput
from embedtune.records.rows import RowsFormat, iter_rows
from embedtune.text import excerpt

_WINDOW_BYTES = 32 << 20
_ROWS_AHEAD = 2_000
"""Enough to keep the threads busy while the one who asks writes what it took."""
_REFILL_AT = _ROWS_AHEAD // 2
_BATCH_ROWS = 2_000
_ADVANCE_ROWS = 50
_HOPELESS_CONTENTS = 200
_MOST_TOLD = 3
_PEEKED_ROWS = 1_000
_REMOTE_WORKERS = 16
_MORE_THAN_CPUS = 2
_SERVER = re.compile(r"(https?|s3|minio)://", re.IGNORECASE)

Cells = tuple[object, ...]
"""The values of a row, in the order of the file's columns."""


def load_contents(output: RowsOutput, origins: Mapping[str, str] | str, options: CSVOptions) -> tuple[str, ...]:
    """Load the images or meshes that the rows of an output name, several at a time, in their order.

    The contents take the places of the addresses (`RowsFormat.loaded`). What is stored of one says `loader.Loaded`;
    its address is kept beside it, the content of a `data:` address left out. An address that occurs again soon is
    loaded once. What may be opened say `storage.access.AccessRules` for each origin. Rows with a content that cannot be
    loaded are set aside; returned is what a person should know about them. Memory does not grow with the rows: about
    250 MiB, and more only where single contents are very large.

    Args:
        output: Holds the rows.
        origins: Address that the rows came from, which relative addresses start from; of several sources, for each
            name in the column `source`.
        options: Of them, how many points are drawn from a mesh, and which.

    Raises:
        InputError: too many rows are set aside, here and before; or of the first 200 contents each may not be opened,
            or none can be reached.
        StorageError: an output cannot be written.
    """
    rows_format = output.rows_format
    with output.rewritten(replace(rows_format, loaded=True, measured=True)) as (rows, earlier):
        work = _Work(rows_format, origins, output)
        work.run(rows, options)
    work.hope.check_at_end()
    output.finish(list(work.parts(earlier)), cure="and what they name, ")
    return work.warnings()


@dataclass(slots=True, eq=False)
class _Asked:
    """A content that was asked for, perhaps by several rows."""

    key: ContentKey
    number: int
    holders: int = 0
    outcome: Loaded | Failed | BaseException | None = None


class _Ahead:
    """Loads contents by several threads ahead of who takes them, each once as long as a row ahead needs it.

    What is loaded and not yet taken fills `_WINDOW_BYTES`; on top comes at most one content for each thread. Leaving
    it does not wait for a thread that is in the middle of something, so that an interrupt ends the work at once: that
    is why these are no threads of a ThreadPoolExecutor, for which Python waits when it ends.
    """

    def __init__(self, load: Callable[[ContentKey], Loaded | Failed], workers: int) -> None:
        self._load = load
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(workers)]
        self._queue: SimpleQueue[_Asked | None] = SimpleQueue()
        self._asked: dict[ContentKey, _Asked] = {}
        self._changed = threading.Condition()
        self._count = 0
        self._awaited: _Asked | None = None
        self._unfinished = 0
        self._held_bytes = 0
        self._is_over = False

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        with self._changed:
            self._is_over = True
            self._changed.notify_all()
        for _ in self._threads:
            self._queue.put(None)

    def ask(self, key: ContentKey) -> _Asked:
        """Have something loaded, unless it is there or on its way; it has to be given to `take` as often."""
        asked = self._asked.get(key)
        if asked is None:
            asked = self._asked[key] = _Asked(key, self._count)
            self._count += 1
            with self._changed:
                self._unfinished += 1
            self._queue.put(asked)
        asked.holders += 1
        return asked

    def take(self, asked: _Asked) -> Loaded | Failed:
        """Wait for a content, and let go of it when nobody else asked for it."""
        if asked.outcome is None:
            with self._changed:
                self._awaited = asked
                if self._held_bytes >= _WINDOW_BYTES:
                    self._changed.notify_all()
                self._changed.wait_for(self._may_go_on)
                self._awaited = None
        content = cast(Loaded | Failed | BaseException, asked.outcome)
        if isinstance(content, BaseException):
            raise content
        asked.holders -= 1
        if not asked.holders:
            del self._asked[asked.key]
            with self._changed:
                was_full = self._held_bytes >= _WINDOW_BYTES
                self._held_bytes -= _size_of(content)
                if was_full:
                    self._changed.notify_all()
        return content

    def _work(self) -> None:
        while (asked := self._queue.get()) is not None:
            with self._changed:
                self._changed.wait_for(lambda: self._may_load(asked.number))
            if self._is_over:
                return
            try:
                content = self._load(asked.key)
            except BaseException as error:
                self._finish(asked, error)  # a bug; `take` raises it
                raise
            self._finish(asked, content)

    def _finish(self, asked: _Asked, outcome: Loaded | Failed | BaseException) -> None:
        with self._changed:
            asked.outcome = outcome
            self._unfinished -= 1
            if not isinstance(outcome, BaseException):
                self._held_bytes += _size_of(outcome)
            if self._may_go_on():
                self._changed.notify_all()

    def _may_go_on(self) -> bool:
        """Tell whether who waits has enough to take: to wake it for each content would cost more than a small one."""
        if self._awaited is None or self._awaited.outcome is None:
            return False
        is_enough = self._unfinished <= _REFILL_AT or self._held_bytes >= _WINDOW_BYTES
        return is_enough or isinstance(self._awaited.outcome, BaseException)

    def _may_load(self, number: int) -> bool:
        """Tell whether there is room; what is waited for is loaded without, after nothing but what was taken."""
        is_awaited = self._awaited is not None and number <= self._awaited.number
        return self._held_bytes < _WINDOW_BYTES or is_awaited or self._is_over


class _Work:
    """Everything that one run of `load_contents` shares."""

    def __init__(self, rows_format: RowsFormat, origins: Mapping[str, str] | str, output: RowsOutput) -> None:
        self.seen = Counter[str]()
        self._output = output
        self._origins = origins
        self._names = rows_format.schema.names
        self._media = {self._names.index(name): modality for name, modality in rows_format.media.items()}
        self._told = self._names.index(rows_format.layout.contents[0])
        self._label = self._names.index(LABEL_COLUMN) if LABEL_COLUMN in self._names else None
        self.what = next(iter(self._media.values())).plural
        self.hope = _Hope(self.what)
        self._labels: tuple[set[object], set[object]] = set(), set()

    def run(self, rows: Path, options: CSVOptions) -> None:
        total = pq.read_metadata(rows).num_rows
        with (
            progress(f"Loading {self.what}", total, "rows") as advance,
            _Ahead(ContentLoader(options).load, self._workers(rows)) as ahead,
        ):
            for number, (cells, asked) in enumerate(self._in_order(rows, ahead), start=1):
                self._finish(cells, [(each.key, ahead.take(each)) for each in asked])
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

    def _workers(self, rows: Path) -> int:
        origins = [self._origins] if isinstance(self._origins, str) else list(self._origins.values())
        first = islice(_iter_cells(rows), _PEEKED_ROWS)
        return _workers_for([*origins, *(str(cells[place]) for cells in first for place in self._media)])

    def _in_order(self, rows: Path, ahead: _Ahead) -> Iterator[tuple[Cells, list[_Asked]]]:
        """Ask for the contents of the rows ahead, and yield each row when its turn has come."""
        waiting: deque[tuple[Cells, list[_Asked]]] = deque()
        for cells in _iter_cells(rows):
            origin = self._origins if isinstance(self._origins, str) else self._origins[self._source(cells)]
            keys = [ContentKey(modality, origin, str(cells[place])) for place, modality in self._media.items()]
            waiting.append((cells, [ahead.ask(key) for key in keys]))
            if len(waiting) >= _ROWS_AHEAD:
                yield waiting.popleft()
        while waiting:
            yield waiting.popleft()

    def _finish(self, cells: Cells, contents: Sequence[tuple[ContentKey, Loaded | Failed]]) -> None:
        """Write a row, or set it aside where one of its contents cannot be used."""
        self.seen[self._source(cells)] += 1
        loaded: dict[int, tuple[object, ...]] = {}
        size = 0
        for place, (key, content) in zip(self._media, contents, strict=True):
            self.hope.note(key, content)
            if isinstance(content, Failed):
                self._reject(cells, place, content)
                break
            loaded[place] = (content.data, content.digest, _named(key.cell), content.size)
            size += len(content.data)
        else:
            self._output.add([v for place, cell in enumerate(cells) for v in loaded.get(place, (cell,))], size)
        if self._label is not None:
            self._labels[0 if len(loaded) == len(contents) else 1].add(cells[self._label])

    def _source(self, cells: Cells) -> str:
        return str(cells[self._names.index(SOURCE_COLUMN)]) if SOURCE_COLUMN in self._names else ""

    def _reject(self, cells: Cells, place: int, failed: Failed) -> None:
        text = io.StringIO()
        csv.writer(text, lineterminator="").writerow(cells[self._told :])
        reason = f"{self._names[place]}: {failed.reason}"
        self._output.reject(int(str(cells[0])), reason, text.getvalue(), self._source(cells))


class _Hope:
    """Ends the work early where nothing can be opened or reached, so that nobody waits for thousands of failures."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._failed: dict[ContentKey, Failed] = {}
        self._is_lost = True

    def note(self, key: ContentKey, content: Loaded | Failed) -> None:
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


def _iter_cells(rows: Path) -> Iterator[Cells]:
    for batch in iter_rows(rows, batch_rows=_BATCH_ROWS):
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def _workers_for(addresses: Iterable[str]) -> int:
    """Return the number of threads: many to wait for servers; from a disk they would be in each other's way."""
    return _REMOTE_WORKERS if any(map(_SERVER.match, addresses)) else available_cpus() + _MORE_THAN_CPUS


def _size_of(content: Loaded | Failed) -> int:
    return len(content.data) if isinstance(content, Loaded) else len(content.reason)


def _named(cell: str) -> str:
    return cell.partition(",")[0] if cell[:5].lower() == "data:" else cell

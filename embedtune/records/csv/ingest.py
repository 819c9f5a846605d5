"""Turn CSV files into validated rows and a quarantine file."""

from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b

from embedtune.errors import InputError, StorageError
from embedtune.progress import Advance, progress
from embedtune.records.csv.column_contents import is_address
from embedtune.records.csv.columns import Columns
from embedtune.records.csv.extra_rows import ExtraRows
from embedtune.records.csv.header import OTHER_ORDER
from embedtune.records.csv.layout_by_content import parse_score
from embedtune.records.csv.named_tables import NamedRecords
from embedtune.records.csv.options import AUTO, CSVOptions, CSVSource, IngestRequest
from embedtune.records.csv.reading_plan import FilePlan, IngestPlan, file_stamp, plan_files
from embedtune.records.layouts import Layout, Modality
from embedtune.records.output import SET_OPTIONS, Part, RowsOutput
from embedtune.records.rows import CSVFacts, IngestReport, RowsFormat
from embedtune.text import excerpt, shown_names, stripped

_ROWS_BETWEEN_LOOKS = 100
_DIGEST_BYTES = 8
_PLACES = {"values differ": -1, "queries differ": 0, "documents differ": 1}
_ARTICLES = {Modality.IMAGE: "an image", Modality.MESH: "a mesh"}

_Row = tuple[object, ...]


def ingest_csv(sources: Sequence[CSVSource], output: RowsOutput, request: IngestRequest) -> IngestReport:
    """Read CSV files of one layout, in order, into validated rows.

    What is not set is detected on the beginnings of the files and reported: see `encodings.read_sample`,
    `dialect_detection.choose_dialect`, `header.find_head` and `columns.find_columns` for the rules. Values are
    stripped of white space around them; blank lines are skipped; records that `_RowParser` cannot use are set aside.
    Contents that are not text stay addresses. Memory does not grow with the files. `output` was just opened.

    Raises:
        StorageError: a source is missing, unreadable or changes meanwhile, or an output cannot be written.
        InputError: the sources cannot be used: no rows, undecodable, columns or layout that cannot be told or differ
            between the files, too many bad rows, or nothing to learn from.
    """
    plan = plan_files(sources, request)
    columns = plan.columns
    texts_only = all(modality is Modality.TEXT for modality in columns.modalities)
    rows_format = RowsFormat(columns.layout, columns.modalities, loaded=texts_only, several_sources=plan.several)
    check = _LearnableCheck(columns.layout)
    output.begin(rows_format, check.watch)
    copy = _Copy(plan, request.options, output)
    what = plan.files[0].name if not plan.several else f"{len(plan.files)} files"
    with progress(f"Reading {what}", sum(file.stamp[0] for file in plan.files), "bytes") as advance:
        for file in plan.files:
            copy.file(file, advance)
    output.finish(copy.parts(), cure=SET_OPTIONS)
    if not copy.kept + output.bad_rows:
        raise InputError(
            f"{plan.label}: no row is left, because the sampling_rate kept none. Raise it, or change the seed."
        )
    if request.whole:
        check.finish(plan.label)
    return _report(plan, copy, request)


class _Copy:
    """Copies the records of files to an output."""

    def __init__(self, plan: IngestPlan, options: CSVOptions, output: RowsOutput) -> None:
        self.output = output
        self.kept = 0  # records that became rows
        self.without_value = 0  # records without any value, which count as blank
        self.counts: list[tuple[int, int]] = []  # of each file the records that became rows, and those set aside
        self.notes: list[str] = []  # what was set aside because it is no data, such as a footer
        self.warnings: list[str] = []  # what may be no data
        self.unknown: dict[str, NamedRecords] = {}  # files with columns that none of the first rows has
        self._plan = plan
        self._options = options

    def file(self, plan: FilePlan, advance: Advance) -> None:
        """Copy one file, unless there are rows enough already."""
        columns, several = self._plan.columns, self._plan.several
        reader = plan.records(columns)
        parse = _RowParser(columns).parse
        extra = ExtraRows(columns, looks=plan.table is None)
        before = self.kept, self.output.bad_rows
        told = weight = size = 0
        most, rate, seed = self._options.size, self._options.sampling_rate, self._options.seed
        for line, cells, problem, held, sort in extra.records(reader):
            if sort:
                self._set_aside(plan, line, sort, held or reader.raw)
                continue
            if most is not None and self.kept >= most:
                break
            if rate is not None and not _is_drawn(held or reader.raw, rate, seed):
                continue
            found = problem or parse(cells)
            if isinstance(found, str):
                self.output.reject(line, found, held or reader.raw, plan.name)
                continue
            self.kept += 1
            if self.kept % _ROWS_BETWEEN_LOOKS == 0:
                size, weight = reader.weight - weight, reader.weight
                position = reader.position
                advance(position - told)
                told = position
            head = (line, plan.name) if several else (line,)
            for row in found:
                self.output.add((*head, *row), size)
                size = 0
        self.without_value += reader.without_value
        if isinstance(reader, NamedRecords) and reader.unknown:
            self.unknown[plan.name] = reader
        self.notes += extra.notes(plan.name if several else "")
        self.warnings += [f"{plan.name}: {extra.warning}" if several else extra.warning] if extra.warning else []
        self.counts.append((self.kept - before[0], self.output.bad_rows - before[1]))
        advance(plan.stamp[0] - told)
        if file_stamp(plan.source) != plan.stamp:
            raise StorageError(f"{plan.source.origin} changed while it was read. Start again when it is complete.")

    def parts(self) -> list[Part]:
        """Return what was read of each file."""
        layout = self._plan.columns.layout
        return [
            Part(file.name, f"{file.source.origin}, read as {file.read_as}, layout {layout}", sum(counts))
            for file, counts in zip(self._plan.files, self.counts, strict=True)
        ]

    def _set_aside(self, plan: FilePlan, line: int, sort: str, raw: str) -> None:
        if sort == OTHER_ORDER:
            raise InputError(
                f"{plan.source.origin}: on line {line} the header comes again with its columns in another order, "
                f"{excerpt(raw)}. Bring the rows below it into the order of the others."
            )
        self.output.pass_over(line, sort, raw, plan.name)


class _RowParser:
    """Parses the records of a file.

    Values are stripped of white space around them; one without a sign that can be seen, or with a NUL character, makes
    the record unusable, and so does what is no address in a column of images or meshes, a score that is not from 0 to
    1, and another number of cells than columns. Of several wrong answers or plain texts, empty ones are left out.
    """

    def __init__(self, columns: Columns) -> None:
        self._used = columns.used
        self._width = len(columns.names)
        self._modalities = columns.modalities
        self._media = any(modality is not Modality.TEXT for modality in columns.modalities)
        self._what = columns.layout.columns
        makers = {Layout.SCORED: self._scored, Layout.MATCHES: self._matches, Layout.PLAIN: self._plain}
        self._rows: Callable[[list[str]], list[_Row] | str] = makers.get(columns.layout, self._two)
        self._are_two_texts = self._rows == self._two and not self._media

    def parse(self, cells: list[str]) -> list[_Row] | str:
        """Return the rows of a record, or why it cannot be used."""
        if self._are_two_texts and len(cells) == self._width:
            # Nearly every row is such a one, which the way below takes twice the time for.
            first, second = stripped(cells[self._used[0]]), stripped(cells[self._used[1]])
            if first and second and "\0" not in first and "\0" not in second:
                return [(first, second)]
        if len(cells) != self._width:
            hint = "; a value that contains the delimiter must stand in quotes" if len(cells) > self._width else ""
            return f"{len(cells)} columns instead of {self._width}{hint}"
        values = [stripped(cells[i]) for i in self._used]
        return "a value contains a NUL character" if "\0" in "".join(values) else self._rows(values)

    def _two(self, values: list[str]) -> list[_Row] | str:
        """labelled, pairs, text-image: one row of two values."""
        return self._problem(values) or [tuple(values)]

    def _scored(self, values: list[str]) -> list[_Row] | str:
        """scored: one row of two contents and a number."""
        score = self._problem(values) or parse_score(values[2])
        return score if isinstance(score, str) else [(*values[:2], score)]

    def _matches(self, values: list[str]) -> list[_Row] | str:
        """matches: one row for the answer, and one for each wrong answer."""
        query, answer, *others = values
        wrong = [value for value in dict.fromkeys(others) if value]
        if not query or not answer or not wrong:
            empty = "query" if not query else "wrong answer" if answer else "answer"
            return f"the {empty} is empty"
        if answer in wrong:
            return "a wrong answer is the answer itself"
        documents = [answer, *wrong]
        problems = (self._not_media([query, document]) for document in documents if self._media)
        return next(filter(None, problems), "") or [
            (query, document, float(document is answer)) for document in documents
        ]

    def _plain(self, values: list[str]) -> list[_Row] | str:
        """plain: one row for each value that is not empty."""
        return [(value,) for value in values if value] or "the text is empty"

    def _problem(self, values: list[str]) -> str:
        if "" in values:
            return f"the {self._what[values.index('')]} is empty"
        return self._not_media(values) if self._media else ""

    def _not_media(self, values: list[str]) -> str:
        """Say which of the contents is no address though it should be one, '' if none."""
        for what, modality, value in zip(self._what, self._modalities, values, strict=False):
            if modality is not Modality.TEXT and not is_address(value):
                return f"the {what} {excerpt(value)} is no address of {_ARTICLES[modality]}"
        return ""


class _LearnableCheck:
    """Watches the rows go by and refuses those that nothing can be learned from.

    Labelled rows need two labels, one of them on two rows. Pairs need two queries, two documents, and a pair of
    different ones; text-image rows two texts and two images; scored rows two scores and a pair of different contents;
    matches a relevant document and another one that is not. Plain texts and BEIR need nothing. Only what is still
    missing is looked for, so the memory needed does not grow with the rows.
    """

    def __init__(self, layout: Layout) -> None:
        self._names = layout.columns
        self._first: list[object] = []
        self._labels: set[object] = set()
        self._missing = list(layout.needs)

    def watch(self, columns: Sequence[Sequence[object]]) -> None:
        """Look at a batch: the contents and values of the layout, in order; it is not empty."""
        if not self._missing:
            return
        if not self._first:
            self._first = [column[0] for column in columns]
        self._missing = [requirement for requirement in self._missing if not self._is_met(requirement, columns)]

    def finish(self, source: str) -> None:
        """Refuse rows of a source that hold nothing to learn from."""
        if not self._missing or not self._first:
            return
        first, second, last = self._names[0], self._names[1], self._names[-1]
        problems = {
            "values differ": f"all rows have the same {last} {_shown(self._first[-1])}, so nothing is told apart. Give "
            f"two values of {last} or more.",
            "a label repeats": "every label occurs once, so no two contents belong together. Give labels that several "
            "contents share, or set the layout to 'pairs' if the second column is a document.",
            "queries differ": f"all rows have the same {first} {_shown(self._first[0])}. Give two or more.",
            "documents differ": f"all rows have the same {second} {_shown(self._first[1])}. Give two or more.",
            "sides differ": f"in every row the {first} is the {second} itself. Give some that differ.",
        }
        raise InputError(f"{source}, read as {','.join(self._names)}: {problems[self._missing[0]]}")

    def _is_met(self, requirement: str, columns: Sequence[Sequence[object]]) -> bool:
        if requirement == "sides differ":
            return any(first != second for first, second in zip(columns[0], columns[1], strict=True))
        if requirement != "a label repeats":
            place = _PLACES[requirement]
            return any(value != self._first[place] for value in columns[place])
        most = len(self._labels) + len(columns[-1])
        self._labels.update(columns[-1])
        if repeats := len(self._labels) < most:
            self._labels.clear()
        return repeats


def _is_drawn(row: str, rate: float, seed: int) -> bool:
    """Decide by a hash of its text and a seed whether a row is kept, with the probability `rate`.

    So a row is kept or not whatever stands before it, and a file cut into several gives the same rows. Rows of the same
    text are kept or dropped together.
    """
    digest = blake2b(f"{seed}:{row}".encode(), digest_size=_DIGEST_BYTES).digest()
    return int.from_bytes(digest) < int(rate * 256**_DIGEST_BYTES)


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


def _shown(value: object) -> str:
    return excerpt(value) if isinstance(value, str) else f"{value:g}" if isinstance(value, float) else str(value)

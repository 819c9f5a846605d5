"""BEIR folders: queries, a corpus, and judgments of how relevant a document is to a query.

`corpus.jsonl` (`_id`, `text` and perhaps `title`), `queries.jsonl` (`_id`, `text`), both also compressed with gzip as
`.jsonl.gz`, and `qrels/train.tsv`, `dev.tsv`, `test.tsv` with the columns `query-id corpus-id score`
(https://github.com/beir-cellar/beir/wiki/Load-your-custom-dataset). Vertex AI's tuning of text embeddings takes the
same files; where they have no column with the score, it is 1.
"""

import math
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from embedtune.errors import InputError
from embedtune.progress import Advance, progress
from embedtune.records.beir_files import BEIRFiles, find_files
from embedtune.records.beir_texts import EmptyTextError, TextStore, parse_text, read_lines
from embedtune.records.layouts import Layout, Modality
from embedtune.records.quarantine import Part, QuarantineWriter
from embedtune.records.report import IngestReport
from embedtune.records.rows import RowsFormat, RowsWriter, open_rows
from embedtune.storage.atomic import atomic_path

_SCORE_NAMES = frozenset({"score", "relevance", "rel", "label"})
_BATCH_ROWS = 10_000
_BATCH_CHARACTERS = 4 << 20
_LARGEST_SCORE = float(np.finfo(np.float32).max)
_NOT_RELEVANT = (-1.0, -2.0)
"""Scores that TREC's assessors give to spam and junk."""


def ingest_beir(root: Path, origin: str, rows: Path, quarantine: Path, max_bad_share: float) -> IngestReport:
    """Turn a BEIR folder into rows: one for each judgment, then one without query for each document not judged.

    The content of a document is its title and text, see `beir_texts.parse_text`. The line of a row is that of its
    judgment, or of its document in the corpus where nobody judged it; `source` names the file. Set aside are malformed
    lines, texts that are empty, ids that come again with another text, judgments of unknown ids, and scores that are
    negative or no number; but -1 and -2, which TREC gives to spam, count as 0, and a document or query without text
    that no judgment names is passed over. Texts pass through a temporary file beside `rows`; memory holds the ids.

    Args:
        root: The folder, or one that holds nothing but it.
        origin: Its URI, for messages.
        rows: Rows file to write. It appears only if nothing is raised.
        quarantine: Quarantine file to write. It appears as soon as everything was read, even if it is then refused.
        max_bad_share: Largest accepted share of bad lines in each of the files, 0..1.

    Raises:
        InputError: a file is missing or damaged, too many lines are bad, or no document is relevant to any query.
        StorageError: a file cannot be read, or an output cannot be written.
    """
    files = find_files(root, origin)
    with atomic_path(rows) as rows_part:
        with atomic_path(quarantine) as quarantine_part, ExitStack() as stack:
            rejected = QuarantineWriter(
                stack.enter_context(quarantine_part.open("w", encoding="utf-8", newline="")), several_sources=True
            )
            spools = [stack.enter_context(tempfile.TemporaryFile(dir=rows.parent)) for _ in range(2)]
            advance = stack.enter_context(progress(f"Reading {origin}", files.size, "bytes"))
            reading = _Reading(files, TextStore(spools[0]), TextStore(spools[1]), rejected, advance)
            rows_format = RowsFormat(Layout.BEIR, (Modality.TEXT, Modality.TEXT), several_sources=True)
            reading.copy(stack.enter_context(open_rows(rows_part, rows_format)))
        reading.check(origin, quarantine, max_bad_share)
    return reading.report()


@dataclass
class _Reading:
    """The reading of one folder and what it has found so far."""

    files: BEIRFiles
    queries: TextStore
    corpus: TextStore
    rejected: QuarantineWriter
    advance: Advance
    lines: dict[Path, int] = field(default_factory=dict)
    """Lines of each file, good and bad, without a header."""
    rows: int = 0
    relevant: int = 0
    spam: int = 0
    """Judgments with a score of -1 or -2."""
    empty: dict[tuple[Path, str], int] = field(default_factory=dict)
    """Of each file and id without a text that no judgment has named so far, the line."""
    judged_queries: set[int] = field(default_factory=set)
    counts: dict[str, int] = field(default_factory=dict)
    """Judgments of each split."""

    def copy(self, writer: RowsWriter) -> None:
        """Read everything and write the rows."""
        self._read_texts(self.files.queries, self.queries)
        self._read_texts(self.files.corpus, self.corpus)
        judged = bytearray(len(self.corpus))
        batch = _Batch(writer)
        for path, split in self.files.judgments:
            self.counts[split] = self.counts.get(split, 0) + self._judge(path, split, judged, batch)
        name = self.files.name(self.files.corpus)
        for number in range(len(self.corpus)):
            if not judged[number]:
                batch.add((self.corpus.lines[number], name, None, self.corpus.text(number), 0.0, ""))
        batch.flush()
        self.rows = writer.count

    def _read_texts(self, path: Path, store: TextStore) -> None:
        for line, raw, problem in read_lines(path, self.advance):
            self.lines[path] = self.lines.get(path, 0) + 1
            try:
                if problem:
                    raise ValueError(problem)
                store.add(line, *parse_text(raw))
            except EmptyTextError as error:
                self.empty[path, error.identifier] = line
            except ValueError as error:
                self._reject(path, line, str(error), raw)

    def _judge(self, path: Path, split: str, judged: bytearray, batch: "_Batch") -> int:
        name, count, width = self.files.name(path), 0, 0
        for line, raw, problem in read_lines(path, self.advance):
            cells = [cell.strip() for cell in raw.decode("utf-8-sig", "replace").split("\t")]
            if not width:
                width = len(cells)
                if _is_header(cells):
                    continue
            self.lines[path] = self.lines.get(path, 0) + 1
            try:
                if problem or len(cells) != width:
                    raise ValueError(problem or f"{len(cells)} columns instead of {width}, divided by tabs")
                query, document, score = self._parse(cells)
            except ValueError as error:
                self._reject(path, line, str(error), raw)
                continue
            judged[document] = 1
            self.judged_queries.add(query)
            self.relevant += score > 0
            count += 1
            batch.add((line, name, self.queries.text(query), self.corpus.text(document), score, split))
        return count

    def _parse(self, cells: list[str]) -> tuple[int, int, float]:
        """Return the numbers of query and document and the score of a judgment."""
        if len(cells) not in (2, 3):
            raise ValueError(f"{len(cells)} columns instead of query-id, corpus-id and score, divided by tabs")
        for identifier, store, path in (
            (cells[0], self.queries, self.files.queries),
            (cells[1], self.corpus, self.files.corpus),
        ):
            if identifier not in store.numbers:
                if line := self.empty.pop((path, identifier), 0):
                    self._reject(path, line, "the text is empty, and a judgment names it", identifier.encode())
                raise ValueError(f"no usable {_WHAT[store is self.corpus]} has the id {identifier!r}")
        score = _parse_score(cells[2]) if len(cells) == 3 else 1.0
        if score in _NOT_RELEVANT:
            self.spam += 1
            score = 0.0
        return self.queries.numbers[cells[0]], self.corpus.numbers[cells[1]], score

    def _reject(self, path: Path, line: int, reason: str, raw: bytes) -> None:
        self.rejected.add(line, reason, raw.decode("utf-8", "replace"), self.files.name(path))

    def check(self, origin: str, quarantine: Path, max_bad_share: float) -> None:
        """Refuse a folder that cannot be used.

        Raises:
            InputError: too many bad lines, or nothing to learn from.
        """
        for path in (self.files.queries, self.files.corpus):
            if not self.lines.get(path):
                raise InputError(f"{origin}: {self.files.name(path)} is empty. Give one JSON object per line.")
        # The judgments come last: where the ids of all queries are lost, those of the judgments are unknown as well.
        files = (self.files.queries, self.files.corpus, *(path for path, _ in self.files.judgments))
        names = {path: self.files.name(path) for path in files}
        parts = [Part(name, f"{origin.rstrip('/')}/{name}", self.lines.get(path, 0)) for path, name in names.items()]
        self.rejected.check_shares(parts, max_bad_share, quarantine, "lines")
        if not self.relevant:
            raise InputError(
                f"{origin}: none of the {sum(self.counts.values())} judgments has a score above 0, so nothing says "
                "what is relevant. Give judgments of relevant documents in qrels/*.tsv."
            )

    def report(self) -> IngestReport:
        """Return what was found."""
        splits = ", ".join(f"{split or 'one file'} {count}" for split, count in self.counts.items())
        told = (
            f"BEIR folder: {len(self.queries)} queries ({len(self.queries) - len(self.judged_queries)} of them without "
            f"judgments and not used), {len(self.corpus)} documents, judgments: {splits}"
        )
        modalities = (Modality.TEXT, Modality.TEXT)
        count = 2 + len(self.files.judgments)
        return IngestReport(
            self.rows, self.rejected.count, Layout.BEIR, modalities, count, told, notes=tuple(self._notes())
        )

    def _notes(self) -> Iterator[str]:
        if self.empty:
            yield f"Passed over: {len(self.empty)} documents or queries without text that no judgment names."
        if self.spam:
            yield f"{self.spam} judgments with a score of -1 or -2 count as not relevant, as TREC means them."
        for path, _ in self.files.judgments:
            if not self.lines.get(path):
                yield f"{self.files.name(path)} holds no judgment."


def _is_header(cells: list[str]) -> bool:
    """Tell whether the first line of a file of judgments holds names."""
    first = cells[0].lower().replace("_", "-")
    return first in ("query-id", "queryid", "qid") or (len(cells) == 3 and cells[2].lower() in _SCORE_NAMES)


def _parse_score(cell: str) -> float:
    try:
        score = float(cell)
    except ValueError:
        score = math.nan
    # Python takes 1_000 for a number; nobody means that.
    if "_" in cell or not math.isfinite(score) or score > _LARGEST_SCORE:
        raise ValueError(f"the score {cell!r} is no finite number")
    if score < 0 and score not in _NOT_RELEVANT:
        raise ValueError(f"the score {cell!r} is negative")
    return score


_WHAT = ("query", "document")

_Row = tuple[int, str, str | None, str, float, str]


class _Batch:
    """Collects rows until they are worth writing."""

    def __init__(self, writer: RowsWriter) -> None:
        self._writer = writer
        self._rows: list[_Row] = []
        self._characters = 0

    def add(self, row: _Row) -> None:
        """Add one row."""
        self._rows.append(row)
        self._characters += len(row[3]) + len(row[2] or "")
        if len(self._rows) >= _BATCH_ROWS or self._characters >= _BATCH_CHARACTERS:
            self.flush()

    def flush(self) -> None:
        """Write what was collected."""
        if self._rows:
            self._writer.write(list(zip(*self._rows, strict=True)))
            self._rows, self._characters = [], 0

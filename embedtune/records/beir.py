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
from embedtune.records.beir_texts import EmptyTextError, TextStore, parse_text, read_lines
from embedtune.records.layouts import Layout, Modality
from embedtune.records.output import Part, RowsOutput
from embedtune.records.rows import IngestReport, RowsFormat

_SPLITS = {"train": "train", "dev": "dev", "val": "dev", "valid": "dev", "validation": "dev", "test": "test"}
"""Of the name of a file of judgments, the split; in the order in which they are read."""

_SCORE_NAMES = frozenset({"score", "relevance", "rel", "label"})
_LARGEST_SCORE = float(np.finfo(np.float32).max)
_NOT_RELEVANT = (-1.0, -2.0)
"""Scores that TREC's assessors give to spam and junk."""
_WHAT = ("query", "document")


def ingest_beir(root: Path, origin: str, output: RowsOutput) -> IngestReport:
    """Turn a BEIR folder into rows: one for each judgment, then one without query for each document not judged.

    The content of a document is its title and text, see `beir_texts.parse_text`. The line of a row is that of its
    judgment, or of its document in the corpus where nobody judged it; `source` names the file. Set aside are malformed
    lines, texts that are empty, ids that come again with another text, judgments of unknown ids, and scores that are
    negative or no number; but -1 and -2, which TREC gives to spam, count as 0, and a document or query without text
    that no judgment names is passed over. Texts pass through a temporary file; memory holds the ids.

    `root` is the folder, or one that holds nothing but it, `origin` its URI for messages; `output` was just opened.

    Raises:
        InputError: a file is missing or damaged, too many lines are bad, or no document is relevant to any query.
        StorageError: a file cannot be read, or an output cannot be written.
    """
    files = _find_files(root, origin)
    size = sum(path.stat().st_size for path in files.all)
    output.begin(RowsFormat(Layout.BEIR, (Modality.TEXT, Modality.TEXT), several_sources=True))
    with ExitStack() as stack:
        spools = [stack.enter_context(tempfile.TemporaryFile(dir=output.folder)) for _ in range(2)]
        advance = stack.enter_context(progress(f"Reading {origin}", size, "bytes"))
        reading = _Reading(files, origin, TextStore(spools[0]), TextStore(spools[1]), output, advance)
        reading.read()
    output.finish(list(reading.parts()), "lines")
    if not reading.relevant:
        raise InputError(
            f"{origin}: none of the {sum(reading.counts.values())} judgments has a score above 0, so nothing says "
            "what is relevant. Give judgments of relevant documents in qrels/*.tsv."
        )
    return reading.report()


@dataclass(frozen=True)
class _Files:
    """The files of a BEIR folder."""

    root: Path
    """The folder itself."""
    corpus: Path
    queries: Path
    judgments: tuple[tuple[Path, str], ...]
    """Each file with its split, in the order in which they are read."""

    @property
    def all(self) -> tuple[Path, ...]:
        """The files, the judgments last: where the ids of all queries are lost, theirs are unknown as well."""
        return self.queries, self.corpus, *(path for path, _ in self.judgments)

    def name(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()


def _find_files(root: Path, origin: str) -> _Files:
    """Raise InputError where a file is missing, there twice, or its split cannot be told."""
    inner = sorted({path.parent for path in root.glob("*/corpus.jsonl*")})
    if not list(root.glob("corpus.jsonl*")) and len(inner) == 1:
        root = inner[0]
    corpus, queries = (_only(root, name, origin) for name in ("corpus.jsonl", "queries.jsonl"))
    found = sorted([*root.glob("qrels/*.tsv"), *root.glob("qrels.tsv")])
    if not found:
        raise InputError(
            f"{origin} has a corpus and queries, but no judgments (qrels/train.tsv, qrels/dev.tsv, qrels/test.tsv). "
            "Add them; or have them synthesised: give the texts of queries and corpus as CSVs with one text per row "
            "(layout 'plain') to the synthesis."
        )
    if len(found) == 1 and found[0].stem not in _SPLITS:
        return _Files(root, corpus, queries, ((found[0], ""),))
    unknown = [path.name for path in found if path.stem not in _SPLITS]
    if unknown:
        raise InputError(
            f"{origin}: the judgments in {', '.join(unknown)} are of no known split. Name the files train.tsv, dev.tsv "
            "and test.tsv, or give a single one."
        )
    found.sort(key=lambda path: list(_SPLITS).index(path.stem))
    return _Files(root, corpus, queries, tuple((path, _SPLITS[path.stem]) for path in found))


def _only(root: Path, name: str, origin: str) -> Path:
    found = [path for path in (root / name, root / f"{name}.gz") if path.is_file()]
    if len(found) != 1:
        problem = f"has both {name} and {name}.gz" if found else f"has no {name} or {name}.gz"
        raise InputError(f"{origin} {problem}. Give a BEIR folder: corpus.jsonl, queries.jsonl and qrels/*.tsv.")
    return found[0]


@dataclass
class _Reading:
    """The reading of one folder and what it has found so far."""

    files: _Files
    origin: str
    queries: TextStore
    corpus: TextStore
    output: RowsOutput
    advance: Advance
    lines: dict[Path, int] = field(default_factory=dict)
    """Lines of each file, good and bad, without a header."""
    relevant: int = 0
    spam: int = 0
    """Judgments with a score of -1 or -2."""
    empty: dict[tuple[Path, str], int] = field(default_factory=dict)
    """Of each file and id without a text that no judgment has named so far, the line."""
    judged_queries: set[int] = field(default_factory=set)
    counts: dict[str, int] = field(default_factory=dict)
    """Judgments of each split."""

    def read(self) -> None:
        self._read_texts(self.files.queries, self.queries)
        self._read_texts(self.files.corpus, self.corpus)
        judged = bytearray(len(self.corpus))
        for path, split in self.files.judgments:
            self.counts[split] = self.counts.get(split, 0) + self._judge(path, split, judged)
        name = self.files.name(self.files.corpus)
        for number in range(len(self.corpus)):
            if not judged[number]:
                self._add(self.corpus.lines[number], name, None, self.corpus.text(number), 0.0, "")

    def _add(self, line: int, name: str, query: str | None, document: str, score: float, split: str) -> None:
        self.output.add((line, name, query, document, score, split), len(query or "") + len(document))

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
        if not self.lines.get(path):
            raise InputError(f"{self.origin}: {self.files.name(path)} is empty. Give one JSON object per line.")

    def _judge(self, path: Path, split: str, judged: bytearray) -> int:
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
            self._add(line, name, self.queries.text(query), self.corpus.text(document), score, split)
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
        self.output.reject(line, reason, raw.decode("utf-8", "replace"), self.files.name(path))

    def parts(self) -> Iterator[Part]:
        for path in self.files.all:
            name = self.files.name(path)
            yield Part(name, f"{self.origin.rstrip('/')}/{name}", self.lines.get(path, 0))

    def report(self) -> IngestReport:
        splits = ", ".join(f"{split or 'one file'} {count}" for split, count in self.counts.items())
        told = (
            f"BEIR folder: {len(self.queries)} queries ({len(self.queries) - len(self.judged_queries)} of them without "
            f"judgments and not used), {len(self.corpus)} documents, judgments: {splits}"
        )
        rows, bad, modalities = self.output.rows, self.output.bad_rows, (Modality.TEXT, Modality.TEXT)
        return IngestReport(rows, bad, Layout.BEIR, modalities, len(self.files.all), told, notes=tuple(self._notes()))

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

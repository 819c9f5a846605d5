"""Validated rows become folders of grouped, split Documents."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from embedtune.documents.contents import USABLE, Contents, find_faults, read_contents
from embedtune.documents.corpus import Corpus, build_corpus
from embedtune.documents.grouping import fingerprint
from embedtune.documents.schema import Split, SplitRule
from embedtune.documents.set_aside import check_bad_share, write_quarantine
from embedtune.documents.shards import documents_digest, write_documents
from embedtune.documents.split import SplitPlan, split_corpus
from embedtune.documents.summarise import RowCounts, summarise
from embedtune.documents.summary import SUMMARY_FILE, DataSummary
from embedtune.documents.tables import relevance_table, split_tables
from embedtune.errors import ConfigError, InputError
from embedtune.progress import progress
from embedtune.records.layouts import Layout
from embedtune.records.rows import read_rows
from embedtune.storage.atomic import atomic_folder

_EXAMPLES = 5
_MAX_SEED = 2**63 - 1


@dataclass(frozen=True)
class BuildOptions:
    """How rows become documents."""

    eval_share: float = 0.2
    """Share of the documents to hold out for evaluation, above 0 and below 1."""
    split: str = "auto"
    """'auto', 'stratified' (new texts of known labels) or 'group' (whole labels or groups of connected pairs)."""
    seed: int = 42
    """Seed of the split, 0..2**63-1."""
    max_bad_share: float = 0.01
    """Largest share of rows to set aside before the build fails, 0..1."""

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            ConfigError: An option is outside its range.
        """
        if not 0 < self.eval_share < 1:
            raise ConfigError(f"eval_share={self.eval_share!r}; give a share above 0 and below 1, such as 0.2.")
        if self.split not in tuple(SplitRule):
            raise ConfigError(f"split={self.split!r}; give one of {', '.join(map(repr, map(str, SplitRule)))}.")
        if not 0 <= self.seed <= _MAX_SEED:
            raise ConfigError(f"seed={self.seed!r}; give a whole number from 0 to {_MAX_SEED}.")
        if not 0 <= self.max_bad_share <= 1:
            raise ConfigError(f"max_bad_share={self.max_bad_share!r}; give a share from 0 to 1, such as 0.01.")


def build_documents(rows: Path, train: Path, evaluation: Path, quarantine: Path, options: BuildOptions) -> DataSummary:
    """Group, split and save the documents of validated rows.

    Each output appears whole or not at all; the quarantine file also where too many rows are in it.

    Args:
        rows: Validated rows as `records` writes them.
        train: Folder of documents to write, with the split TRAIN.
        evaluation: Folder of documents to write, with the splits QUERY and INDEX, the summary and the digest of
            `train`, so that a model is judged only on what was held out from its own training.
        quarantine: CSV file to write, with the rows that were set aside.
        options: How to split.

    Raises:
        InputError: The rows cannot be used or split.
        ConfigError: The split is not one for this layout.
        StorageError: A file cannot be read or written.
    """
    corpus, counts = _load_corpus(rows, quarantine, options)
    plan = split_corpus(corpus, SplitRule(options.split), options.eval_share)
    summary = summarise(corpus, plan, counts, options.eval_share, options.seed)
    _write(corpus, plan, summary, train, evaluation)
    return summary


def _load_corpus(rows: Path, quarantine: Path, options: BuildOptions) -> tuple[Corpus, RowCounts]:
    layout, table = read_rows(rows)
    if len(table) == 0:
        raise InputError(f"{rows} holds no rows; give a source with at least a few dozen.")
    contents = read_contents(layout, table)
    del table  # the texts are in memory twice while both exist
    with progress("Reading texts", len(contents.texts), "texts") as advance:
        prints = fingerprint(contents.texts, options.seed, advance)
    faults = find_faults(contents, prints)
    rejected = write_quarantine(quarantine, contents, faults)
    check_bad_share(contents, faults, options.max_bad_share, quarantine, rejected)
    corpus = build_corpus(contents, prints, faults == USABLE)
    distinct_rows = len(corpus) if layout is Layout.LABELLED else len(corpus.pairs)
    return corpus, _count_rows(contents, faults, distinct_rows)


def _count_rows(contents: Contents, faults: npt.NDArray[np.int8], distinct_rows: int) -> RowCounts:
    usable = np.flatnonzero(faults == USABLE)
    return RowCounts(
        rows=len(faults),
        quarantined=len(faults) - len(usable),
        duplicates=len(usable) - distinct_rows,
        examples=tuple(contents.row(number) for number in usable[:_EXAMPLES].tolist()),
    )


def _write(corpus: Corpus, plan: SplitPlan, summary: DataSummary, train: Path, evaluation: Path) -> None:
    members = {Split.TRAIN: plan.train, Split.QUERY: plan.query, Split.INDEX: plan.index}
    total = sum(int(np.count_nonzero(part)) for part in members.values())
    tables = {split: split_tables(corpus, split, part) for split, part in members.items()}
    with (
        progress("Writing documents", total, "documents") as advance,
        # The last one opened is put in place first: an evaluation folder never stands beside older training documents.
        atomic_folder(evaluation) as evaluation_folder,
        atomic_folder(train) as train_folder,
    ):
        digest = ""
        for folder, splits, side in (
            (train_folder, (Split.TRAIN,), plan.train),
            (evaluation_folder, (Split.QUERY, Split.INDEX), ~plan.train),
        ):
            parts = {split: tables[split] for split in splits}
            write_documents(folder, corpus.layout, parts, relevance_table(corpus, side), advance, digest)
            digest = documents_digest(folder)
        summary.save(evaluation_folder / SUMMARY_FILE)

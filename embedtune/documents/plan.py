"""Rows files become a plan of their documents: everything is decided here, nothing is written but the quarantine."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from embedtune.documents.assignment import assign, relevance_table
from embedtune.documents.contradictions import USABLE, find_faults, set_aside
from embedtune.documents.distinct_contents import read_contents
from embedtune.documents.document_set import DocumentSet, build_document_set
from embedtune.documents.fingerprints import fingerprint
from embedtune.documents.media_sizes import measure_media
from embedtune.documents.plan_folder import DocumentsPlan
from embedtune.documents.row_uses import decide_uses, declared_uses
from embedtune.documents.schema import BuildOptions, SplitRule
from embedtune.documents.split import SplitPlan, all_held_out, all_in_training, split_documents
from embedtune.documents.summarise import RowOutcome, summarise
from embedtune.errors import InputError
from embedtune.progress import progress
from embedtune.records.rows import merge_reports, read_report


def make_plan(files: Sequence[Path], quarantine: Path, options: BuildOptions) -> DocumentsPlan:
    """Group and split the documents of validated rows; how the rows are divided into files makes no difference.

    Args:
        files: Rows files as `records` writes them, in order.
        quarantine: CSV file to write, with the rows that were set aside; also where too many are in it.
        options: How to split.

    Raises:
        InputError: The rows cannot be used or split.
        ConfigError: The split is not one for this layout.
        StorageError: A file cannot be read or written.
    """
    corpus, outcome = _load_corpus(files, quarantine, options)
    return _plan(corpus, split_documents(corpus, SplitRule(options.split), options.eval_share), outcome, options)


def make_trial_plan(rows: Path, quarantine: Path, options: BuildOptions) -> DocumentsPlan:
    """Do the same to look at the documents of one rows file; if it allows no split, all documents are for training."""
    corpus, outcome = _load_corpus([rows], quarantine, options)
    try:
        return _plan(corpus, split_documents(corpus, SplitRule(options.split), options.eval_share), outcome, options)
    except InputError:
        nothing_held_out = all_in_training(corpus, "These documents cannot be split, so nothing is held out.")
        return _plan(corpus, nothing_held_out, outcome, options)


def make_whole_plan(rows: Path, quarantine: Path, options: BuildOptions) -> DocumentsPlan:
    """Put all documents of one rows file into the training folder, those that nobody judged, too; hold nothing out."""
    # Whatever split the source has, each of its judgments is kept, with its split.
    corpus, outcome = _load_corpus([rows], quarantine, replace(options, split=SplitRule.GROUP.value))
    everything = np.ones(len(corpus), np.bool_)
    split = replace(all_in_training(corpus, "Nothing is held out."), train=everything)
    plan = _plan(corpus, split, outcome, options)
    if not corpus.layout.has_roles:
        return plan
    return replace(plan, train_relevance=relevance_table(corpus, split.train_pairs, divided=True))


def make_held_out_plan(rows: Path, quarantine: Path, options: BuildOptions) -> DocumentsPlan:
    """Put all documents of one rows file into the evaluation folder; see `split.all_held_out`."""
    corpus, outcome = _load_corpus([rows], quarantine, replace(options, split=SplitRule.AUTO.value))
    return _plan(corpus, all_held_out(corpus), outcome, options, 1.0)


def _plan(
    corpus: DocumentSet, split: SplitPlan, rows: RowOutcome, options: BuildOptions, eval_share: float | None = None
) -> DocumentsPlan:
    has_training_pairs = corpus.layout.has_roles
    share = options.eval_share if eval_share is None else eval_share
    return DocumentsPlan(
        rows_format=corpus.contents.rows_format,
        assignments=assign(corpus, split),
        train_relevance=relevance_table(corpus, split.train_pairs) if has_training_pairs else None,
        evaluation_relevance=relevance_table(corpus, split.evaluation_pairs),
        summary=summarise(corpus, split, rows, share, options.seed),
    )


def _load_corpus(files: Sequence[Path], quarantine: Path, options: BuildOptions) -> tuple[DocumentSet, RowOutcome]:
    contents = read_contents(files)
    rows_format = contents.rows_format
    with progress("Reading contents", len(contents.values), "contents") as advance:
        prints = fingerprint(contents.values, contents.texts, rows_format.loaded, options.seed, advance)
    declared = declared_uses(contents, options.split == SplitRule.AUTO)
    faults = find_faults(contents, prints, declared)
    set_aside(quarantine, contents, faults, options.max_bad_share)
    uses, left_out = decide_uses(contents, prints.keys, declared, faults == USABLE)
    corpus = build_document_set(contents, prints, uses)
    read = [report for report in map(read_report, files) if report is not None]
    media = measure_media(files, len(faults)) if rows_format.loaded and rows_format.media else ()
    return corpus, RowOutcome(faults, uses, left_out, media, merge_reports(read))

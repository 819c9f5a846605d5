"""Step 5: is the tuned model better than the base, and by how much? Imports torch only when it runs."""

import csv
import tempfile
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from embedtune.documents.long_texts import long_warnings
from embedtune.documents.schema import SplitRule
from embedtune.documents.shards import read_manifest
from embedtune.documents.split import OFFICIAL_RULE
from embedtune.documents.summary import SUMMARY_FILE, DataSummary
from embedtune.errors import ConfigError, InputError
from embedtune.models.card import ModelCard
from embedtune.progress import note
from embedtune.reports.cut_texts import length_warning, text_warnings
from embedtune.reports.evaluation import EvaluationReport, evaluation_html, evaluation_markdown
from embedtune.retrieval.compare import Evaluation, compare
from embedtune.retrieval.comparison import Comparison, Direction
from embedtune.retrieval.evaluation_set import EvaluationSet, Vectors
from embedtune.retrieval.gate import check_gate
from embedtune.retrieval.held_out import HeldOut, draw_examples, read_held_out
from embedtune.retrieval.judgments import Judgments
from embedtune.retrieval.known_texts import Known, find_known, known_warning
from embedtune.retrieval.metric_names import METRIC_NAMES
from embedtune.retrieval.options import EvalOptions
from embedtune.retrieval.trec import has_whole_gains, write_qrels, write_run
from embedtune.steps.facts import provenance_of, training_facts_of
from embedtune.steps.running import OutputFile, OutputFolder, step
from embedtune.storage.atomic import atomic_folder, check_writable, write_text_whole
from embedtune.training.fits import check_trainable

if TYPE_CHECKING:
    from embedtune.models.comparing import BothEncoded

COMPARISON_FILE = "comparison.json"
TREC_FILES = ("qrels.txt", "base.run", "tuned.run")
QUERY_SCORES_FILE = "queries.csv"
DATA_FILE = "data.json"
"""What the scores are over: the data summary of the evaluation folder, for whoever keeps the scores."""
_MOST_JUDGMENTS = 5_000_000
"""Lines of the qrels file above which it is left out: with large labels it grows with their square."""


@dataclass(frozen=True)
class EvaluateRetrievalConfig:
    """Configuration of the step."""

    title: str = "embeddings"
    """What the model is for, as the report's heading says it."""
    metric: str = field(default="ndcg_at_10", metadata={"choices": tuple(METRIC_NAMES)})
    """Metric that decides; where the data have scores, Spearman's correlation does instead."""
    min_gain: float = 0.0
    """Least gain of that metric, 0 to 1, for a promotion."""
    min_lower_bound: float = 0.0
    """Bound, 0 to 1, that the gain's interval must lie above, for a promotion."""
    eval_options: str = "{}"
    """JSON object with any of the fields of EvalOptions, such as batch_size."""
    seed: int = 42
    """Seed of the bootstrap, 0 or more."""

    def __post_init__(self) -> None:
        check_gate(self.metric, self.min_gain, self.min_lower_bound)
        EvalOptions.from_json(self.eval_options)
        if self.seed < 0:
            raise ConfigError(f"seed is {self.seed}; accepted: 0 or more.")


@step
def evaluate_retrieval(
    config: EvaluateRetrievalConfig,
    model: Path,
    evaluation: Path,
    scores: OutputFolder,
    html: OutputFile,
    markdown: OutputFile,
) -> Comparison:
    """Compare a tuned model with its backbone on the held-out queries and index.

    Args:
        config: The configuration.
        model: Model folder of the fine-tuning step.
        evaluation: Evaluation documents folder.
        scores: Folder to write, whole or not at all: the comparison, TREC run and qrels files (qrels up to five
            million judgments with whole gains), the scores of each query, the data summary.
        html: Report page to write.
        markdown: The same as Markdown.

    Raises:
        InputError: nothing can be learned from such documents, they were not held out from the model's training
            documents, no query has a relevant document, the backbone was trained on all of them, or a model gives
            vectors that are no numbers.
        ModelError: a model cannot be loaded, or the backbone is not the one the model was trained from.
        StorageError: the documents cannot be read, or an output cannot be written.
    """
    check_writable(scores, html, markdown)
    card = ModelCard.load(model)
    training, provenance = training_facts_of(card), provenance_of(card)
    check_trainable(evaluation)
    _check_held_out(evaluation, card)
    data = DataSummary.load(evaluation / SUMMARY_FILE)
    with tempfile.TemporaryDirectory(prefix="embedtune-") as scratch:
        held_out = read_held_out(evaluation, Path(scratch))
        outcome = _outcome(config, held_out, card, model, data)
        pictures = draw_examples(held_out, outcome.comparison.examples)
    comparison = outcome.comparison
    report = EvaluationReport(
        title=config.title,
        base_model=card.backbone,
        tuned_model=f"{config.title}, tuned",
        comparison=comparison,
        training=training,
        history=card.history,
        data=data,
        provenance=provenance,
        train_texts=card.train_texts,
        pictures=pictures,
        made=f"{datetime.now(UTC):%d %B %Y, %H:%M} UTC",
    )
    with atomic_folder(scores) as folder:
        write_scores(folder, outcome)
        data.save(folder / DATA_FILE)
        write_text_whole(html, evaluation_html(report))
        write_text_whole(markdown, evaluation_markdown(report))
    return comparison


def _outcome(
    config: EvaluateRetrievalConfig, held_out: HeldOut, card: ModelCard, model: Path, data: DataSummary
) -> Evaluation:
    """Encode with both models and compare."""
    from embedtune.models.comparing import encode_with_both  # torch takes seconds, which a wrong folder need not cost

    both = encode_with_both(
        card, model, held_out.queries, held_out.index, EvalOptions.from_json(config.eval_options).batch_size
    )
    known = _known(held_out, both, data)
    documents = held_out.documents
    if documents.scored is not None:
        note(f"The data have scores, so Spearman's correlation decides, and not {METRIC_NAMES[config.metric]}.")
    vectors = [Vectors(side.queries, side.index) for side in (both.base, both.tuned)]
    outcome = _compared(config, documents, known, vectors)
    comparison = _with_texts(outcome.comparison, both, card, data, known)
    if documents.query_kind is not documents.index_kind and documents.scored is None:
        back = HeldOut(documents.reversed(), held_out.index, held_out.queries)
        turned = [Vectors(side.index, side.queries) for side in vectors]
        found = _compared(config, back.documents, _known(back, both, data), turned).comparison
        name = f"{found.query_kind}-to-{found.index_kind}"
        direction = Direction(name, found.metrics, found.queries, found.index_documents)
        comparison = replace(comparison, directions=(direction,))
    return replace(outcome, comparison=comparison)


def _compared(
    config: EvaluateRetrievalConfig, documents: EvaluationSet, known: Known, vectors: list[Vectors]
) -> Evaluation:
    """Compare the base and the tuned model's vectors on the queries that are new to the base."""
    base, tuned = (Vectors(side.queries[known.kept], side.index) for side in vectors)
    chosen = documents.select(known.kept)
    return compare(
        chosen,
        base,
        tuned,
        metric=config.metric,
        min_gain=config.min_gain,
        min_lower_bound=config.min_lower_bound,
        seed=config.seed,
    )


def _known(held_out: HeldOut, both: "BothEncoded", data: DataSummary) -> Known:
    """Return what the base model was trained on, nothing where it does not say."""
    if both.base_trained is None:
        return Known(np.arange(len(held_out.queries)), 0, 0)
    whole_groups = data.split_rule == SplitRule.GROUP
    return find_known(held_out.documents, held_out.queries, held_out.index, both.base_trained, whole_groups)


def _with_texts(
    comparison: Comparison, both: "BothEncoded", card: ModelCard, data: DataSummary, known: Known
) -> Comparison:
    """Add what the models read of the texts, and say what a person should look at."""
    # Of an official split, training and evaluation search in the same corpus, as its source means it.
    base, tuned = both.base, both.tuned
    seen_index = 0 if data.split_rule == OFFICIAL_RULE else tuned.seen_index
    comparison = replace(
        comparison,
        query_texts=tuned.query_texts,
        index_texts=tuned.index_texts,
        base_query_texts=base.query_texts,
        base_index_texts=base.index_texts,
        seen_queries=tuned.seen_queries,
        seen_index=seen_index,
        known_queries=known.queries,
        known_index=known.index,
    )
    queries = comparison.queries + comparison.queries_without_relevant + known.queries
    told = (known_warning(known, queries, comparison.index_documents, card.backbone), length_warning(comparison))
    found = (
        *filter(None, told),
        *text_warnings(card.train_texts, tuned.query_texts, tuned.index_texts, tuned.seen_queries, seen_index),
    )
    for warning in found:
        note(warning)
    # What was said of the words, the counts above say of the tokens.
    counted = long_warnings(sum(number for _, number in data.length_histogram), data.long_texts, data.alike_texts)
    return replace(comparison, warnings=(*found, *(warning for warning in data.warnings if warning not in counted)))


def _check_held_out(evaluation: Path, card: ModelCard) -> None:
    digest = read_manifest(evaluation).train_digest
    if digest != card.data_digest:
        raise InputError(
            f"{evaluation} was held out from the training documents {digest!r}, but the model was trained on "
            f"{card.data_digest!r} and may have seen its texts. Give the 'evaluation' folder of the build-documents "
            "run whose 'train' folder the model was trained on."
        )


def write_scores(folder: Path, outcome: Evaluation) -> None:
    """Write the comparison, the files of TREC and the scores of each query.

    Raises:
        OSError: a file cannot be written.
    """
    judged = outcome.judged
    outcome.comparison.save(folder / COMPARISON_FILE)
    qrels, base_run, tuned_run = (folder / name for name in TREC_FILES)
    reason = _why_no_qrels(judged.judgments)
    if reason:
        note(f"{qrels.name} is left out: {reason}.")
    else:
        write_qrels(qrels, judged.query_ids, judged.index_ids, judged.judgments)
    write_run(base_run, outcome.base.ranking, judged.query_ids, judged.index_ids, "base")
    write_run(tuned_run, outcome.tuned.ranking, judged.query_ids, judged.index_ids, "tuned")
    names = list(outcome.base.scores)
    with (folder / QUERY_SCORES_FILE).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["query_id", *(f"{side}_{name}" for side in ("base", "tuned") for name in names)])
        columns = [result.scores[name] for result in (outcome.base, outcome.tuned) for name in names]
        writer.writerows(zip(judged.query_ids, *columns, strict=True))


def _why_no_qrels(judgments: Judgments) -> str:
    """Return why no qrels file is written, '' if there is no reason."""
    count = int(judgments.relevant_counts().sum())
    if count > _MOST_JUDGMENTS:
        return f"it would have {count} lines, more than {_MOST_JUDGMENTS}"
    if not has_whole_gains(judgments):
        return "its format holds whole gains only, and some of these are fractions, which our nDCG takes as they are"
    return ""

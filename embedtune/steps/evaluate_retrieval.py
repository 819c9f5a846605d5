"""Step 5: is the tuned model better than the base, and by how much? Imports torch only when it runs."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from embedtune.documents.data_warnings import long_warnings
from embedtune.documents.schema import OFFICIAL_RULE, SplitRule
from embedtune.documents.shards.folder import read_manifest
from embedtune.documents.summary import SUMMARY_FILE, DataSummary
from embedtune.errors import ConfigError, InputError
from embedtune.importing import importing
from embedtune.models.card import ModelCard
from embedtune.models.registered import RegisteredName
from embedtune.progress import note
from embedtune.reports.cut_texts import length_warning, text_warnings
from embedtune.reports.evaluation import EvaluationReport, evaluation_html, evaluation_markdown
from embedtune.retrieval.compare import Evaluation, compare
from embedtune.retrieval.comparison import Comparison, Direction, SideTable
from embedtune.retrieval.evaluation_set import EvaluationSet, Vectors
from embedtune.retrieval.gate import Asked, Incumbent, check_gate, with_probe
from embedtune.retrieval.held_out import HeldOut, draw_examples, read_held_out
from embedtune.retrieval.known_texts import Known, check_any_new, find_known, known_warning
from embedtune.retrieval.label_noise import LabelNoise, write_label_noise
from embedtune.retrieval.measuring import Contestant
from embedtune.retrieval.metric_names import written_name
from embedtune.retrieval.options import FINETUNER, EvalOptions
from embedtune.retrieval.score_files import LABEL_NOISE_FILE, write_finetuner_scores, write_scores
from embedtune.retrieval.side_tables import FurtherData
from embedtune.retrieval.sides import BASE, CHAMPION, TUNED
from embedtune.retrieval.weak_spots import weak_spots
from embedtune.retrieval.whole_corpus import WholeCorpus
from embedtune.steps.champion import score_champion
from embedtune.steps.evaluations import check_versions, contents_of, measure_all, open_evaluations
from embedtune.steps.facts import provenance_of, training_facts_of
from embedtune.steps.finetune import checkpoint_root
from embedtune.steps.label_noise import Labelled, find_label_noise, labelled_contents
from embedtune.steps.migration import with_migration, write_map
from embedtune.steps.running import OutputFile, OutputFolder, step
from embedtune.steps.whole_corpus import contents_of_corpus, open_corpus, open_training, with_corpus
from embedtune.storage.atomic import atomic_folder, check_writable, write_text_whole
from embedtune.training.checkpoints import forget_finished
from embedtune.training.fits import check_trainable

if TYPE_CHECKING:
    from embedtune.documents.tiles import Tile
    from embedtune.models.comparing import Encoded

DATA_FILE = "data.json"
"""What the scores are over: the data summary of the evaluation folder, for whoever keeps the scores."""


@dataclass(frozen=True)
class EvaluateRetrievalConfig:
    """Configuration of the step."""

    title: str = "embeddings"
    """What the model is for, as the report's heading says it."""
    metric: str = "ndcg_at_10"
    """Metric that decides, such as ndcg_at_10 or map_at_20; where the data have scores, Spearman's correlation does."""
    min_gain: float = 0.0
    """Least gain of that metric, 0 to 1, for a promotion."""
    min_lower_bound: float = 0.0
    """Bound, 0 to 1, that the gain's interval must lie above, for a promotion."""
    eval_options: str = "{}"
    """JSON object with any of the fields of EvalOptions, such as cutoffs, distance or batch_size."""
    evaluation_versions: str = "{}"
    """Versions of the evaluations in eval_options, as resolve-data returns them; of others, what is there now."""
    champion: str = ""
    """Registered version to compare with as well, as resolve-data returns it; '' for none."""
    seed: int = 42
    """Seed of the bootstrap, 0 or more."""

    def __post_init__(self) -> None:
        check_gate(self.metric, self.min_gain, self.min_lower_bound)
        self.measuring  # noqa: B018 - it checks the options
        check_versions(self.evaluation_versions)
        if self.champion:
            RegisteredName.parse(self.champion)
        if self.seed < 0:
            raise ConfigError(f"seed is {self.seed}; accepted: 0 or more.")

    @property
    def measuring(self) -> EvalOptions:
        """What is measured beside the metric that decides."""
        return EvalOptions.from_json(self.eval_options)


@step
def evaluate_retrieval(
    config: EvaluateRetrievalConfig,
    model: Path,
    evaluation: Path,
    scores: OutputFolder,
    html: OutputFile,
    markdown: OutputFile,
    train: Path | None = None,
    model_uri: str = "",
) -> Comparison:
    """Compare a tuned model with its backbone, and with the champion, on the held-out queries and index.

    A champion that cannot be had or loaded is no failure: then nothing is better than it.

    Args:
        config: The configuration.
        model: Model folder of the fine-tuning step.
        evaluation: Evaluation documents folder.
        scores: Folder to write, whole or not at all: the comparison, TREC run and qrels files (qrels up to five
            million judgments with whole gains), the scores of each query, labels to look at, the data summary.
        html: Report page to write.
        markdown: The same as Markdown.
        train: Training documents folder of the same build, which is read where there are labels to look through, or
            eval_options ask for the whole corpus.
        model_uri: Address at which the pipeline keeps the model, '' for where it is; see `checkpoints.forget_finished`.

    Raises:
        ConfigError: the whole corpus is asked for without it.
        InputError: nothing can be learned from such documents, further data do not fit them, they were not held out
            from the model's training documents, no query has a relevant document, the backbone was trained on all of
            them, or a model gives vectors that are no numbers.
        ModelError: a model cannot be loaded, or the backbone is not the one the model was trained from.
        StorageError: the documents cannot be read, or an output cannot be written.
    """
    check_writable(scores, html, markdown)
    card = ModelCard.load(model)
    if model_uri:
        forget_finished(checkpoint_root(model_uri), model)
    check_trainable(evaluation)
    _check_held_out(evaluation, card)
    data = DataSummary.load(evaluation / SUMMARY_FILE)
    with tempfile.TemporaryDirectory(prefix="embedtune-") as scratch:
        held_out = read_held_out(evaluation, Path(scratch))
        measuring, rule = config.measuring, data.split_rule
        training = open_training(measuring, train, evaluation, Path(scratch))
        corpus = open_corpus(measuring, training, held_out, rule, config.seed)
        labelled = labelled_contents(held_out, training, config.seed)
        with open_evaluations(measuring, config.evaluation_versions, held_out.documents) as further:
            outcome, of_base, vectors = _outcome(config, held_out, corpus, labelled, further, card, model, data)
        noise = find_label_noise(labelled, of_base)
        pictures = draw_examples(held_out, outcome.comparison.examples)
    comparison, report = outcome.comparison, _report(config, card, data, outcome, noise, pictures)
    with atomic_folder(scores) as folder:
        write_scores(folder, outcome)
        write_map(folder, vectors, comparison.decision.champion_version)
        if noise is not None:
            write_label_noise(folder / LABEL_NOISE_FILE, noise)
        if config.measuring.metric_set == FINETUNER:
            write_finetuner_scores(folder, outcome)
        data.save(folder / DATA_FILE)
        write_text_whole(html, evaluation_html(report))
        write_text_whole(markdown, evaluation_markdown(report))
    return comparison


def _report(
    config: EvaluateRetrievalConfig,
    card: ModelCard,
    data: DataSummary,
    outcome: Evaluation,
    noise: LabelNoise | None,
    pictures: "Mapping[str, Tile]",
) -> EvaluationReport:
    return EvaluationReport(
        title=config.title,
        comparison=outcome.comparison,
        training=training_facts_of(card),
        history=card.history,
        data=data,
        provenance=provenance_of(card),
        train_texts=card.train_texts,
        pictures=pictures,
        weak_spots=weak_spots(outcome),
        label_noise=noise,
        validation=card.validation,
        made=f"{datetime.now(UTC):%d %B %Y, %H:%M} UTC",
    )


def _outcome(
    config: EvaluateRetrievalConfig,
    held_out: HeldOut,
    corpus: WholeCorpus | None,
    labelled: Labelled | None,
    further: Sequence[FurtherData],
    card: ModelCard,
    model: Path,
    data: DataSummary,
) -> "tuple[Evaluation, Encoded, dict[str, Vectors]]":
    """Encode with all models and compare; return what the base encoded, and all held-out vectors, as well."""
    with importing("sentence_transformers"):  # seconds, which a wrong folder need not cost
        from embedtune.models.comparing import ModelToEncode, encode_all

    options = config.measuring
    base = ModelToEncode.backbone_of(card, None if labelled is None else labelled.alone)
    models = {BASE: base, TUNED: ModelToEncode.tuned(model)}
    beside = {**contents_of_corpus(corpus), **contents_of(further)}
    encoded = encode_all(models, held_out.queries, held_out.index, options.batch_size, beside)
    champion = score_champion(config.champion, held_out, options, beside)
    if champion.encoded is not None:
        encoded[CHAMPION] = champion.encoded
    names = {BASE: card.backbone, TUNED: f"{config.title}, tuned", CHAMPION: champion.model}
    documents = held_out.documents
    if documents.scored is not None:
        note(f"The data have scores, so Spearman's correlation decides, and not {written_name(config.metric)}.")
    known = _known(held_out, encoded, data)
    vectors = {
        side: Vectors(found.queries, found.index, options.distance_of(names[side], found.similarity))
        for side, found in encoded.items()
    }
    outcome = _compared(config, documents, names, vectors, known, champion.incumbent)
    outcome = with_migration(outcome, documents, vectors, encoded[TUNED], options.documents)
    comparison = _with_texts(outcome.comparison, encoded, card, data, known)
    if documents.query_kind is not documents.index_kind and documents.scored is None:
        back = HeldOut(documents.reversed(), held_out.index, held_out.queries)
        known_back = _known(back, encoded, data)
        direction = _turned(config, back.documents, names, vectors, known_back, champion.incumbent)
        comparison = replace(comparison, directions=(direction,))
    comparison = with_corpus(comparison, corpus, encoded, vectors, known, options, config.metric)
    tables = measure_all(further, encoded, names, options, config.metric, config.seed)
    return replace(outcome, comparison=_with_side_tables(comparison, tables)), encoded[BASE], vectors


def _with_side_tables(comparison: Comparison, tables: tuple[SideTable, ...]) -> Comparison:
    """Add the further data, and to the decision what the probe among them says."""
    decision = comparison.decision
    for table in tables:
        if table.probe is not None:
            decision = with_probe(decision, table.name, table.probe, table.differences)
    return replace(comparison, decision=decision, side_tables=(*comparison.side_tables, *tables))


def _turned(
    config: EvaluateRetrievalConfig,
    documents: EvaluationSet,
    names: Mapping[str, str],
    vectors: Mapping[str, Vectors],
    known: Mapping[str, Known],
    incumbent: Incumbent,
) -> Direction:
    """Compare all sides the other way round; `documents` and `known` are turned already."""
    turned = {side: found.reversed() for side, found in vectors.items()}
    found = _compared(config, documents, names, turned, known, incumbent).comparison
    name = f"{found.query_kind}-to-{found.index_kind}"
    return Direction(name, found.metrics, found.differences, found.queries, found.index_documents)


def _compared(
    config: EvaluateRetrievalConfig,
    documents: EvaluationSet,
    names: Mapping[str, str],
    vectors: Mapping[str, Vectors],
    known: Mapping[str, Known],
    incumbent: Incumbent,
) -> Evaluation:
    """Compare all sides' vectors on the queries that are new to the base."""
    kept = np.flatnonzero(known[BASE].new)
    contestants = [
        Contestant(side, names[side], found.of(kept), known[side].new[kept]) for side, found in vectors.items()
    ]
    asked = Asked(config.metric, config.min_gain, config.min_lower_bound)
    options = config.measuring
    return compare(
        documents.select(kept),
        contestants,
        asked,
        incumbent,
        metrics=options.measured(config.metric),
        depth=options.depth,
        seed=config.seed,
    )


def _known(held_out: HeldOut, encoded: "Mapping[str, Encoded]", data: DataSummary) -> dict[str, Known]:
    """Return what each side was trained on; the tuned model on nothing but what its base was trained on."""
    whole_groups = data.split_rule == SplitRule.GROUP
    trained = {side: None if side == TUNED else found.trained for side, found in encoded.items()}
    known = {
        side: find_known(held_out.documents, held_out.queries, held_out.index, digests, whole_groups)
        for side, digests in trained.items()
    }
    check_any_new(known[BASE])
    return known


def _with_texts(
    comparison: Comparison,
    encoded: "Mapping[str, Encoded]",
    card: ModelCard,
    data: DataSummary,
    known: Mapping[str, Known],
) -> Comparison:
    """Add what the models read of the texts, and say what a person should look at."""
    # Of an official split, training and evaluation search in the same corpus, as its source means it.
    official = data.split_rule == OFFICIAL_RULE
    sides = tuple(
        replace(
            side,
            query_texts=encoded[side.name].query_texts,
            index_texts=encoded[side.name].index_texts,
            seen_queries=encoded[side.name].seen_queries,
            seen_index=0 if official else encoded[side.name].seen_index,
            known_queries=known[side.name].queries,
            known_index=known[side.name].index,
        )
        for side in comparison.sides
    )
    comparison = replace(comparison, sides=sides)
    known_of_base = known_warning(
        known[BASE], f"Backbone {card.backbone!r}", comparison.index_documents, "the comparison, for all models"
    )
    found = (
        *filter(None, (known_of_base, _known_of_champion(comparison, encoded, known), length_warning(comparison))),
        *text_warnings(card.train_texts, comparison.side(TUNED)),
        *card.remarks,
    )
    for warning in found:
        note(warning)
    # What was said of the words, the counts above say of the tokens.
    counted = long_warnings(sum(number for _, number in data.length_histogram), data.long_texts, data.alike_texts)
    return replace(comparison, warnings=(*found, *(warning for warning in data.warnings if warning not in counted)))


def _known_of_champion(comparison: Comparison, encoded: "Mapping[str, Encoded]", known: Mapping[str, Known]) -> str:
    """Say which queries are left out against the champion, or that nobody knows which should be; '' where none are."""
    if CHAMPION not in encoded:
        return ""
    name = f"Champion {comparison.side(CHAMPION).model}"
    if encoded[CHAMPION].trained is None:
        return f"{name} does not say what it was trained on, so it may be judged on queries that it knows."
    return known_warning(known[CHAMPION], name, comparison.index_documents, "the comparison with it")


def _check_held_out(evaluation: Path, card: ModelCard) -> None:
    digest = read_manifest(evaluation).train_digest
    if digest != card.data_digest:
        raise InputError(
            f"{evaluation} was held out from the training documents {digest!r}, but the model was trained on "
            f"{card.data_digest!r} and may have seen its texts. Give the 'evaluation' folder of the build-documents "
            "run whose 'train' folder the model was trained on."
        )

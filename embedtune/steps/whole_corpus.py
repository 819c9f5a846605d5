"""The training documents beside the held-out ones, where eval_options ask for the whole corpus."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from embedtune.documents.shards.folder import read_manifest
from embedtune.errors import ConfigError, InputError
from embedtune.models.contents import Contents
from embedtune.progress import note
from embedtune.retrieval.comparison import Comparison
from embedtune.retrieval.evaluation_set import Vectors
from embedtune.retrieval.held_out import HeldOut
from embedtune.retrieval.known_texts import Known
from embedtune.retrieval.measuring import Contestant
from embedtune.retrieval.options import EvalOptions
from embedtune.retrieval.sides import BASE
from embedtune.retrieval.training_documents import TrainingDocuments, read_training
from embedtune.retrieval.whole_corpus import WHOLE_CORPUS, WholeCorpus, join_corpus, measure_cells, measure_whole

if TYPE_CHECKING:
    from embedtune.models.comparing import Encoded


def open_training(
    options: EvalOptions, train: Path | None, evaluation: Path, scratch: Path
) -> TrainingDocuments | None:
    """Return the training documents where there is a use for them: labels to look through, or the whole corpus.

    Args:
        options: What was asked for.
        train: Training documents of the same build.
        evaluation: Evaluation documents.
        scratch: Folder for copies of the contents, which must outlive them.

    Raises:
        ConfigError: the whole corpus is asked for, and they are not given.
        InputError: they are those of another build.
        StorageError: they cannot be read.
    """
    if train is None:
        if not options.whole_corpus:
            return None
        raise ConfigError(
            "eval_options: whole_corpus is true, but there are no training documents to search in. Give the 'train' "
            "folder of the build whose 'evaluation' folder this is, or set whole_corpus to false."
        )
    manifest = read_manifest(evaluation)
    if not options.whole_corpus and not manifest.rows_format.layout.has_labels:
        return None
    digest, expected = read_manifest(train).digest, manifest.train_digest
    if digest != expected:
        raise InputError(
            f"{train} holds the training documents {digest!r}, but {evaluation} was held out from {expected!r}. Give "
            "the two folders of one build-documents run."
        )
    return read_training(train, scratch)


def open_corpus(
    options: EvalOptions, training: TrainingDocuments | None, held_out: HeldOut, rule: str, seed: int
) -> WholeCorpus | None:
    """Return held-out and training documents together, None where nobody asked for the whole corpus.

    Args:
        options: What was asked for.
        training: What `open_training` returned.
        held_out: What is held out.
        rule: Rule of the split.
        seed: Seed of the draw of training queries.
    """
    if not options.whole_corpus or training is None:
        return None
    corpus = join_corpus(held_out, training, rule, seed)
    queries, documents = (len(part) for part in corpus.further)
    note(f"For the whole corpus, each model encodes {queries:,} training queries and {documents:,} training documents.")
    return corpus


def contents_of_corpus(corpus: WholeCorpus | None) -> dict[str, tuple[Contents, Contents]]:
    """Return what is encoded for the whole corpus, by its name."""
    return {} if corpus is None else {WHOLE_CORPUS: corpus.further}


def with_corpus(
    comparison: Comparison,
    corpus: WholeCorpus | None,
    encoded: "Mapping[str, Encoded]",
    vectors: Mapping[str, Vectors],
    known: Mapping[str, Known],
    options: EvalOptions,
    metric: str,
) -> Comparison:
    """Add what all sides reach in the whole corpus, first of the side tables, and seen and new apart.

    Args:
        comparison: The comparison that decides.
        corpus: Held-out and training documents.
        encoded: What each side made of them.
        vectors: Those of the held-out contents.
        known: Which held-out queries each side was trained on.
        options: What is measured.
        metric: Key of the metric that decides.
    """
    if corpus is None:
        return comparison
    drawn = np.ones(len(corpus.queries.ids), np.bool_)
    names = {side.name: side.model for side in comparison.sides}
    contestants = [
        Contestant(
            side,
            names[side],
            replace(
                found,
                queries=np.concatenate([found.queries, encoded[side].further[WHOLE_CORPUS].queries]),
                index=np.concatenate([found.index, encoded[side].further[WHOLE_CORPUS].index]),
            ),
            np.concatenate([known[side].new, drawn]),
        )
        for side, found in vectors.items()
    ]
    asked, metrics = np.flatnonzero(known[BASE].new), options.measured(metric)
    trained = {side: found.trained for side, found in encoded.items()}
    table = measure_whole(corpus, contestants, trained, asked, metrics=metrics, seed=comparison.seed)
    cells = measure_cells(corpus, contestants, asked, metrics=metrics, seed=comparison.seed)
    return replace(comparison, side_tables=(table, *comparison.side_tables), cells=cells)

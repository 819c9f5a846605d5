"""What is trained with where nobody says: loss 'auto', 0 epochs, learning rate 0 and the tower. Imports no torch.

`docs/defaults.md` has the measurements behind them.
"""

import dataclasses
import json
from collections.abc import Sequence

from embedtune.errors import FruitlessError
from embedtune.models.card import EpochFacts
from embedtune.models.options import TOWERS
from embedtune.records.layouts import Layout, Modality
from embedtune.training.config import ASSUMED_BATCH, AUTO_LOSS, FinetuneConfig
from embedtune.training.examples import TrainingSet
from embedtune.training.options import OWN_RATES
from embedtune.training.pair_batches import PairBatches

FEWEST_PAIRS = 8
"""Pairs in a batch below which, or ..."""
LEAST_USED = 0.5
"""... share of the contents in an epoch's pairs below which contents with labels are compared in P x K batches."""

_LOSSES = {Layout.TEXT_IMAGE: "CLIPLoss", Layout.SCORED: "CoSENTLoss"}
_PAIR_LOSS, _LABEL_LOSS = "MultipleNegativesRankingLoss", "SupConLoss"

_LABEL_EPOCHS = ((10_000, 10), (100_000, 3))
_PAIR_EPOCHS = ((1_000, 5), (10_000, 3))
_SCRATCH_EPOCHS = ((10_000, 50), (100_000, 10))
"""Training contents, or pairs, up to which so many epochs are run; one above."""

_RATES = ((35e6, 1e-4), (320e6, 2e-5))
_LARGE_RATE = 1e-5
"""Parameters of the model up to which a rate is used, and the rate above."""
_SCRATCH_RATE = 1e-3


def default_loss(layout: Layout, pairs: EpochFacts | None, contents: int) -> tuple[str, str]:
    """Return a loss, and why.

    Args:
        layout: What the rows mean.
        pairs: labelled: what an epoch of pairs would be like; None where only pairs can be made.
        contents: Training contents.
    """
    if layout is not Layout.LABELLED or pairs is None:
        return _LOSSES.get(layout, _PAIR_LOSS), f"the layout is {layout.value}"
    if pairs.contents_used == 0:
        return _LABEL_LOSS, "no two pairs can be told apart: one label alone comes twice"
    if pairs.rows_per_batch < FEWEST_PAIRS:
        why = f"pairs would come {pairs.rows_per_batch:.1f} to a batch, fewer than {FEWEST_PAIRS}: there are few labels"
        return _LABEL_LOSS, why
    if pairs.contents_used < LEAST_USED * contents:
        return _LABEL_LOSS, f"pairs would take {pairs.contents_used:,} of {contents:,} contents in an epoch"
    return _PAIR_LOSS, f"the layout is {layout.value}"


def default_epochs(layout: Layout, modalities: Sequence[Modality], rows: int) -> int:
    """Return how many epochs to train: classes want many, pairs few.

    Args:
        layout: What the rows mean.
        modalities: Of their contents; models of meshes are trained from scratch.
        rows: Training contents with labels, else pairs.
    """
    steps = _LABEL_EPOCHS if layout is Layout.LABELLED else _PAIR_EPOCHS
    if Modality.MESH in modalities:
        steps = _SCRATCH_EPOCHS
    return next((epochs for most, epochs in steps if rows <= most), 1)


def default_learning_rate(optimizer: str, modalities: Sequence[Modality], parameters: int) -> float:
    """Return a peak learning rate.

    Args:
        optimizer: Of `options.OPTIMIZERS`.
        modalities: Of the contents; models of meshes are trained from scratch.
        parameters: Of the model.
    """
    if optimizer in OWN_RATES:
        return OWN_RATES[optimizer]
    if Modality.MESH in modalities:
        return _SCRATCH_RATE
    return next((rate for most, rate in _RATES if parameters <= most), _LARGE_RATE)


def with_tower(
    config: FinetuneConfig, modalities: Sequence[Modality], has_towers: bool
) -> tuple[FinetuneConfig, dict[str, str]]:
    """Choose the one tower that the data need, where nobody did: the other would stay behind, and fit it no longer.

    Args:
        config: How to fine-tune.
        modalities: Of the contents of a row.
        has_towers: Whether the backbone has a tower for texts and one for images.

    Returns:
        The configuration, and a sentence where a tower was chosen.
    """
    needed = next((name for name, reads in TOWERS.items() if {reads} == set(modalities)), "")
    if not has_towers or config.tailoring.select_model or not needed:
        return config, {}
    options = {**dataclasses.asdict(config.tailoring), "select_model": needed}
    sentence = f"Tower (select_model ''): {needed}, since the data hold nothing that the other one reads."
    return dataclasses.replace(config, model_options=json.dumps(options)), {"select_model": sentence}


def with_defaults(
    config: FinetuneConfig, layout: Layout, modalities: Sequence[Modality], examples: TrainingSet, parameters: int
) -> tuple[FinetuneConfig, dict[str, str]]:
    """Choose what is left open.

    Args:
        config: How to fine-tune.
        layout: What the rows mean.
        modalities: Of their contents.
        examples: The training set.
        parameters: Of the model.

    Returns:
        The configuration with a loss, epochs and a learning rate; and for each that was chosen a sentence.
    """
    contents, optimizer = len(examples.contents), config.training.optimizer
    chosen: dict[str, str] = {}
    if config.loss == AUTO_LOSS:
        loss, why = default_loss(layout, _pairs(config, layout, examples), contents)
        config = dataclasses.replace(config, loss=loss)
        chosen["loss"] = f"Loss (auto): {loss}, because {why}."
    if not config.epochs:
        rows = contents if examples.pairs is None else len(examples.pairs)
        config = dataclasses.replace(config, epochs=default_epochs(layout, modalities, rows))
        what = "contents with labels" if examples.pairs is None else "pairs"
        chosen["epochs"] = f"Epochs (0): {config.epochs}, for {rows:,} {what}."
    if not config.learning_rate:
        rate = default_learning_rate(optimizer, modalities, parameters)
        config = dataclasses.replace(config, learning_rate=rate)
        what = f"{optimizer}, torch's own" if optimizer in OWN_RATES else f"{parameters / 1e6:.1f} million parameters"
        chosen["learning_rate"] = f"Learning rate (0): {rate:g}, for {what}."
    return config, chosen


def _pairs(config: FinetuneConfig, layout: Layout, examples: TrainingSet) -> EpochFacts | None:
    """Return what an epoch of pairs would be like, where another kind of batches could be taken."""
    size = config.batch_size if config.batch_size else ASSUMED_BATCH
    if layout is not Layout.LABELLED or (config.batch_size and size < 2 * config.training.items_per_label):
        return None
    try:
        return PairBatches(examples, size, config.seed).facts()
    except FruitlessError:  # P x K batches may still be made; the plan says so if not
        return EpochFacts(0, 0.0, 0.0)

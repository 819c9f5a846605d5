"""A model card in the words of the reports."""

import dataclasses
from typing import Any

from embedtune.models.card import ModelCard
from embedtune.reports.facts import Provenance, TrainingFacts
from embedtune.training.config import FinetuneConfig


def training_facts_of(card: ModelCard) -> TrainingFacts:
    """Return how the model was trained."""
    options = _options_of(card)
    return TrainingFacts(
        loss=options["loss"],
        epochs=options["epochs"],
        batch_size=options["batch_size"],
        learning_rate=options["learning_rate"],
        seconds=card.seconds,
        texts_per_second=card.texts_per_second,
        train_documents=card.train_documents,
        chosen=tuple(card.chosen.values()),
        epoch=card.epoch,
    )


def provenance_of(card: ModelCard) -> Provenance:
    """Return what it takes to make the model again."""
    return Provenance(versions=card.versions, data_digest=card.data_digest, seed=_options_of(card)["seed"])


def _options_of(card: ModelCard) -> dict[str, Any]:
    """Return the options as the card has them: another version's names and bounds must not keep a model from use."""
    return {**dataclasses.asdict(FinetuneConfig()), **card.options}

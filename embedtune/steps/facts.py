"""A model card in the words of the reports."""

from typing import TypeVar

from embedtune.models.card import ModelCard
from embedtune.reports.facts import Provenance, TrainingFacts

T = TypeVar("T")


def training_facts_of(card: ModelCard) -> TrainingFacts:
    """Return how the model was trained, as far as its card says it in a way that is known here."""
    return TrainingFacts(
        loss=_option(card, "loss", str),
        epochs=_option(card, "epochs", float),
        batch_size=_option(card, "batch_size", int),
        learning_rate=_option(card, "learning_rate", float),
        seconds=card.seconds,
        texts_per_second=card.texts_per_second,
        train_documents=card.train_documents,
        chosen=tuple(card.chosen.values()),
        epoch=card.epoch,
    )


def provenance_of(card: ModelCard) -> Provenance:
    """Return what it takes to make the model again."""
    return Provenance(
        versions=card.versions,
        data_digest=card.data_digest,
        seed=_option(card, "seed", int),
        settings=card.options,
    )


def _option(card: ModelCard, name: str, kind: type[T]) -> T | None:
    """Return an option as the card has it, None where a version with other options wrote it."""
    value = card.options.get(name)
    if kind is float and type(value) is int:
        value = float(value)
    return value if type(value) is kind else None

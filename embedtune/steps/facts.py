"""A model card in the words of the reports."""

from embedtune.models.card import ModelCard
from embedtune.reports.facts import Provenance, TrainingFacts
from embedtune.training.config import FinetuneConfig


def training_facts_of(card: ModelCard) -> TrainingFacts:
    """Return how the model was trained."""
    config = FinetuneConfig(**card.options)  # type: ignore[arg-type]
    return TrainingFacts(
        loss=config.loss,
        epochs=config.epochs,
        batch_size=config.batch_size,
        learning_rate=config.learning_rate,
        seconds=card.seconds,
        texts_per_second=card.texts_per_second,
        train_documents=card.train_documents,
    )


def provenance_of(card: ModelCard) -> Provenance:
    """Return what it takes to make the model again."""
    config = FinetuneConfig(**card.options)  # type: ignore[arg-type]
    return Provenance(versions=card.versions, data_digest=card.data_digest, seed=config.seed)

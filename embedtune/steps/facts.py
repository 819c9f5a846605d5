"""A model card in the words of the reports."""

from embedtune.errors import ConfigError, ModelError
from embedtune.models.card import ModelCard
from embedtune.reports.facts import Provenance, TrainingFacts
from embedtune.training.config import FinetuneConfig


def training_facts_of(card: ModelCard) -> TrainingFacts:
    """Return how the model was trained.

    Raises:
        ModelError: the card's options are not those of this version.
    """
    config = _config_of(card)
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
    """Return what it takes to make the model again.

    Raises:
        ModelError: the card's options are not those of this version.
    """
    return Provenance(versions=card.versions, data_digest=card.data_digest, seed=_config_of(card).seed)


def _config_of(card: ModelCard) -> FinetuneConfig:
    try:
        return FinetuneConfig(**card.options)  # type: ignore[arg-type]
    except (ConfigError, TypeError, AttributeError) as error:
        raise ModelError(
            f"The model's card has training options that this version does not know: {error} Fine-tune again with "
            "this version."
        ) from error

"""What the pages say about a training run, besides its scores."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from embedtune.models.card import EpochFacts


@dataclass(frozen=True)
class TrainingFacts:
    """How the tuned model was trained; None for what is not known."""

    loss: str | None
    """Name of the loss function."""
    epochs: float | None
    """Passes over the training documents."""
    batch_size: int | None
    """Contents per batch."""
    learning_rate: float | None
    """Highest learning rate of the schedule."""
    seconds: float
    """Wall time of the training."""
    texts_per_second: float
    train_documents: int
    chosen: tuple[str, ...] = ()
    """A sentence on each setting that was chosen by rule."""
    epoch: EpochFacts | None = None
    """What the first epoch was like, None where nobody counted."""


@dataclass(frozen=True)
class Provenance:
    """What it takes to make the same model again."""

    versions: Mapping[str, str]
    """Library name to version."""
    data_digest: str
    """Digest of the documents that were used."""
    seed: int | None
    """None where it is not known."""
    settings: Mapping[str, object] = field(default_factory=dict)
    """Every option of the training, with what was chosen where it was left open."""

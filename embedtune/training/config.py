"""How to fine-tune: the configuration of the fine-tuning step. Imports no torch."""

import dataclasses
import re
from dataclasses import dataclass, field
from enum import StrEnum

from embedtune.errors import ConfigError
from embedtune.models.backbones import DEFAULT_BACKBONE
from embedtune.models.options import ModelOptions
from embedtune.training.options import OWN_RATES, TrainOptions


class BatchKind(StrEnum):
    """What the batches of a loss are made of."""

    LABELS = "labels"
    """P x K: several contents of each of several labels."""
    PAIRS = "pairs"
    """Contents that belong together; every other row is a negative."""
    SCORED = "scored"
    """Pairs with a number."""


AUTO_LOSS = "auto"

LOSSES = {
    "MultipleNegativesRankingLoss": BatchKind.PAIRS,
    "SupConLoss": BatchKind.LABELS,
    "MultiSimilarityLoss": BatchKind.LABELS,
    "TripletMarginLoss": BatchKind.LABELS,
    "ArcFaceLoss": BatchKind.LABELS,
    "ProxyAnchorLoss": BatchKind.LABELS,
    "CLIPLoss": BatchKind.PAIRS,
    "CoSENTLoss": BatchKind.SCORED,
    "CosineSimilarityLoss": BatchKind.SCORED,
}
"""Accepted losses, by the names of sentence-transformers, pytorch-metric-learning and Finetuner, and their batches."""


ASSUMED_BATCH = 64
"""Contents of a batch, the usual number; also where it is left open and there is no memory of a GPU to go by."""


@dataclass(frozen=True)
class FinetuneConfig:
    """Configuration of the fine-tuning step; `docs/defaults.md` has the measurements behind the defaults."""

    backbone: str = DEFAULT_BACKBONE
    """Model to start from: one of `embedtune models`, a Hugging Face id, a folder or its address."""
    max_length: int = 128
    """Tokens after which a text is cut; 0 keeps the backbone's own limit."""
    model_options: str = "{}"
    """JSON object with any of the fields of ModelOptions, such as pooling, output_dim or freeze."""
    loss: str = field(default=AUTO_LOSS, metadata={"choices": (AUTO_LOSS, *LOSSES)})
    """Loss; 'auto' chooses by layout and labels. docs/defaults.md compares them and has the rules."""
    epochs: int = 0
    """Passes over the training documents; 0 chooses by layout and number of rows."""
    batch_size: int = ASSUMED_BATCH
    """Contents embedded per optimizer step, 4 or more; of losses that take pairs, two make a pair. 0 is as many as fit
    into the memory of a GPU, at most 1,024 and a tenth of the contents; 64 on a CPU."""
    learning_rate: float = 0.0
    """Peak learning rate, which falls linearly to 0; 0 chooses by the size of the backbone and the optimizer."""
    seed: int = 42
    """Seed of batches, initialisation and dropout, 0 to 4294967295."""
    train_options: str = "{}"
    """JSON object with any of the fields of TrainOptions, such as optimizer, warmup or augment."""
    backbone_version: str = ""
    """Content that the backbone must have, as `resolve-data` printed it; '' takes what is there now."""
    gpu_count: str = "0"
    """GPUs to train on, in a process for each, 0 or more; with '0' the CPU will do."""

    def __post_init__(self) -> None:
        _check(bool(self.backbone.strip()), "backbone", self.backbone, "a Hugging Face id or a folder")
        _check(self.max_length >= 0, "max_length", self.max_length, "0 (the backbone's own limit) or more tokens")
        _check(self.loss in (AUTO_LOSS, *LOSSES), "loss", self.loss, f"auto or one of {', '.join(LOSSES)}")
        _check(self.epochs >= 0, "epochs", self.epochs, "0 (chosen by the number of rows) or more")
        size = self.batch_size
        _check(size == 0 or size >= 4, "batch_size", size, "0 (as many as fit) or 4 contents or more")
        items = self.training.items_per_label
        _check(
            not size or LOSSES.get(self.loss) is not BatchKind.LABELS or items <= size // 2,
            "train_options: items_per_label",
            items,
            f"2 to {size // 2}, so that a batch of {size} contents holds at least two labels",
        )
        rate, optimizer = self.learning_rate, self.training.optimizer
        if optimizer in OWN_RATES:
            _check(0 <= rate < float("inf"), "learning_rate", rate, f"0 ({optimizer}'s own) or more, such as 1")
        else:
            _check(0 <= rate < 1, "learning_rate", rate, "0 (chosen by the backbone's size) to below 1, such as 1e-4")
        _check(0 <= self.seed < 2**32, "seed", self.seed, "0 to 4294967295")
        check_gpu_count(self.gpu_count)
        self.tailoring  # noqa: B018 - it checks the options

    @property
    def tailoring(self) -> ModelOptions:
        """What is changed about the backbone."""
        return ModelOptions.from_json(self.model_options)

    @property
    def training(self) -> TrainOptions:
        """The training's finer settings."""
        return TrainOptions.from_json(self.train_options)

    def recorded(self) -> dict[str, object]:
        """Return all that decides what is trained, with every field of the options."""
        options = {
            "model_options": dataclasses.asdict(self.tailoring),
            "train_options": {**dataclasses.asdict(self.training), "augment": list(self.training.augment)},
        }
        return {**dataclasses.asdict(self), **options}


def check_gpu_count(value: str) -> None:
    """Check a number of GPUs, which is a text because Kubeflow's driver drops one that is a number.

    Raises:
        ConfigError: it is no whole number of 0 or more.
    """
    _check(re.fullmatch("[0-9]{1,6}", value) is not None, "gpu_count", value, "'0' (the CPU) or more, a whole number")


def _check(passed: bool, name: str, value: object, accepted: str) -> None:
    if not passed:
        raise ConfigError(f"{name} is {value!r}; accepted: {accepted}.")

"""How a model is trained beside what most people tune: the fields of `train_options`. Imports no torch."""

from dataclasses import dataclass, field

from embedtune.errors import ConfigError
from embedtune.models.options import AUTO_PRECISION, PRECISIONS
from embedtune.options import Options
from embedtune.retrieval.metric_names import parse_metric

OPTIMIZERS = ("AdamW", "Adam", "Adamax", "NAdam", "RAdam", "RMSprop", "SGD", "Adagrad", "Adadelta")
"""Accepted optimizers, by the names of torch.optim."""

OWN_RATES = {"SGD": 1e-3, "Adagrad": 1e-2, "Adadelta": 1.0}
"""torch's default rates of the optimizers whose steps are not about as large as the rate, as those of Adam are."""

AUGMENTATIONS = ("flip", "crop", "colour", "rotate", "jitter", "scale")
"""What can be changed of images (the first three) and meshes, by the fields of `augmenting.Augmentation`."""


@dataclass(frozen=True)
class TrainOptions(Options):
    """Optimizer, batches of labels and augmentation; the defaults are those of sentence-transformers and Finetuner."""

    parameter = "train_options"

    optimizer: str = field(default="AdamW", metadata={"choices": OPTIMIZERS})
    """Optimizer, by its name in torch.optim."""
    weight_decay: float | None = None
    """Decay of the model's matrices, 0 or more; null is the optimizer's own: 0.01 for AdamW, 0 for the others."""
    layer_decay: float = 1.0
    """Factor of the learning rate from each block of the model to the one below, above 0 and at most 1."""
    warmup: float = 0.1
    """Share of all steps in which the learning rate rises from 0, 0 to 1."""
    items_per_label: int = 4
    """Contents of one label in a batch (K of P x K batches), 2 or more; unused by losses that take pairs."""
    loss_learning_rate: float = 0.0
    """Peak learning rate of a loss's own weights, 0 or more; 0 is ten times the model's for ArcFaceLoss and
    ProxyAnchorLoss, which learn a vector for each label, and the model's for others."""
    precision: str = field(default=AUTO_PRECISION, metadata={"choices": PRECISIONS})
    """In which numbers the encoder calculates while it is trained; the weights and the loss are float32. 'auto' is
    bfloat16 for texts where the CPU (AVX512-BF16, AMX) or GPU has it in hardware, else float32."""
    augment: tuple[str, ...] = field(default=(), metadata={"choices": AUGMENTATIONS})
    """What is changed at random in training: of images flip, crop and colour, of meshes rotate, jitter and scale."""
    validation_share: float = 0.0
    """Share of the training documents to hold out, 0 to below 1, on which the model is measured before the first epoch
    and after each; 0 holds out nothing."""
    validation_metric: str = "ndcg_at_10"
    """Metric of that, such as ndcg_at_10 or map_at_20; where the data have scores, Spearman's correlation is taken."""
    keep_best_epoch: bool = False
    """Whether the model is that of the epoch with the best validation_metric, and not of the last; needs
    validation_share."""
    checkpoint_minutes: float = 10.0
    """Minutes after which a checkpoint is written within an epoch, beside those after epochs and when the run is told
    to stop; 0 writes none within an epoch. Fewer are written where they would take 3 % of the time."""
    recompute: bool = False
    """Whether the encoder's work is done twice, so that batches of any size take the memory of 64 contents; the result
    is the same. Not for backbones that normalise over a batch (ResNet, EfficientNet, PointNet++), unless frozen."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ConfigError: one is not accepted.
        """
        self._check(self.optimizer in OPTIMIZERS, "optimizer", self.optimizer, f"one of {', '.join(OPTIMIZERS)}")
        decays = self.weight_decay is None or 0 <= self.weight_decay < float("inf")
        self._check(decays, "weight_decay", self.weight_decay, "null (the optimizer's own) or 0 or more")
        self._check(0 < self.layer_decay <= 1, "layer_decay", self.layer_decay, "above 0 and at most 1")
        self._check(0 <= self.warmup <= 1, "warmup", self.warmup, "a share from 0 to 1")
        self._check(self.items_per_label >= 2, "items_per_label", self.items_per_label, "2 or more contents")
        rate = self.loss_learning_rate
        self._check(0 <= rate < float("inf"), "loss_learning_rate", rate, "0 (chosen from learning_rate) or more")
        self._check(self.precision in PRECISIONS, "precision", self.precision, f"one of {', '.join(PRECISIONS)}")
        for name in self.augment:
            self._check(name in AUGMENTATIONS, "augment", name, f"any of {', '.join(AUGMENTATIONS)}")
        share = self.validation_share
        self._check(0 <= share < 1, "validation_share", share, "0 (nothing is held out) to below 1, such as 0.1")
        try:
            parse_metric(self.validation_metric)
        except ConfigError as error:
            raise ConfigError(f"{self.parameter}: validation_{error}") from error
        chosen = not self.keep_best_epoch or share > 0
        self._check(chosen, "keep_best_epoch", True, "false, or true with a validation_share above 0 to choose by")
        minutes = self.checkpoint_minutes
        self._check(0 <= minutes < float("inf"), "checkpoint_minutes", minutes, "0 (none within an epoch) or more")

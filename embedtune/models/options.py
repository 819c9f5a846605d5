"""How a backbone is changed before it is trained: the fields of `model_options`. Imports no torch."""

from dataclasses import dataclass, field

from embedtune.options import Options
from embedtune.records.layouts import Modality

POOLINGS = ("", "cls", "mean", "max", "weightedmean", "lasttoken", "gem")
"""Accepted ways from tokens to one vector; '' keeps the backbone's own."""

FREEZE_ALL = "backbone"

TOWERS = {"clip-text": Modality.TEXT, "clip-vision": Modality.IMAGE}
"""Towers of a model of texts and images, by Finetuner's names, and what each reads."""

AUTO_PRECISION, FLOAT32, BFLOAT16 = PRECISIONS = ("auto", "float32", "bfloat16")
"""In which numbers a model may calculate."""


@dataclass(frozen=True)
class ModelOptions(Options):
    """What to change; the defaults keep the backbone as it is."""

    parameter = "model_options"

    select_model: str = field(default="", metadata={"choices": ("", *TOWERS)})
    """Which tower of a model of texts and images to take, such as CLIP or SigLIP: the one for texts (clip-text) or that
    for images (clip-vision); '' takes the one that the data need, both where they hold texts and images."""
    pooling: str = field(default="", metadata={"choices": POOLINGS})
    """How the vectors of tokens become one: the first one (cls), their mean, maximum, mean weighted by position, the
    last one, or their generalised mean (gem); '' keeps the backbone's own."""
    pooling_p: float = 3.0
    """gem: the exponent to start from, above 0; 1 is the mean, large ones come near the maximum."""
    pooling_eps: float = 1e-6
    """gem: least value of a component before the power, above 0."""
    output_dim: int = 0
    """Components of a vector: a projection head is put on; 0 keeps the backbone's."""
    normalize: bool | None = None
    """Whether vectors have length 1; null keeps what the backbone does."""
    freeze: str = ""
    """What is not trained: '' nothing, 'backbone' all but the head, a number N the embeddings and the lowest N blocks,
    or names and patterns of layers, comma-separated, such as '*embeddings*'; see 'embedtune tailor'."""
    query_prompt: str | None = None
    """What is put before a query; null keeps the backbone's own."""
    document_prompt: str | None = None
    """What is put before a document; null keeps the backbone's own."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ConfigError: one is not accepted.
        """
        self._check(
            self.select_model in ("", *TOWERS), "select_model", self.select_model, f"'' or one of {', '.join(TOWERS)}"
        )
        self._check(self.pooling in POOLINGS, "pooling", self.pooling, f"'' or one of {', '.join(POOLINGS[1:])}")
        self._check(self.pooling_p > 0, "pooling_p", self.pooling_p, "above 0")
        self._check(self.pooling_eps > 0, "pooling_eps", self.pooling_eps, "above 0")
        self._check(self.output_dim >= 0, "output_dim", self.output_dim, "0 (the backbone's) or more components")

"""How models are evaluated beside what most people tune: the fields of `eval_options`."""

from dataclasses import dataclass

from embedtune.options import Options


@dataclass(frozen=True)
class EvalOptions(Options):
    """What changes the speed of an evaluation, and not its result."""

    parameter = "eval_options"

    batch_size: int = 64
    """Contents encoded at a time, 1 or more."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ConfigError: one is not accepted.
        """
        self._check(self.batch_size >= 1, "batch_size", self.batch_size, "1 or more contents")

"""How models are evaluated beside what most people tune: the fields of `eval_options`."""

from dataclasses import dataclass

from embedtune.errors import ConfigError
from embedtune.options import options_from_json


@dataclass(frozen=True)
class EvalOptions:
    """What changes the speed of an evaluation, and not its result."""

    batch_size: int = 64
    """Contents encoded at a time, 1 or more."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ConfigError: one is not accepted.
        """
        if self.batch_size < 1:
            raise ConfigError(f"eval_options: batch_size is {self.batch_size!r}; accepted: 1 or more contents.")

    @classmethod
    def from_json(cls, text: str) -> "EvalOptions":
        """Read the options from a JSON object.

        Raises:
            ConfigError: not a JSON object, an unknown key, or a value that is not accepted.
        """
        return options_from_json(cls, text, "eval_options")

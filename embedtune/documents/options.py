"""How rows become documents."""

from dataclasses import dataclass

from embedtune.documents.schema import SplitRule
from embedtune.errors import ConfigError

_MAX_SEED = 2**63 - 1


@dataclass(frozen=True)
class BuildOptions:
    """How rows become documents."""

    eval_share: float = 0.2
    """Share of the documents to hold out for evaluation, above 0 and below 1."""
    split: str = "auto"
    """'auto' (the split of the source where it has one), 'stratified' (new rows of known labels) or 'group' (whole
    labels or groups of connected pairs)."""
    seed: int = 42
    """Seed of the split, 0..2**63-1."""
    max_bad_share: float = 0.01
    """Largest share of rows to set aside before the build fails, 0..1."""

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            ConfigError: An option is outside its range.
        """
        if not 0 < self.eval_share < 1:
            raise ConfigError(f"eval_share={self.eval_share!r}; give a share above 0 and below 1, such as 0.2.")
        if self.split not in tuple(SplitRule):
            raise ConfigError(f"split={self.split!r}; give one of {', '.join(map(repr, map(str, SplitRule)))}.")
        if not 0 <= self.seed <= _MAX_SEED:
            raise ConfigError(f"seed={self.seed!r}; give a whole number from 0 to {_MAX_SEED}.")
        if not 0 <= self.max_bad_share <= 1:
            raise ConfigError(f"max_bad_share={self.max_bad_share!r}; give a share from 0 to 1, such as 0.01.")

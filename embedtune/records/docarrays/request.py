"""How saved DocumentArrays are to be read. Imports no docarray, which takes a third of a second."""

from dataclasses import dataclass, field

from embedtune.errors import ConfigError


@dataclass(frozen=True)
class MeshOptions:
    """How point clouds are drawn from blobs that are mesh files."""

    point_cloud_size: int = 2048
    """Points, 1 or more."""
    seed: int = 0
    """0 or more."""


@dataclass(frozen=True)
class DocumentsRequest:
    """How Documents are to be read."""

    max_bad_share: float = 0.01
    """Largest accepted share of Documents that are set aside, 0..1."""
    pos_value: str = ""
    """Label of a match that is relevant; '' for 1, or for the other one of two labels where neg_value is given."""
    neg_value: str = ""
    """Label of a match that is not relevant; '' for -1, or for the other one where pos_value is given."""
    meshes: MeshOptions = field(default_factory=MeshOptions)
    """How point clouds are drawn from mesh files in blobs."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ConfigError: a value is not accepted.
        """
        if not 0 <= self.max_bad_share <= 1:
            raise ConfigError(f"max_bad_share={self.max_bad_share!r} is not a share. Give a number from 0 to 1.")
        if self.positive and self.positive == self.negative:
            raise ConfigError(f"pos_value and neg_value are both {self.positive!r}. Give two different values.")

    @property
    def positive(self) -> str:
        """`pos_value` without blanks around it."""
        return self.pos_value.strip()

    @property
    def negative(self) -> str:
        """`neg_value` without blanks around it."""
        return self.neg_value.strip()


def number_text(number: float) -> str:
    """Return a number as text, whole ones without a point."""
    return str(int(number)) if float(number).is_integer() else repr(float(number))

"""What the attempts of a training came to so far, as a checkpoint tells the next one. Imports no torch."""

import dataclasses
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from embedtune.errors import TrainingError

_FILE = "so-far.json"


@dataclass(frozen=True)
class SoFar:
    """What transformers' own checkpoint does not know."""

    seconds: float
    """Wall time of the loop in all attempts, without the measuring on a validation set."""
    texts: int
    """Contents embedded in training in all attempts."""
    threads: int
    """Threads that torch calculates with; with another number the same training gives other bits."""
    precision: str
    """In which numbers the encoder calculates; see `models.precision`."""
    batch_size: int
    """Contents of a batch that fit."""
    unlogged_loss: float
    """Sum of the losses since the last point of the history."""
    logged_step: int
    """Step of that point."""

    def save(self, folder: Path) -> None:
        """Write it into the folder of a checkpoint."""
        (folder / _FILE).write_text(json.dumps(dataclasses.asdict(self)), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "SoFar":
        """Read it out of the folder of a checkpoint.

        Raises:
            TrainingError: it is not there, or damaged.
        """
        try:
            return cls(**json.loads((folder / _FILE).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise TrainingError(
                f"The checkpoint cannot be read ({error}). Delete the folder of checkpoints, and start again."
            ) from error


class Clock:
    """The wall time of a training loop in all its attempts, without pauses."""

    def __init__(self) -> None:
        """Begin with none."""
        self._before = self._paused = 0.0
        self._started = perf_counter()

    def start(self, before: float) -> None:
        """Begin, after `before` seconds of the attempts before."""
        self._before, self._paused, self._started = before, 0.0, perf_counter()

    @property
    def seconds(self) -> float:
        """Seconds until now."""
        return self._before + perf_counter() - self._started - self._paused

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leave out the time of the block."""
        started = perf_counter()
        try:
            yield
        finally:
            self._paused += perf_counter() - started

"""How many contents fit into a batch: what was asked for, tried out on a GPU; or the largest number that fits.

What is found replaces the number of the configuration, and the training is the one that this number, stated, gives: the
weights and the random states that the trials began with are put back.
"""

import dataclasses
import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from sentence_transformers import SentenceTransformer

from embedtune.errors import FruitlessError
from embedtune.models.contents import Indices
from embedtune.training.config import ASSUMED_BATCH, LOSSES, BatchKind, FinetuneConfig
from embedtune.training.examples import TrainingSet
from embedtune.training.so_far import SoFar

MOST = 1024
"""Contents of a batch that is chosen by what fits, at most; larger ones were not measured to teach more, and leave few
steps."""

_FEWEST_STEPS = 10
"""Steps of an epoch that such a batch leaves at least, so that a rate can rise and fall."""

_MARGIN = 0.9
"""Share of a batch that was tried which is used, since memory is cut into other pieces in a long training."""

_CLOSE = 1.125
"""Factor between a batch that fits and one that does not at which the search ends."""


class TooLargeError(FruitlessError):
    """A batch does not fit into the memory of a GPU."""

    def __init__(self, batch_size: int, message: str) -> None:
        """Say of which number of contents."""
        super().__init__(message)
        self.batch_size = batch_size


def least_batch(config: FinetuneConfig) -> int:
    """Return the fewest contents that a batch can have."""
    return max(4, 2 * _unit(config))


def chosen_batch_size(
    config: FinetuneConfig, contents: int, device: torch.device, resumed: Path | None, fits: Callable[[int], bool]
) -> tuple[FinetuneConfig, dict[str, str]]:
    """Return the configuration with a batch size that fits, and a sentence where it is another one than was asked for.

    Args:
        config: How to fine-tune; batch_size may be 0.
        contents: Training contents.
        device: What is trained on. A CPU's memory is not asked: it would swap, or the system would end the process.
        resumed: Folder of the checkpoint that is gone on from, whose batch size is kept.
        fits: Tells whether a batch of so many contents, the longest ones, fits.

    Raises:
        TooLargeError: not even the least batch fits.
    """
    asked, least = config.batch_size, least_batch(config)
    if resumed is not None:
        size, why = SoFar.load(resumed).batch_size, "as the checkpoint has it"
    elif device.type == "cpu":
        size = asked if asked else max(ASSUMED_BATCH, least)
        why = "the number for a CPU, on which larger batches are no faster"
    elif asked:
        size = asked
        while not fits(size):
            size = halved(size, config)
        why = "since the longest contents do not fit into the memory of the GPU in a larger one"
    else:
        most = max(least, min(MOST, contents // _FEWEST_STEPS))
        size = largest_that_fits(fits, least, most, _unit(config))
        if not size:
            raise _no_room(config)
        why = (
            f"as many as are taken without being asked: {MOST:,}, or a tenth of all"
            if size + _unit(config) > most
            else "the largest in which the longest contents fit into the memory of the GPU, less a tenth"
        )
    if size == asked:
        return config, {}
    sentence = f"Batch size ({asked}): {size} contents, {why}."
    return dataclasses.replace(config, batch_size=size), {"batch_size": sentence}


def halved(size: int, config: FinetuneConfig) -> int:
    """Return half of a batch size, of labels a multiple of K, but no less than a batch can have.

    Raises:
        TooLargeError: it is that already.
    """
    least = least_batch(config)
    if size <= least:
        raise _no_room(config)
    half = size // 2
    return max(least, half - half % _unit(config))


def largest_that_fits(fits: Callable[[int], bool], least: int, most: int, unit: int) -> int:
    """Search for the largest batch that fits with a margin: by doubling, then by halving what lies between.

    Args:
        fits: Tells of a number of contents whether they do.
        least: Contents of the smallest batch.
        most: Contents of the largest, at least `least`.
        unit: Divides the result.

    Returns:
        Contents; 0 where not even the least batch fits.
    """
    low, high = 0, 0
    size = least
    while True:
        if fits(round(size / _MARGIN)):
            low = size
        else:
            high = size
        if low == most or high == least or (high and high <= max(low * _CLOSE, low + unit)):
            return low - low % unit if low else 0
        size = (low + high) // 2 if high else min(2 * low, most)


def longest_rows(examples: TrainingSet, columns: int, size: int) -> Indices:
    """Return the longest contents as the rows (P, columns) of a batch of so many contents, over again if they are few.

    Args:
        examples: The training set.
        columns: Of a batch of its plan.
        size: Contents, at least as many as columns.
    """
    sizes = examples.contents.sizes()
    if columns == 1 or examples.pairs is None:
        longest = np.argsort(-sizes, kind="stable")[:size]
        return np.resize(longest, (size // columns, columns))
    order = np.argsort(-sizes[examples.pairs].sum(axis=1), kind="stable")
    pairs = examples.pairs[np.resize(order, size // columns)]
    return np.concatenate([pairs, *[pairs[:, 1:]] * (columns - 2)], axis=1)


@contextmanager
def put_back(model: SentenceTransformer) -> Iterator[None]:
    """Train a model on trial: its weights and the random states are what they were after the block."""
    with torch.random.fork_rng([model.device] if model.device.type == "cuda" else []):
        before = {name: value.detach().to("cpu", copy=True) for name, value in model.state_dict().items()}
        try:
            yield
        finally:
            model.zero_grad(set_to_none=True)
            model.load_state_dict(before)


def free_memory() -> None:
    """Give back what a step that failed has left on a GPU."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _no_room(config: FinetuneConfig) -> TooLargeError:
    least = least_batch(config)
    recompute = "" if config.training.recompute else "set recompute of train_options to true, "
    return TooLargeError(
        least,
        f"The GPU has too little memory for batches of {least} contents (max_length {config.max_length}), the fewest "
        f"that teach. Halve max_length, {recompute}freeze a part of the model, or take a smaller one.",
    )


def _unit(config: FinetuneConfig) -> int:
    """Return what a batch size is a multiple of."""
    return config.training.items_per_label if LOSSES[config.loss] is BatchKind.LABELS else 2

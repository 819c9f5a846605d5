"""What a batch is, whatever is in it. Imports no torch.

A batch is an array of positions (P, C): P rows of C columns. Three kinds exist: P x K batches (one column) for losses
that compare labels (`label_batches`); pairs and triplets (anchor, positive and perhaps a wrong answer; two or three
columns) for losses that take every other row as a negative, and scored pairs (two columns) for losses that learn a
number (`pair_batches`).

Batches are drawn for all processes of a training together and cut into equal shares (`share_of`), so that what was
checked for false negatives holds for gathered vectors too. Every epoch is drawn from (seed, epoch), so a resumed run
sees the batches it would have seen.
"""

from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np
import numpy.typing as npt

from embedtune.models.card import EpochFacts
from embedtune.models.contents import Indices


class BatchPlan(Protocol):
    """Draws the batches of an epoch."""

    batches_per_epoch: int
    columns: int
    """Columns of a batch at most."""

    def epoch(self, epoch: int) -> Iterator[Indices]:
        """Yield `batches_per_epoch` batches (P, C)."""

    def targets(self, rows: Indices) -> npt.NDArray[np.generic]:
        """Return what the loss is to learn of each row (P,): its label number, or its score."""

    def facts(self) -> EpochFacts:
        """Return what an epoch is like."""


def share_of(batch: Indices, rank: int, ranks: int) -> Indices:
    """Return the rows of a batch that one of several processes embeds.

    All get equally many, for vectors of another number cannot be gathered: where the rows do not go round, the last one
    is repeated, and what stands behind the first P rows of all shares is to be left out.

    Args:
        batch: (P, C), P at least 1.
        rank: Number of the process, from 0.
        ranks: Number of processes.
    """
    rows = -(-len(batch) // ranks)
    share: Indices = batch[np.arange(rank * rows, (rank + 1) * rows).clip(max=len(batch) - 1)]
    return share


def positions_by_label(labels: Indices) -> list[Indices]:
    """Return the positions of each label's contents, N in all; none for no contents."""
    order = np.argsort(labels, kind="stable")
    _, starts = np.unique(labels[order], return_index=True)
    return np.split(order, starts[1:]) if len(labels) else []


def facts_of(plan: BatchPlan, negatives: Callable[[Indices], float]) -> EpochFacts:
    """Look at the first epoch.

    Args:
        plan: What draws it.
        negatives: Returns the mean number of contents that a row of a batch is told apart from.
    """
    used: set[int] = set()
    rows, told_apart = 0, 0.0
    for batch in plan.epoch(0):
        used.update(batch.ravel().tolist())
        rows += len(batch)
        told_apart += negatives(batch)
    batches = plan.batches_per_epoch
    return EpochFacts(len(used), rows / batches, told_apart / batches)

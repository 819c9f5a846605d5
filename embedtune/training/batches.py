"""Which texts go into which batch. Imports no torch.

A batch is a list of positions into the training texts. Two kinds exist: P x K batches for losses that compare labels,
and pair batches, [anchor, positive, anchor, positive, ...], for losses that take every other pair as a negative.

Every epoch is drawn from (seed, epoch), so a resumed run sees the batches it would have seen.
"""

from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import Protocol

import numpy as np

from embedtune.errors import TrainingError
from embedtune.training.examples import Indices, TrainingExamples

_SCAN = 1024
"""Pairs that are tried for one batch beyond its size; without a bound an epoch is quadratic in the conflicts."""

_PATIENCE = 32
"""Pairs in a row that may find no other for a batch before a pass ends; one text in most pairs leaves many such."""


class BatchPlan(Protocol):
    """Draws the batches of an epoch."""

    batches_per_epoch: int

    def epoch(self, epoch: int) -> Iterator[list[int]]:
        """Yield `batches_per_epoch` batches."""


class LabelBatches:
    """P x K batches: K texts of each of up to P = batch_size / K labels.

    A label's texts are dealt into groups of K; the last group is filled up with other texts of the label, and a label
    with fewer than K texts gives all it has in one group. The groups are dealt to the batches of the epoch like cards,
    label by label: batches are about equally large, hold a label twice only if it has more groups than there are
    batches, and together every text. Texts whose label occurs once serve as negatives.
    """

    def __init__(self, labels: Indices, batch_size: int, items_per_label: int, seed: int) -> None:
        """Prepare.

        Args:
            labels: Label number of each text, (N,).
            batch_size: Most texts in a batch, at least 2 K.
            items_per_label: K.
            seed: Seed.

        Raises:
            TrainingError: no label occurs twice, or there is one label only.
        """
        self._members = _positions_by_label(labels)
        if len(self._members) < 2 or max(len(members) for members in self._members) < 2:
            raise TrainingError(
                f"The {len(labels)} training texts have {len(self._members)} labels, and training needs at least two "
                "labels with at least one that occurs twice. Bring more texts per label."
            )
        self._items = items_per_label
        self._seed = seed
        self.batches_per_epoch = self._count_batches(batch_size)

    def epoch(self, epoch: int) -> Iterator[list[int]]:
        """Yield `batches_per_epoch` batches, without a text twice in one of them."""
        rng = np.random.default_rng([self._seed, epoch])
        groups = self._groups(rng)
        for number in rng.permutation(self.batches_per_epoch):
            dealt = groups[number :: self.batches_per_epoch]
            yield list(dict.fromkeys(position for group in dealt for position in group))

    def _count_batches(self, batch_size: int) -> int:
        """Return the least number of batches that none is too large; it is the same for every draw."""
        sizes = np.array([len(group) for group in self._groups(np.random.default_rng(0))])
        count = -(-int(sizes.sum()) // batch_size)
        while np.bincount(np.arange(len(sizes)) % count, weights=sizes).max() > batch_size:
            count += 1
        return count

    def _groups(self, rng: np.random.Generator) -> list[list[int]]:
        """Deal every label's texts into groups: large ones first, labels of like groups in random order."""
        by_label: list[list[list[int]]] = []
        for label in rng.permutation(len(self._members)):
            shuffled = rng.permutation(self._members[label]).tolist()
            ends = range(self._items, len(shuffled) + self._items, self._items)
            # The last group goes back to be full.
            by_label.append([shuffled[max(0, min(end, len(shuffled)) - self._items) : end] for end in ends])
        by_label.sort(key=lambda groups: -len(groups[0]))
        return [group for groups in by_label for group in groups]


class PairBatches:
    """Batches of (anchor, positive) pairs in which no positive is relevant to another pair's anchor.

    Such a text would be punished as a negative although it is right (a false negative). A pair that clashes with a
    batch waits for the next one. Labelled texts are paired at random within their label, anew each epoch.

    An epoch uses every pair, except those that all pairs left at its end clash with. Its last batches may be small:
    then pairs of the most frequent labels or documents are left.
    """

    def __init__(self, examples: TrainingExamples, batch_size: int, seed: int) -> None:
        """Prepare.

        Args:
            examples: The texts.
            batch_size: Most texts in a batch; half as many pairs.
            seed: Seed.

        Raises:
            TrainingError: fewer than two pairs can be made, or all of them clash.
        """
        self._pairs_per_batch = batch_size // 2
        self._seed = seed
        self._draw = _LabelPairs(examples.labels) if examples.pairs is None else _JudgedPairs(examples.pairs)
        self.batches_per_epoch = sum(1 for _ in self._pass(np.random.default_rng([seed, 0, 0])))
        if self.batches_per_epoch == 0:
            raise TrainingError(
                f"The {len(examples.texts)} training texts give no two pairs that can be told apart: everything is "
                "relevant to everything. Bring more labels, or queries that do not share their documents."
            )

    def epoch(self, epoch: int) -> Iterator[list[int]]:
        """Yield `batches_per_epoch` batches; what a pass has less than the first one comes from a further pass."""
        return islice(self._stream(epoch), self.batches_per_epoch)

    def _stream(self, epoch: int) -> Iterator[list[int]]:
        passes = 0
        while True:
            rng = np.random.default_rng([self._seed, epoch, passes])
            yield from self._pass(rng)
            passes += 1

    def _pass(self, rng: np.random.Generator) -> Iterator[list[int]]:
        waiting = deque(self._draw.pairs(rng))
        deferred: deque[tuple[int, int]] = deque()
        alone = 0
        while (waiting or deferred) and alone < _PATIENCE:
            batch = self._fill(waiting, deferred)
            if len(batch) >= 2:
                yield [position for pair in batch for position in pair]
                alone = 0
            else:
                alone += 1

    def _fill(self, waiting: deque[tuple[int, int]], deferred: deque[tuple[int, int]]) -> list[tuple[int, int]]:
        batch: list[tuple[int, int]] = []
        taken: set[int] = set()
        for queue in (deferred, waiting):
            for _ in range(min(len(queue), self._pairs_per_batch + _SCAN)):
                if len(batch) == self._pairs_per_batch:
                    return batch
                pair = queue.popleft()
                if self._draw.clashes(pair, taken):
                    deferred.append(pair)
                else:
                    taken.update(self._draw.uses(pair))
                    batch.append(pair)
        return batch


class _LabelPairs:
    """Pairs within a label; two pairs clash if their labels are equal."""

    def __init__(self, labels: Indices) -> None:
        self._members = [members for members in _positions_by_label(labels) if len(members) > 1]
        self._labels = labels

    def pairs(self, rng: np.random.Generator) -> list[tuple[int, int]]:
        """Use each text once as anchor or positive; the odd one out takes a random partner of its label."""
        drawn: list[tuple[int, int]] = []
        for members in self._members:
            shuffled = rng.permutation(members).tolist()
            if len(shuffled) % 2:
                shuffled.append(shuffled[int(rng.integers(len(shuffled) - 1))])
            drawn.extend(zip(shuffled[0::2], shuffled[1::2], strict=True))
        return [drawn[position] for position in rng.permutation(len(drawn))]

    def uses(self, pair: tuple[int, int]) -> tuple[int, ...]:
        return (int(self._labels[pair[0]]),)

    def clashes(self, pair: tuple[int, int], taken: set[int]) -> bool:
        return int(self._labels[pair[0]]) in taken


class _JudgedPairs:
    """Judged (query, document) pairs; two clash if a text of one is, or is relevant to, a text of the other."""

    def __init__(self, pairs: Indices) -> None:
        self._pairs = [(int(query), int(document)) for query, document in pairs]
        self._related: dict[int, set[int]] = {}
        for query, document in self._pairs:
            self._related.setdefault(query, {query}).add(document)
            self._related.setdefault(document, {document}).add(query)

    def pairs(self, rng: np.random.Generator) -> list[tuple[int, int]]:
        """All judged pairs in random order."""
        return [self._pairs[position] for position in rng.permutation(len(self._pairs))]

    def uses(self, pair: tuple[int, int]) -> tuple[int, ...]:
        return pair

    def clashes(self, pair: tuple[int, int], taken: set[int]) -> bool:
        return not all(taken.isdisjoint(self._related[position]) for position in pair)


def _positions_by_label(labels: Indices) -> list[Indices]:
    """Return the positions of each label's texts, N in all; none for no texts."""
    order = np.argsort(labels, kind="stable")
    _, starts = np.unique(labels[order], return_index=True)
    return np.split(order, starts[1:]) if len(labels) else []

"""Which texts go into which batch. Imports no torch.

A batch is a list of positions into the training texts. Two kinds exist: P x K batches for losses that compare labels,
and pair batches, [anchor, positive, anchor, positive, ...], for losses that take every other pair as a negative.

Every pass is drawn from (seed, epoch, pass), so a resumed run sees the batches it would have seen.
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


class BatchPlan(Protocol):
    """Draws the batches of an epoch."""

    batches_per_epoch: int

    def epoch(self, epoch: int) -> Iterator[list[int]]:
        """Yield `batches_per_epoch` batches."""


class LabelBatches:
    """P x K batches: K texts of each of P = batch_size / K labels.

    A label's texts are dealt into groups of K; the last group is filled up with other texts of the label, and a label
    with fewer than K texts gives all it has. Groups of one label are spread evenly over the epoch, so that a frequent
    label does not fill the last batches alone. Texts whose label occurs once serve as negatives.
    """

    def __init__(self, labels: Indices, batch_size: int, items_per_label: int, seed: int) -> None:
        """Prepare.

        Args:
            labels: Label number of each text, (N,).
            batch_size: Most texts in a batch.
            items_per_label: K.
            seed: Seed.

        Raises:
            TrainingError: no label occurs twice, or there is one label only.
        """
        order = np.argsort(labels, kind="stable")
        _, starts = np.unique(labels[order], return_index=True)
        self._members = np.split(order, starts[1:])
        if len(self._members) < 2 or max(len(members) for members in self._members) < 2:
            raise TrainingError(
                f"The {len(labels)} training texts have {len(self._members)} labels, and training needs at least two "
                "labels with at least one that occurs twice. Bring more texts per label."
            )
        self._batch_size = batch_size
        self._items = items_per_label
        self._seed = seed
        texts = sum(_dealt_texts(len(members), items_per_label) for members in self._members)
        self.batches_per_epoch = max(1, texts // batch_size)

    def epoch(self, epoch: int) -> Iterator[list[int]]:
        """Yield `batches_per_epoch` batches."""
        return islice(self._stream(epoch), self.batches_per_epoch)

    def _stream(self, epoch: int) -> Iterator[list[int]]:
        passes = 0
        while True:
            rng = np.random.default_rng([self._seed, epoch, passes])
            yield from self._pass(rng)
            passes += 1

    def _pass(self, rng: np.random.Generator) -> Iterator[list[int]]:
        batch: list[int] = []
        yielded = False
        for group in self._groups(rng):
            if len(batch) + len(group) > self._batch_size:
                yield batch
                yielded, batch = True, []
            batch.extend(group)
        if batch and not yielded:
            yield batch

    def _groups(self, rng: np.random.Generator) -> list[list[int]]:
        """Deal every label's texts into groups, in an order that spreads each label over the epoch."""
        timed: list[tuple[float, list[int]]] = []
        for members in self._members:
            shuffled = rng.permutation(members)
            count = -(-len(shuffled) // self._items)
            times = (np.arange(count) + rng.random(count)) / count
            for number, time in enumerate(times):
                end = min((number + 1) * self._items, len(shuffled))
                start = max(0, end - self._items)  # the last group goes back to be full
                timed.append((float(time), shuffled[start:end].tolist()))
        timed.sort(key=lambda entry: entry[0])
        return [group for _, group in timed]


class PairBatches:
    """Batches of (anchor, positive) pairs in which no positive is relevant to another pair's anchor.

    Such a text would be punished as a negative although it is right (a false negative). A pair that clashes with a
    batch waits for the next one. Labelled texts are paired at random within their label, anew each epoch.
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
        first_pass = list(self._pass(np.random.default_rng([seed, 0, 0])))
        if not first_pass:
            raise TrainingError(
                f"The {len(examples.texts)} training texts give no two pairs that can be told apart: everything is "
                "relevant to everything. Bring more labels, or queries that do not share their documents."
            )
        self.batches_per_epoch = max(1, sum(map(len, first_pass)) // (2 * self._pairs_per_batch))

    def epoch(self, epoch: int) -> Iterator[list[int]]:
        """Yield `batches_per_epoch` batches."""
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
        while waiting or deferred:
            batch = self._fill(waiting, deferred)
            if len(batch) >= 2:
                yield [position for pair in batch for position in pair]

    def _fill(self, waiting: deque[tuple[int, int]], deferred: deque[tuple[int, int]]) -> list[tuple[int, int]]:
        batch: list[tuple[int, int]] = []
        blocked: set[int] = set()
        for queue in (deferred, waiting):
            for _ in range(min(len(queue), self._pairs_per_batch + _SCAN)):
                if len(batch) == self._pairs_per_batch:
                    return batch
                pair = queue.popleft()
                if blocked.isdisjoint(self._draw.uses(pair)):
                    blocked.update(self._draw.blocks(pair))
                    batch.append(pair)
                else:
                    deferred.append(pair)
        return batch


class _LabelPairs:
    """Pairs within a label; two pairs clash if their labels are equal."""

    def __init__(self, labels: Indices) -> None:
        order = np.argsort(labels, kind="stable")
        _, starts = np.unique(labels[order], return_index=True)
        self._members = [members for members in np.split(order, starts[1:]) if len(members) > 1]
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

    def blocks(self, pair: tuple[int, int]) -> tuple[int, ...]:
        return self.uses(pair)


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

    def blocks(self, pair: tuple[int, int]) -> set[int]:
        return self._related[pair[0]] | self._related[pair[1]]


def _dealt_texts(members: int, items_per_label: int) -> int:
    """Number of texts that one label contributes to a pass."""
    if members <= items_per_label:
        return members
    return -(-members // items_per_label) * items_per_label

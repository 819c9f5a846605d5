"""Batches of pairs, triplets and scored pairs. Imports no torch."""

from collections import deque
from collections.abc import Generator, Iterator
from functools import cached_property
from itertools import islice

import numpy as np
import numpy.typing as npt

from embedtune.errors import FruitlessError
from embedtune.models.card import EpochFacts
from embedtune.models.contents import Indices
from embedtune.training.batches import facts_of, positions_by_label
from embedtune.training.examples import TrainingSet

Row = tuple[int, ...]

_SCAN = 1024
"""Pairs that are tried for one batch beyond its size; without a bound an epoch is quadratic in the conflicts."""

_PATIENCE = 32
"""Pairs in a row that may find no other for a batch before a pass ends; one text in most pairs leaves many such."""


class PairBatches:
    """Batches of (anchor, positive) rows in which no content is relevant to another row's anchor.

    Such a content would be punished as a negative although it is right (a false negative). A pair that clashes with a
    batch waits for the next one. Labelled contents are paired at random within their label, anew each epoch.

    A pair whose anchor has explicit wrong answers gets one of them as a third column, another one each epoch, in
    batches of such rows; where these are too few for a batch, they go without.

    An epoch uses every pair, except those that all pairs left at its end clash with. Its last batches may be small:
    then pairs of the most frequent labels or documents are left.
    """

    def __init__(self, examples: TrainingSet, batch_size: int, seed: int) -> None:
        """Prepare.

        Args:
            examples: The contents and what belongs together.
            batch_size: Most contents in a batch; half as many rows, or a third where there are wrong answers.
            seed: Seed.

        Raises:
            FruitlessError: fewer than two pairs can be made, or all of them clash.
        """
        self._batch_size = batch_size
        self._seed = seed
        self._labels = examples.labels
        self._draw = _LabelPairs(examples.labels) if examples.pairs is None else _JudgedPairs(examples)
        first_pass = [batch.shape for batch in self._pass(np.random.default_rng([seed, 0, 0]), 0)]
        self.batches_per_epoch = len(first_pass)
        if self.batches_per_epoch == 0:
            raise FruitlessError(
                f"The {len(examples.contents)} training contents give no two pairs that can be told apart: everything "
                "is relevant to everything. Bring more labels, or queries that do not share their documents."
            )
        self.columns = max(columns for _, columns in first_pass)

    def epoch(self, epoch: int) -> Iterator[Indices]:
        """Yield `batches_per_epoch` batches; what a pass has less than the first one comes from a further pass."""
        return islice(self._stream(epoch), self.batches_per_epoch)

    def targets(self, rows: Indices) -> Indices:
        """Return the label number of each row's anchor (P,)."""
        return self._labels[rows[:, 0]]

    def facts(self) -> EpochFacts:
        """Return what an epoch is like: negatives are the positives of other rows, and all wrong answers."""
        return facts_of(self, lambda batch: len(batch) * (batch.shape[1] - 1) - 1)

    def _stream(self, epoch: int) -> Iterator[Indices]:
        passes = 0
        while True:
            rng = np.random.default_rng([self._seed, epoch, passes])
            yield from self._pass(rng, epoch)
            passes += 1

    def _pass(self, rng: np.random.Generator, epoch: int) -> Iterator[Indices]:
        rows = self._draw.rows(rng, epoch)
        left: list[Row] = []
        for columns in (3, 2):
            waiting = deque([*(row for row in rows if len(row) == columns), *(row[:columns] for row in left)])
            left = yield from self._batches(waiting, columns)

    def _batches(self, waiting: deque[Row], columns: int) -> Generator[Indices, None, list[Row]]:
        """Yield batches of rows, and return the rows that none took."""
        deferred: deque[Row] = deque()
        alone: list[Row] = []
        tried = 0
        while (waiting or deferred) and tried < _PATIENCE:
            batch = self._fill(waiting, deferred, max(2, self._batch_size // columns))
            if len(batch) >= 2:
                yield np.array(batch, np.int64)
                tried = 0
            else:
                alone += batch
                tried += 1
        return [*alone, *deferred, *waiting]

    def _fill(self, waiting: deque[Row], deferred: deque[Row], most: int) -> list[Row]:
        batch: list[Row] = []
        taken: set[int] = set()
        for queue in (deferred, waiting):
            for _ in range(min(len(queue), most + _SCAN)):
                if len(batch) == most:
                    return batch
                row = queue.popleft()
                if self._draw.clashes(row, taken):
                    deferred.append(row)
                else:
                    taken.update(self._draw.uses(row))
                    batch.append(row)
        return batch


class ScoredBatches:
    """Batches of scored pairs in random order, every pair once in an epoch."""

    columns = 2

    def __init__(self, examples: TrainingSet, batch_size: int, seed: int) -> None:
        """Prepare.

        Args:
            examples: Contents with scored pairs.
            batch_size: Most contents in a batch; half as many pairs.
            seed: Seed.

        Raises:
            FruitlessError: there are fewer than two pairs, or all have the same score.
        """
        pairs, scores = examples.pairs, examples.scores
        if pairs is None or scores is None or len(pairs) < 2 or scores.min() == scores.max():
            count = 0 if pairs is None else len(pairs)
            raise FruitlessError(
                f"The {count} training pairs have no two different scores, so nothing is told apart. Bring more pairs."
            )
        self._pairs = pairs
        self._most = max(2, batch_size // 2)
        self._seed = seed
        self._contents = len(examples.contents)
        codes = pairs[:, 0] * self._contents + pairs[:, 1]
        self._codes, places = np.unique(codes, return_index=True)
        self._scores = scores[places]
        self.batches_per_epoch = -(-len(pairs) // self._most)

    def epoch(self, epoch: int) -> Iterator[Indices]:
        """Yield `batches_per_epoch` batches (P, 2) of about equal size."""
        order = np.random.default_rng([self._seed, epoch]).permutation(len(self._pairs))
        for part in np.array_split(order, self.batches_per_epoch):
            yield self._pairs[part]

    def targets(self, rows: Indices) -> npt.NDArray[np.float32]:
        """Return the score of each row (P,)."""
        return self._scores[np.searchsorted(self._codes, rows[:, 0] * self._contents + rows[:, 1])]

    def facts(self) -> EpochFacts:
        """Return what an epoch is like; scored pairs have no negatives."""
        return facts_of(self, lambda _: 0)


class _LabelPairs:
    """Pairs within a label; two pairs clash if their labels are equal."""

    def __init__(self, labels: Indices) -> None:
        self._members = [members for members in positions_by_label(labels) if len(members) > 1]
        self._labels = labels

    def rows(self, rng: np.random.Generator, _epoch: int) -> list[Row]:
        """Use each content once as anchor or positive; the odd one out takes a random partner of its label."""
        drawn: list[Row] = []
        for members in self._members:
            shuffled = rng.permutation(members).tolist()
            if len(shuffled) % 2:
                shuffled.append(shuffled[int(rng.integers(len(shuffled) - 1))])
            drawn.extend(zip(shuffled[0::2], shuffled[1::2], strict=True))
        return [drawn[position] for position in rng.permutation(len(drawn))]

    def uses(self, row: Row) -> tuple[int, ...]:
        return (int(self._labels[row[0]]),)

    def clashes(self, row: Row, taken: set[int]) -> bool:
        return int(self._labels[row[0]]) in taken


class _JudgedPairs:
    """Judged (query, document) pairs; two clash if a content of one is, or is relevant to, a content of the other."""

    def __init__(self, examples: TrainingSet) -> None:
        self._pairs = [(int(query), int(document)) for query, document in examples.positives]
        self._related: dict[int, set[int]] = {}
        for query, document in self._pairs:
            self._related.setdefault(query, {query}).add(document)
            self._related.setdefault(document, {document}).add(query)
        self._wrong: dict[int, list[int]] = {}
        for query, document in examples.negatives if examples.negatives is not None else ():
            self._wrong.setdefault(int(query), []).append(int(document))

    @cached_property
    def _turn(self) -> dict[int, int]:
        """How many pairs of the same query come before each pair: they take different wrong answers."""
        seen: dict[int, int] = {}
        turns = {}
        for number, (query, _) in enumerate(self._pairs):
            turns[number] = seen.get(query, 0)
            seen[query] = turns[number] + 1
        return turns

    def rows(self, rng: np.random.Generator, epoch: int) -> list[Row]:
        """All judged pairs in random order, with a wrong answer where the query has any."""
        order = rng.permutation(len(self._pairs)).tolist()
        if not self._wrong:
            return [self._pairs[number] for number in order]
        return [(*self._pairs[number], *self._wrong_answer(number, epoch)) for number in order]

    def _wrong_answer(self, number: int, epoch: int) -> tuple[int, ...]:
        query = self._pairs[number][0]
        wrong = self._wrong.get(query)
        return () if wrong is None else (wrong[(epoch + self._turn[number]) % len(wrong)],)

    def uses(self, row: Row) -> tuple[int, ...]:
        return row

    def clashes(self, row: Row, taken: set[int]) -> bool:
        return not all(taken.isdisjoint(self._related.get(position, {position})) for position in row)

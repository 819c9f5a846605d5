"""P x K batches: which contents of labels go into which batch. Imports no torch."""

from collections.abc import Iterator

import numpy as np

from embedtune.errors import FruitlessError
from embedtune.models.card import EpochFacts
from embedtune.models.contents import Indices
from embedtune.training.batches import facts_of, positions_by_label


class LabelBatches:
    """P x K batches of one column: K contents of each of up to P = batch_size / K labels.

    A label's contents are dealt into groups of K; the last group is filled up with other contents of the label, and a
    label with fewer than K contents gives all it has in one group. The groups are dealt to the batches of the epoch
    like cards, label by label: batches are about equally large, hold a label twice only if it has more groups than
    there are batches. Contents whose label occurs once serve as negatives.

    An epoch holds every content, but for a label with more groups than all others together: it gives as many as these,
    other ones in the next epoch, since a batch of one label teaches nothing, or worse (MultiSimilarityLoss would pull
    everything together).
    """

    columns = 1

    def __init__(self, labels: Indices, batch_size: int, items_per_label: int, seed: int) -> None:
        """Prepare.

        Args:
            labels: Label number of each content, (N,).
            batch_size: Most contents in a batch, at least 2 K.
            items_per_label: K.
            seed: Seed.

        Raises:
            FruitlessError: no label occurs twice, or there is one label only.
        """
        self._members = positions_by_label(labels)
        if len(self._members) < 2 or max(len(members) for members in self._members) < 2:
            raise FruitlessError(
                f"The {len(labels)} training contents have {len(self._members)} labels, and training needs at least "
                "two labels with at least one that occurs twice. Bring more contents per label."
            )
        self._labels = labels
        self._items = items_per_label
        self._seed = seed
        groups = np.array([-(-len(members) // items_per_label) for members in self._members])
        self._most_groups = int(groups.sum() - groups.max())
        self.batches_per_epoch = self._count_batches(batch_size)

    def epoch(self, epoch: int) -> Iterator[Indices]:
        """Yield `batches_per_epoch` batches (P, 1), without a content twice in one of them."""
        rng = np.random.default_rng([self._seed, epoch])
        groups = self._groups(rng, epoch)
        for number in rng.permutation(self.batches_per_epoch):
            dealt = groups[number :: self.batches_per_epoch]
            if len({self._label(group) for group in dealt}) == 1:  # of an odd number of groups, two to a batch
                dealt.append(next(group for group in groups if self._label(group) != self._label(dealt[0])))
            yield _column(list(dict.fromkeys(position for group in dealt for position in group)))

    def targets(self, rows: Indices) -> Indices:
        """Return the label number of each row (P,)."""
        return self._labels[rows[:, 0]]

    def facts(self) -> EpochFacts:
        """Return what an epoch is like: negatives are the contents of other labels."""
        return facts_of(self, self._negatives)

    def _negatives(self, batch: Indices) -> float:
        labels = self.targets(batch)
        return float(len(batch) - np.bincount(labels)[labels].mean())

    def _label(self, group: list[int]) -> int:
        return int(self._labels[group[0]])

    def _count_batches(self, batch_size: int) -> int:
        """Return the least number of batches that none is too large; it is the same for every draw."""
        sizes = np.array([len(group) for group in self._groups(np.random.default_rng(0), 0)])
        count = -(-int(sizes.sum()) // batch_size)
        while np.bincount(np.arange(len(sizes)) % count, weights=sizes).max() > batch_size:
            count += 1
        return count

    def _groups(self, rng: np.random.Generator, epoch: int) -> list[list[int]]:
        """Deal every label's contents into groups: large ones first, labels of like groups in random order."""
        by_label: list[list[list[int]]] = []
        for label in rng.permutation(len(self._members)):
            shuffled = self._shuffled(int(label), rng, epoch)
            ends = range(self._items, len(shuffled) + self._items, self._items)
            # The last group goes back to be full.
            by_label.append([shuffled[max(0, min(end, len(shuffled)) - self._items) : end] for end in ends])
        by_label.sort(key=lambda groups: -len(groups[0]))
        return [group for groups in by_label for group in groups]

    def _shuffled(self, label: int, rng: np.random.Generator, epoch: int) -> list[int]:
        """Return a label's contents of an epoch in random order."""
        members = self._members[label]
        most = self._most_groups * self._items
        if len(members) <= most:
            return rng.permutation(members).tolist()  # type: ignore[no-any-return]
        turn = np.random.default_rng([self._seed, label]).permutation(members)
        taken = np.take(turn, np.arange(epoch * most, (epoch + 1) * most), mode="wrap")
        return rng.permutation(taken).tolist()  # type: ignore[no-any-return]


def _column(positions: list[int]) -> Indices:
    return np.array(positions, np.int64).reshape(-1, 1)

"""P x K batches: exact where labels allow, with every text each epoch and none twice in a batch."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embedtune.errors import TrainingError
from embedtune.training.batches import share_of
from embedtune.training.label_batches import LabelBatches


def drawn(plan: LabelBatches, epoch: int) -> list[list[int]]:
    batches = list(plan.epoch(epoch))
    assert all(batch.shape[1:] == (1,) for batch in batches)
    return [batch[:, 0].tolist() for batch in batches]


def labels_of(*counts: int) -> np.ndarray:
    return np.repeat(np.arange(len(counts)), counts)


def label_counts(labels: np.ndarray, batch: list[int]) -> Counter:
    return Counter(labels[batch].tolist())


@pytest.mark.parametrize(
    ("labels", "texts", "items", "batches"),
    [(20, 8, 4, 4), (16, 16, 4, 4), (8, 2, 2, 1), (64, 4, 4, 16), (7, 6, 3, 7)],
)
def test_exactly_p_labels_times_k_texts(labels, texts, items, batches):
    numbers = np.random.default_rng(0).permutation(np.arange(labels * texts) % labels)
    plan = LabelBatches(numbers, batch_size=labels * texts // batches, items_per_label=items, seed=1)
    batches_drawn = drawn(plan, 0)
    assert len(batches_drawn) == plan.batches_per_epoch == batches
    p = labels * texts // batches // items
    for batch in batches_drawn:
        assert sorted(label_counts(numbers, batch).values()) == [items] * p
    assert sorted(position for batch in batches_drawn for position in batch) == list(range(len(numbers)))


@settings(deadline=None)
@given(
    counts=st.lists(st.integers(1, 30), min_size=2, max_size=12).filter(lambda counts: max(counts) > 1),
    items=st.integers(2, 6),
    spare=st.integers(0, 20),
    seed=st.integers(0, 2**32 - 1),
)
def test_what_every_plan_promises(counts, items, spare, seed):
    labels = np.random.default_rng(seed).permutation(labels_of(*counts))
    batch_size = 2 * items + spare
    plan = LabelBatches(labels, batch_size, items, seed)
    for epoch in (0, 3):
        batches = drawn(plan, epoch)
        assert len(batches) == plan.batches_per_epoch
        assert all(len(label_counts(labels, batch)) > 1 for batch in batches)
        used = Counter(labels[sorted({position for batch in batches for position in batch})].tolist())
        assert used == Counter(dict(enumerate(used_texts(counts, items))))
        assert all(len(set(batch)) == len(batch) <= batch_size for batch in batches)
        sizes = [len(batch) for batch in batches]
        assert max(sizes) - min(sizes) <= items
        if len(batches) > 1:
            check_shares(labels, batches, used_texts(counts, items), items)


def used_texts(counts: list[int], items: int) -> list[int]:
    """Texts of each label in an epoch: no label has more groups than all others together."""
    groups = [-(-count // items) for count in counts]
    most = (sum(groups) - max(groups)) * items
    return [min(count, most) for count in counts]


def check_shares(labels: np.ndarray, batches: list[list[int]], counts: list[int], items: int) -> None:
    """A label gives whole groups, as many to each batch as to any other."""
    held = [label_counts(labels, batch) for batch in batches]
    for label, count in enumerate(counts):
        groups, size = -(-count // items), min(items, count)
        fewest = groups // len(batches)
        allowed = {fewest * size, (fewest + 1) * size} if groups % len(batches) else {fewest * size}
        mixed = [counter for counter in held if len(counter) > 2]  # one of a single group takes a second one besides
        assert {counter[label] for counter in mixed} <= allowed
        assert sum(counter[label] for counter in held) >= groups * size


def test_few_texts_make_one_batch_of_each_once():
    (batch,) = drawn(LabelBatches(labels_of(5, 5, 1), 64, 4, 0), 0)
    assert sorted(batch) == list(range(11))


def test_a_dominating_label_gives_no_more_than_all_others_and_comes_whole_over_epochs():
    labels = labels_of(900, *[4] * 25)
    plan = LabelBatches(labels, 16, 4, 0)
    assert plan.batches_per_epoch == 13
    seen: list[int] = []
    for epoch in range(9):
        batches = drawn(plan, epoch)
        counts = [label_counts(labels, batch) for batch in batches]
        assert all(count[0] in (4, 8) and len(count) > 1 for count in counts)
        others = Counter(label for count in counts for label in count if label != 0)
        assert others == dict.fromkeys(range(1, 26), 1)
        seen += [position for batch in batches for position in batch if position < 900]
    assert sorted(seen) == list(range(900))
    assert plan.facts().contents_used == 200


def test_facts_of_a_plan():
    facts = LabelBatches(labels_of(*[4] * 12), 16, 4, 0).facts()
    assert (facts.contents_used, facts.rows_per_batch, facts.negatives) == (48, 16, 12)


@pytest.mark.parametrize(("rows", "ranks", "each"), [(8, 2, 4), (9, 2, 5), (7, 3, 3), (5, 1, 5), (1, 2, 1), (2, 4, 1)])
def test_processes_get_equal_shares_of_a_batch(rows, ranks, each):
    batch = np.arange(2 * rows).reshape(rows, 2)
    shares = [share_of(batch, rank, ranks) for rank in range(ranks)]
    assert [len(share) for share in shares] == [each] * ranks
    np.testing.assert_array_equal(np.concatenate(shares)[:rows], batch)
    assert {tuple(row) for row in np.concatenate(shares)[rows:].tolist()} <= {tuple(batch[-1].tolist())}


def test_labels_that_occur_once_are_negatives_in_every_batch():
    labels = labels_of(*[8] * 8, *[1] * 32)
    for batch in drawn(LabelBatches(labels, 24, 4, 0), 0):
        counts = label_counts(labels, batch)
        assert sorted(counts.values()) == [1] * 8 + [4] * 4


def test_a_label_with_fewer_than_k_texts_comes_whole():
    labels = labels_of(3, 3, 2, 2, 8)
    batches = drawn(LabelBatches(labels, 8, 4, 0), 0)
    for label in range(4):
        assert sum(label in label_counts(labels, batch) for batch in batches) == 1


def test_epochs_and_seeds_draw_other_batches_and_nothing_else_does():
    labels = labels_of(*[9] * 9)
    plan, same, other = (LabelBatches(labels, 16, 4, seed) for seed in (1, 1, 2))
    assert drawn(plan, 5) == drawn(plan, 5) == drawn(same, 5)
    assert drawn(plan, 5) != drawn(plan, 6)
    assert drawn(plan, 5) != drawn(other, 5)


def test_labels_meet_other_labels_in_other_epochs():
    labels = labels_of(*[4] * 12)
    plan = LabelBatches(labels, 8, 4, 0)
    met = {frozenset(label_counts(labels, batch)) for epoch in range(20) for batch in drawn(plan, epoch)}
    assert len(met) > 40  # of 66 possible, 6 in an epoch


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        (labels_of(), "The 0 training contents have 0 labels"),
        (labels_of(7), "The 7 training contents have 1 labels"),
        (labels_of(1, 1, 1), "The 3 training contents have 3 labels"),
    ],
)
def test_unusable_labels(labels, told):
    with pytest.raises(TrainingError, match=f"{told}.*Bring more contents per label"):
        LabelBatches(labels, 8, 2, 0)

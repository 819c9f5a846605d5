"""P x K batches: exact where labels allow, with every text each epoch and none twice in a batch."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embedtune.errors import TrainingError
from embedtune.training.batches import LabelBatches


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
    drawn = list(plan.epoch(0))
    assert len(drawn) == plan.batches_per_epoch == batches
    p = labels * texts // batches // items
    for batch in drawn:
        assert sorted(label_counts(numbers, batch).values()) == [items] * p
    assert sorted(position for batch in drawn for position in batch) == list(range(len(numbers)))


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
        batches = list(plan.epoch(epoch))
        assert len(batches) == plan.batches_per_epoch
        assert {position for batch in batches for position in batch} == set(range(len(labels)))
        assert all(len(set(batch)) == len(batch) <= batch_size for batch in batches)
        sizes = [len(batch) for batch in batches]
        assert max(sizes) - min(sizes) <= items
        if len(batches) > 1:
            check_shares(labels, batches, counts, items)


def check_shares(labels: np.ndarray, batches: list[list[int]], counts: list[int], items: int) -> None:
    """A label gives whole groups, as many to each batch as to any other."""
    held = [label_counts(labels, batch) for batch in batches]
    for label, count in enumerate(counts):
        groups, size = -(-count // items), min(items, count)
        fewest = groups // len(batches)
        allowed = {fewest * size, (fewest + 1) * size} if groups % len(batches) else {fewest * size}
        assert {counter[label] for counter in held} <= allowed
        assert sum(counter[label] for counter in held) == groups * size


def test_few_texts_make_one_batch_of_each_once():
    (batch,) = LabelBatches(labels_of(5, 5, 1), 64, 4, 0).epoch(0)
    assert sorted(batch) == list(range(11))


def test_a_dominating_label_is_spread_evenly():
    labels = labels_of(900, *[4] * 25)
    plan = LabelBatches(labels, 16, 4, 0)
    assert plan.batches_per_epoch == 63
    assert {label_counts(labels, batch)[0] for batch in plan.epoch(0)} <= {12, 16}
    others = Counter(label for batch in plan.epoch(0) for label in label_counts(labels, batch) if label != 0)
    assert others == dict.fromkeys(range(1, 26), 1)


def test_labels_that_occur_once_are_negatives_in_every_batch():
    labels = labels_of(*[8] * 8, *[1] * 32)
    for batch in LabelBatches(labels, 24, 4, 0).epoch(0):
        counts = label_counts(labels, batch)
        assert sorted(counts.values()) == [1] * 8 + [4] * 4


def test_a_label_with_fewer_than_k_texts_comes_whole():
    labels = labels_of(3, 3, 2, 2, 8)
    batches = list(LabelBatches(labels, 8, 4, 0).epoch(0))
    for label in range(4):
        assert sum(label in label_counts(labels, batch) for batch in batches) == 1


def test_epochs_and_seeds_draw_other_batches_and_nothing_else_does():
    labels = labels_of(*[9] * 9)
    plan, same, other = (LabelBatches(labels, 16, 4, seed) for seed in (1, 1, 2))
    assert list(plan.epoch(5)) == list(plan.epoch(5)) == list(same.epoch(5))
    assert list(plan.epoch(5)) != list(plan.epoch(6))
    assert list(plan.epoch(5)) != list(other.epoch(5))


def test_labels_meet_other_labels_in_other_epochs():
    labels = labels_of(*[4] * 12)
    plan = LabelBatches(labels, 8, 4, 0)
    met = {frozenset(label_counts(labels, batch)) for epoch in range(20) for batch in plan.epoch(epoch)}
    assert len(met) > 40  # of 66 possible, 6 in an epoch


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        (labels_of(), "The 0 training texts have 0 labels"),
        (labels_of(7), "The 7 training texts have 1 labels"),
        (labels_of(1, 1, 1), "The 3 training texts have 3 labels"),
    ],
)
def test_unusable_labels(labels, told):
    with pytest.raises(TrainingError, match=f"{told}.*Bring more texts per label"):
        LabelBatches(labels, 8, 2, 0)

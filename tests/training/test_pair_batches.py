"""Pair batches: never a false negative, every pair an epoch can use, and an end to each."""

import time
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embedtune.errors import TrainingError
from embedtune.training.batches import PairBatches
from embedtune.training.examples import TrainingExamples

Pair = tuple[int, int]


def labelled(labels: list[int]) -> TrainingExamples:
    return TrainingExamples([f"text {position}" for position in range(len(labels))], np.array(labels, np.int64), None)


def judged(pairs: list[Pair]) -> TrainingExamples:
    count = max((max(pair) for pair in pairs), default=-1) + 1
    texts = [f"text {position}" for position in range(count)]
    return TrainingExamples(texts, np.zeros(count, np.int64), np.array(pairs, np.int64).reshape(-1, 2))


def pairs_of(batch: list[int]) -> list[Pair]:
    return list(zip(batch[0::2], batch[1::2], strict=True))


def check_batch(batch: list[int], relevant: set[Pair], batch_size: int) -> None:
    """No positive is relevant to another pair's anchor, and no text is there twice.

    Args:
        batch: Anchors and positives.
        relevant: Ordered pairs of relevant texts, both ways.
        batch_size: Most texts.
    """
    assert 4 <= len(batch) <= batch_size
    assert len(set(batch)) == len(batch)
    assert all(pair in relevant for pair in pairs_of(batch))
    for (anchor, _), (_, positive) in permutations(pairs_of(batch), 2):
        assert (anchor, positive) not in relevant


def check_plan(examples: TrainingExamples, relevant: set[Pair], batch_size: int, seed: int) -> None:
    try:
        plan = PairBatches(examples, batch_size, seed)
    except TrainingError:
        assert not any(apart(first, second, relevant) for first, second in permutations(relevant, 2))
        return
    for epoch in (0, 1, 7):
        batches = list(plan.epoch(epoch))
        assert len(batches) == plan.batches_per_epoch
        for batch in batches:
            check_batch(batch, relevant, batch_size)


def apart(first: Pair, second: Pair, relevant: set[Pair]) -> bool:
    return not set(first) & set(second) and not any((a, b) in relevant for a in first for b in second)


@settings(deadline=None)
@given(
    labels=st.lists(st.integers(0, 6), max_size=40),
    batch_size=st.integers(4, 12),
    seed=st.integers(0, 2**32 - 1),
)
def test_labelled_pairs_hold_no_false_negative(labels, batch_size, seed):
    relevant = {(a, b) for a, b in permutations(range(len(labels)), 2) if labels[a] == labels[b]}
    check_plan(labelled(labels), relevant, batch_size, seed)


@settings(deadline=None)
@given(
    pairs=st.lists(
        st.tuples(st.integers(0, 14), st.integers(0, 14)).filter(lambda pair: pair[0] != pair[1]), unique=True
    ),
    batch_size=st.integers(4, 12),
    seed=st.integers(0, 2**32 - 1),
)
def test_judged_pairs_hold_no_false_negative(pairs, batch_size, seed):
    relevant = {*pairs, *((document, query) for query, document in pairs)}
    check_plan(judged(pairs), relevant, batch_size, seed)


def test_judged_pairs_keep_query_and_document_in_order():
    pairs = [(2 * number, 2 * number + 1) for number in range(20)]
    assert {pair for batch in PairBatches(judged(pairs), 8, 0).epoch(0) for pair in pairs_of(batch)} == set(pairs)


@pytest.mark.parametrize(("labels", "each", "batches"), [(2, 50, 25), (6, 20, 10), (32, 8, 4), (80, 2, 3)])
def test_every_text_is_used_once_each_epoch(labels, each, batches):
    plan = PairBatches(labelled([number % labels for number in range(labels * each)]), 64, 3)
    assert plan.batches_per_epoch == batches
    for epoch in range(3):
        used = sorted(position for batch in plan.epoch(epoch) for position in batch)
        assert used == list(range(labels * each))


def test_the_odd_text_of_a_label_takes_a_partner_again():
    used = [position for batch in PairBatches(labelled([0, 1] * 5), 4, 0).epoch(0) for position in batch]
    assert len(used) == 12
    assert set(used) == set(range(10))


def test_labels_are_paired_anew_each_epoch():
    plan = PairBatches(labelled([0] * 10 + [1] * 10), 4, 0)
    partners = {frozenset(pair) for epoch in range(30) for batch in plan.epoch(epoch) for pair in pairs_of(batch)}
    assert len(partners) > 80  # of 90 possible, 10 in an epoch


def test_batches_are_full_while_there_are_labels_enough():
    labels = [number % 77 for number in range(77 * 20)]
    sizes = [len(batch) for batch in PairBatches(labelled(labels), 64, 0).epoch(0)]
    assert sizes[:22] == [64] * 22
    assert sum(sizes) == len(labels)


def test_a_text_without_partner_is_left_out():
    assert {position for batch in PairBatches(labelled([0, 0, 1, 1, 2]), 8, 0).epoch(0) for position in batch} == {
        0,
        1,
        2,
        3,
    }


def test_epochs_and_seeds_draw_other_batches_and_nothing_else_does():
    examples = labelled([number % 10 for number in range(100)])
    plan, same, other = (PairBatches(examples, 8, seed) for seed in (1, 1, 2))
    assert list(plan.epoch(5)) == list(plan.epoch(5)) == list(same.epoch(5))
    assert list(plan.epoch(5)) != list(plan.epoch(6))
    assert list(plan.epoch(5)) != list(other.epoch(5))


@pytest.mark.parametrize(
    "examples",
    [
        labelled([]),
        labelled([0, 1, 2, 3]),
        labelled([0] * 9),
        labelled([0, 0, 1]),
        judged([]),
        judged([(0, 1)]),
        judged([(0, document) for document in range(1, 50)]),
        judged([(0, 1), (1, 2), (2, 3), (3, 0)]),
    ],
    ids=["nothing", "single texts", "one label", "one pair", "no pairs", "one judged", "one query", "ring"],
)
def test_unusable_texts(examples):
    with pytest.raises(TrainingError, match=f"The {len(examples.texts)} training texts give no two pairs"):
        PairBatches(examples, 8, 0)


class TestGiantComponents:
    """One text in most pairs: what can be used is, and the rest costs no time to speak of."""

    COUNT = 20_000

    def within(self, seconds: float, examples: TrainingExamples) -> PairBatches:
        started = time.process_time()
        plan = PairBatches(examples, 64, 0)
        list(plan.epoch(1))
        assert time.process_time() - started < seconds
        return plan

    def test_a_document_that_answers_everything(self):
        with pytest.raises(TrainingError, match="queries that do not share their documents"):
            self.within(5, judged([(query, 0) for query in range(1, self.COUNT)]))

    def test_a_query_with_half_of_all_documents(self):
        star = [(0, document) for document in range(1, self.COUNT)]
        others = [(self.COUNT + 2 * number, self.COUNT + 2 * number + 1) for number in range(self.COUNT)]
        plan = self.within(10, judged(star + others))
        used = {pair for batch in plan.epoch(0) for pair in pairs_of(batch)}
        assert used >= set(others)

    def test_a_chain_of_everything(self):
        chain = [(text, text + 1) for text in range(self.COUNT)]
        plan = self.within(10, judged(chain))
        used = {pair for batch in plan.epoch(0) for pair in pairs_of(batch)}
        assert len(used) > 0.999 * len(chain)

    def test_a_dominating_label(self):
        labels = [0] * self.COUNT + [1 + number // 2 for number in range(2000)]
        plan = self.within(5, labelled(labels))
        used = {position for batch in plan.epoch(0) for position in batch}
        assert used >= set(range(self.COUNT, len(labels)))

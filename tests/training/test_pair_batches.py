"""Pair batches: never a false negative, every pair an epoch can use, and an end to each."""

import time
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embedtune.errors import TrainingError
from embedtune.models.contents import Contents
from embedtune.training.examples import TrainingSet
from embedtune.training.pair_batches import PairBatches, ScoredBatches

Pair = tuple[int, int]


def numbered(count: int) -> Contents:
    return Contents.of_texts([f"text {position}" for position in range(count)])


def drawn(plan: PairBatches, epoch: int) -> list[list[int]]:
    batches = list(plan.epoch(epoch))
    assert all(batch.shape[1:] == (2,) for batch in batches)
    return [batch.ravel().tolist() for batch in batches]


def labelled(labels: list[int]) -> TrainingSet:
    return TrainingSet(numbered(len(labels)), np.array(labels, np.int64))


def judged(pairs: list[Pair]) -> TrainingSet:
    count = max((max(pair) for pair in pairs), default=-1) + 1
    return TrainingSet(numbered(count), np.zeros(count, np.int64), np.array(pairs, np.int64).reshape(-1, 2))


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


def check_plan(examples: TrainingSet, relevant: set[Pair], batch_size: int, seed: int) -> None:
    try:
        plan = PairBatches(examples, batch_size, seed)
    except TrainingError:
        assert not any(apart(first, second, relevant) for first, second in permutations(relevant, 2))
        return
    for epoch in (0, 1, 7):
        batches = drawn(plan, epoch)
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
    assert {pair for batch in drawn(PairBatches(judged(pairs), 8, 0), 0) for pair in pairs_of(batch)} == set(pairs)


@pytest.mark.parametrize(("labels", "each", "batches"), [(2, 50, 25), (6, 20, 10), (32, 8, 4), (80, 2, 3)])
def test_every_text_is_used_once_each_epoch(labels, each, batches):
    plan = PairBatches(labelled([number % labels for number in range(labels * each)]), 64, 3)
    assert plan.batches_per_epoch == batches
    for epoch in range(3):
        used = sorted(position for batch in drawn(plan, epoch) for position in batch)
        assert used == list(range(labels * each))


def test_the_odd_text_of_a_label_takes_a_partner_again():
    used = [position for batch in drawn(PairBatches(labelled([0, 1] * 5), 4, 0), 0) for position in batch]
    assert len(used) == 12
    assert set(used) == set(range(10))


def test_labels_are_paired_anew_each_epoch():
    plan = PairBatches(labelled([0] * 10 + [1] * 10), 4, 0)
    partners = {frozenset(pair) for epoch in range(30) for batch in drawn(plan, epoch) for pair in pairs_of(batch)}
    assert len(partners) > 80  # of 90 possible, 10 in an epoch


def test_batches_are_full_while_there_are_labels_enough():
    labels = [number % 77 for number in range(77 * 20)]
    sizes = [len(batch) for batch in drawn(PairBatches(labelled(labels), 64, 0), 0)]
    assert sizes[:22] == [64] * 22
    assert sum(sizes) == len(labels)


def test_a_text_without_partner_is_left_out():
    assert {position for batch in drawn(PairBatches(labelled([0, 0, 1, 1, 2]), 8, 0), 0) for position in batch} == {
        0,
        1,
        2,
        3,
    }


def test_epochs_and_seeds_draw_other_batches_and_nothing_else_does():
    examples = labelled([number % 10 for number in range(100)])
    plan, same, other = (PairBatches(examples, 8, seed) for seed in (1, 1, 2))
    assert drawn(plan, 5) == drawn(plan, 5) == drawn(same, 5)
    assert drawn(plan, 5) != drawn(plan, 6)
    assert drawn(plan, 5) != drawn(other, 5)


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
    with pytest.raises(TrainingError, match=f"The {len(examples.contents)} training contents give no two pairs"):
        PairBatches(examples, 8, 0)


class TestGiantComponents:
    """One text in most pairs: what can be used is, and the rest costs no time to speak of."""

    COUNT = 20_000

    def within(self, seconds: float, examples: TrainingSet) -> PairBatches:
        started = time.process_time()
        plan = PairBatches(examples, 64, 0)
        drawn(plan, 1)
        assert time.process_time() - started < seconds
        return plan

    def test_a_document_that_answers_everything(self):
        with pytest.raises(TrainingError, match="queries that do not share their documents"):
            self.within(5, judged([(query, 0) for query in range(1, self.COUNT)]))

    def test_a_query_with_half_of_all_documents(self):
        star = [(0, document) for document in range(1, self.COUNT)]
        others = [(self.COUNT + 2 * number, self.COUNT + 2 * number + 1) for number in range(self.COUNT)]
        plan = self.within(10, judged(star + others))
        used = {pair for batch in drawn(plan, 0) for pair in pairs_of(batch)}
        assert used >= set(others)

    def test_a_chain_of_everything(self):
        chain = [(text, text + 1) for text in range(self.COUNT)]
        plan = self.within(10, judged(chain))
        used = {pair for batch in drawn(plan, 0) for pair in pairs_of(batch)}
        assert len(used) > 0.999 * len(chain)

    def test_a_dominating_label(self):
        labels = [0] * self.COUNT + [1 + number // 2 for number in range(2000)]
        plan = self.within(5, labelled(labels))
        used = {position for batch in drawn(plan, 0) for position in batch}
        assert used >= set(range(self.COUNT, len(labels)))


class TestExplicitWrongAnswers:
    """What was judged not relevant is the third column, another one each epoch."""

    @staticmethod
    def examples(wrong: list[Pair]) -> TrainingSet:
        pairs = [(2 * number, 2 * number + 1) for number in range(12)]
        negatives = np.array(wrong, np.int64).reshape(-1, 2)
        return TrainingSet(numbered(60), np.zeros(60, np.int64), np.array(pairs), negatives=negatives)

    def test_every_wrong_answer_is_used_over_the_epochs(self):
        wrong = [(2 * number, 24 + 3 * number + each) for number in range(12) for each in range(3)]
        plan = PairBatches(self.examples(wrong), 12, 0)
        assert plan.columns == 3
        seen = set()
        for epoch in range(3):
            batches = list(plan.epoch(epoch))
            assert all(batch.shape == (4, 3) for batch in batches)
            rows = [tuple(row) for batch in batches for row in batch.tolist()]
            assert sorted(row[:2] for row in rows) == [(2 * number, 2 * number + 1) for number in range(12)]
            seen |= {(query, answer) for query, _, answer in rows}
        assert seen == set(wrong)
        assert plan.facts().negatives == 7

    def test_queries_without_any_have_batches_of_their_own(self):
        wrong = [(2 * number, 24 + number) for number in range(6)]
        batches = list(PairBatches(self.examples(wrong), 12, 0).epoch(0))
        assert sorted(batch.shape for batch in batches) == [(2, 3), (4, 3), (6, 2)]

    def test_one_query_alone_with_a_wrong_answer_goes_without(self):
        batches = list(PairBatches(self.examples([(0, 30)]), 8, 0).epoch(0))
        assert {batch.shape[1] for batch in batches} == {2}
        assert sorted(int(query) for batch in batches for query in batch[:, 0]) == list(range(0, 24, 2))

    def test_a_wrong_answer_that_is_right_for_another_query_keeps_them_apart(self):
        """The positive of query 2 is the wrong answer of query 0."""
        wrong = [(2 * number, 24 + number) for number in range(1, 12)] + [(0, 3)]
        for seed in range(20):
            for batch in PairBatches(self.examples(wrong), 36, seed).epoch(0):
                assert not {0, 2} <= set(batch[:, 0].tolist())


class TestScoredBatches:
    """Scored pairs, each once an epoch, with its score."""

    @staticmethod
    def examples(scores: list[float]) -> TrainingSet:
        pairs = np.array([(number % 7, 7 + number) for number in range(len(scores))], np.int64).reshape(-1, 2)
        count = 7 + len(scores)
        return TrainingSet(numbered(count), np.zeros(count, np.int64), pairs, scores=np.array(scores, np.float32))

    def test_every_pair_once_with_its_score(self):
        scores = [number / 20 for number in range(20)]
        plan = ScoredBatches(self.examples(scores), 16, 0)
        for epoch in (0, 1):
            batches = list(plan.epoch(epoch))
            assert [len(batch) for batch in batches] == [7, 7, 6]
            rows = {
                tuple(row): float(score)
                for batch in batches
                for row, score in zip(batch, plan.targets(batch), strict=True)
            }
            assert rows == {(number % 7, 7 + number): pytest.approx(score) for number, score in enumerate(scores)}
        assert [batch.tolist() for batch in plan.epoch(0)] != [batch.tolist() for batch in plan.epoch(1)]

    @pytest.mark.parametrize("scores", [[], [0.5], [0.5, 0.5, 0.5]])
    def test_nothing_to_learn(self, scores):
        with pytest.raises(TrainingError, match=f"The {len(scores)} training pairs have no two different scores"):
            ScoredBatches(self.examples(scores), 16, 0)

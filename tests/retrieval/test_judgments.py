import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embedtune.errors import InputError
from embedtune.retrieval.judgments import Judgments

IDS = [f"i{row}" for row in range(8)]


def check_against_dictionary(judgments: Judgments, query_ids: list[str], index_ids: list[str], truth: dict) -> None:
    """Compare all methods with `truth`: (query id, index id) -> gain."""
    expected = np.array([[truth.get((query, document), 0.0) for document in index_ids] for query in query_ids])
    expected = expected.reshape(len(query_ids), len(index_ids))
    everything = np.tile(np.arange(len(index_ids)), (len(query_ids), 1))
    padded = np.concatenate([everything[:, ::-1], np.full((len(query_ids), 2), -1)], axis=1)
    np.testing.assert_array_equal(judgments.gains(padded)[:, :-2], expected[:, ::-1])
    np.testing.assert_array_equal(judgments.gains(padded)[:, -2:], 0)
    np.testing.assert_array_equal(judgments.relevant_counts(), (expected > 0).sum(axis=1))
    ideal = np.zeros((len(query_ids), 3))
    descending = np.sort(expected, axis=1)[:, ::-1][:, :3]
    ideal[:, : descending.shape[1]] = descending
    np.testing.assert_array_equal(judgments.ideal_gains(3), ideal)
    for query in range(len(query_ids)):
        rows, gains = judgments.relevant(query)
        np.testing.assert_array_equal(rows, np.flatnonzero(expected[query]))
        np.testing.assert_array_equal(gains, expected[query][expected[query] > 0])


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_labels_equal_a_dictionary_of_pairs(data: st.DataObject) -> None:
    index_ids = data.draw(st.lists(st.sampled_from(IDS), unique=True))
    query_ids = data.draw(st.lists(st.sampled_from(IDS), unique=True))
    label_of = {one: data.draw(st.sampled_from("xyz")) for one in IDS}
    judgments = Judgments.from_labels(
        [label_of[one] for one in query_ids], query_ids, [label_of[one] for one in index_ids], index_ids
    )
    truth = {
        (query, document): 1.0
        for query in query_ids
        for document in index_ids
        if query != document and label_of[query] == label_of[document]
    }
    check_against_dictionary(judgments, query_ids, index_ids, truth)
    kept = np.arange(len(query_ids))[::2]
    check_against_dictionary(judgments.select(kept), [query_ids[row] for row in kept], index_ids, truth)


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_pairs_equal_a_dictionary(data: st.DataObject) -> None:
    index_ids = data.draw(st.lists(st.sampled_from(IDS), unique=True, min_size=1))
    query_ids = data.draw(st.lists(st.sampled_from(IDS), unique=True, min_size=1))
    pair = st.tuples(st.sampled_from(query_ids), st.sampled_from(index_ids))
    truth = data.draw(st.dictionaries(pair, st.sampled_from([0.0, 0.5, 1.0, 3.0])))
    judgments = Judgments.from_pairs(
        query_ids, index_ids, [one for one, _ in truth], [one for _, one in truth], list(truth.values())
    )
    others = {pair: gain for pair, gain in truth.items() if pair[0] != pair[1] and gain > 0}
    check_against_dictionary(judgments, query_ids, index_ids, others)
    kept = np.arange(len(query_ids))[::-2]
    check_against_dictionary(judgments.select(kept), [query_ids[row] for row in kept], index_ids, others)


def test_labels_hold_one_entry_per_document_however_many_queries() -> None:
    ids = [f"{row:06}" for row in range(20_000)]
    judgments = Judgments.from_labels(["same"] * len(ids), ids, ["same"] * len(ids), ids)
    assert judgments.keys.size == len(ids)
    assert judgments.relevant_counts().tolist() == [len(ids) - 1] * len(ids)


class TestBadInput:
    def test_lengths(self) -> None:
        with pytest.raises(InputError, match="There are 1 query values for 2 query ids"):
            Judgments.from_labels(["x"], ["a", "b"], ["x"], ["c"])
        with pytest.raises(InputError, match="There are 2 index values for 1 index ids"):
            Judgments.from_labels(["x"], ["a"], ["x", "x"], ["c"])
        with pytest.raises(InputError, match="There are 1 pair values for 2 pair ids"):
            Judgments.from_pairs(["a"], ["c", "d"], ["a", "a"], ["c", "d"], [1.0])

    @pytest.mark.parametrize("gain", [-1.0, np.nan, np.inf])
    def test_gain(self, gain: float) -> None:
        with pytest.raises(InputError, match=r"1 of 2 judged pairs have a gain .* 0 or more \(first: "):
            Judgments.from_pairs(["a"], ["c", "d"], ["a", "a"], ["c", "d"], [1.0, gain])

    def test_unknown_ids(self) -> None:
        with pytest.raises(InputError, match=r"1 of 1 judged pairs name an id .* query documents \(first: 'z'\)"):
            Judgments.from_pairs(["a"], ["c"], ["z"], ["c"], [1.0])
        with pytest.raises(InputError, match=r"index documents \(first: 'z'\)"):
            Judgments.from_pairs(["a"], ["c"], ["a"], ["z"], [1.0])

    def test_repeated_pair(self) -> None:
        with pytest.raises(InputError, match="1 of 2 judged pairs repeat"):
            Judgments.from_pairs(["a"], ["c"], ["a", "a"], ["c", "c"], [1.0, 2.0])


def test_reversed_judgments_are_those_of_the_documents() -> None:
    pairs = [("q", "a", 1.0), ("q", "b", 2.0), ("r", "b", 3.0), ("b", "c", 1.0)]
    judgments = Judgments.from_pairs(["q", "r", "b"], ["a", "b", "c"], *zip(*pairs, strict=True))
    back = Judgments.from_pairs(
        ["a", "b", "c"], ["q", "r", "b"], *zip(*((other, one, gain) for one, other, gain in pairs), strict=True)
    )
    found = judgments.reversed()
    for name in ("query_groups", "self_rows", "keys", "key_gains", "index_size"):
        np.testing.assert_array_equal(getattr(found, name), getattr(back, name))

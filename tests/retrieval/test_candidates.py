"""When float32 candidates are certain to hold the best documents, with error bounds set to where they decide."""

import numpy as np
import pytest
from numpy.typing import NDArray

from embedtune.retrieval import candidates
from embedtune.retrieval.candidates import Candidates
from embedtune.retrieval.distances import Space, open_space
from embedtune.retrieval.ranking import rank


def at_cosines(*cosines: float) -> NDArray:
    return np.array([[cosine, np.sqrt(1 - cosine**2)] for cosine in cosines])


def are_enough(monkeypatch: pytest.MonkeyPatch, error: float, count: int, excluded: int = -1) -> bool:
    """Of cosines .9, .5, .4, .3 and .2 the first three are candidates."""
    monkeypatch.setattr(candidates, "_SPARE", 0)
    monkeypatch.setattr(Space, "float32_errors", lambda space: np.full(1, error))
    index = at_cosines(0.2, 0.9, 0.3, 0.5, 0.4)
    found = Candidates(open_space("cosine", at_cosines(1.0), index), index, 3)
    assert sorted(found.rows[0]) == [1, 3, 4]
    return bool(found.are_enough(np.array([excluded]), count)[0])


def test_the_last_one_and_what_is_outside_may_both_be_off(monkeypatch: pytest.MonkeyPatch) -> None:
    assert are_enough(monkeypatch, 0.24, 1)
    assert not are_enough(monkeypatch, 0.26, 1)
    assert are_enough(monkeypatch, 0.04, 2)
    assert not are_enough(monkeypatch, 0.06, 2)
    assert not are_enough(monkeypatch, 1e-7, 3)


def test_the_query_itself_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    assert are_enough(monkeypatch, 0.04, 1, excluded=1)
    assert not are_enough(monkeypatch, 0.06, 1, excluded=1)
    assert not are_enough(monkeypatch, 1e-7, 2, excluded=1)


def test_what_rounds_to_the_same_score_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "_SPARE", 0)
    monkeypatch.setattr(Space, "float32_errors", lambda space: np.full(1, 1e-7))
    index = at_cosines(0.50000045, 0.50000045, 0.4999998, 0.4999996, 0.1)
    result = rank(at_cosines(1.0), ["q"], index, ["b", "c", "d", "a", "e"], 1)
    assert (result.indices.tolist(), result.scores.tolist(), result.tied_at_cut.tolist()) == ([[3]], [[0.5]], [True])


def test_scores_one_unit_apart_may_round_to_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """1.5 and 2.5 both become 2, so of equal ones the lowest id counts, though it was no candidate."""
    monkeypatch.setattr(candidates, "_SPARE", 0)
    monkeypatch.setattr(Space, "float32_errors", lambda space: np.zeros(1))
    index = np.array([[1e6], [2.5], [2.5], [1.5], [1.5]])
    for ids in ("zcdab", "zcdba"):
        result = rank(np.ones((1, 1)), ["q"], index, list(ids), 2, "dot")
        assert result.scores.tolist() == [[1e6, 2.0]]
        assert ids[result.indices[0, 1]] == "a"


def test_documents_of_one_product_do_not_all_become_candidates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "INDEX_BLOCK", 2)
    index = np.ones((60, 2))
    found = Candidates(open_space("cosine", index[:1], index), index, 2)
    assert sorted(found.rows[0]) == list(range(34))
    assert not found.are_enough(np.array([-1]), 1)[0]


@pytest.mark.parametrize("block", [50, 300, 2048])
def test_candidates_have_the_largest_products(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(candidates, "INDEX_BLOCK", block)
    cosines = np.random.default_rng(0).permutation(np.linspace(0.5, 0.5 + 600e-7, 600))
    index = at_cosines(*cosines)
    found = Candidates(open_space("cosine", at_cosines(1.0), index), index, 2)
    outside = np.delete(cosines, found.rows[0])
    assert outside.size == 566
    assert cosines[found.rows[0]].min() > outside.max() - 1.5e-7

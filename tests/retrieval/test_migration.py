"""What the tuned model's queries find in the champion's index, as it is and through a map that was learned."""

import dataclasses

import numpy as np
import pytest

from embedtune.retrieval.cost import Migration
from embedtune.retrieval.evaluation_set import EvaluationSet, Vectors
from embedtune.retrieval.judgments import Judgments
from embedtune.retrieval.migration import learn_map, measure_agreement
from embedtune.retrieval.vectors import unit_rows

LABELS, QUERIES, DOCUMENTS, COMPONENTS = 7, 35, 140, 12


def noise(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


def rotation(size: int, seed: int = 5) -> np.ndarray:
    return np.linalg.qr(noise(seed, size, size))[0]


def evaluation_set(labels: int = LABELS) -> EvaluationSet:
    """Labelled texts; the first five queries are documents too."""
    index_ids = [f"{row:03}" for row in range(DOCUMENTS)]
    query_ids = [index_ids[row] if row < 5 else f"q{row}" for row in range(QUERIES)]
    query_labels, index_labels = ([f"label {row % labels}" for row in range(n)] for n in (QUERIES, DOCUMENTS))
    judgments = Judgments.from_labels(query_labels, query_ids, index_labels, index_ids)
    return EvaluationSet(query_ids, query_ids, query_labels, index_ids, index_ids, judgments)


def tuned() -> Vectors:
    queries, index = noise(1, QUERIES, COMPONENTS), noise(2, DOCUMENTS, COMPONENTS)
    for vectors in (queries, index):
        vectors[np.arange(len(vectors)), np.arange(len(vectors)) % LABELS] += 4
    return Vectors(queries, index)


def turned(by: np.ndarray, distance: str = "cosine") -> Vectors:
    return Vectors(tuned().queries @ by, tuned().index @ by, distance)


class TestMap:
    @pytest.mark.parametrize("distance", ["cosine", "dot", "euclidean"])
    def test_is_the_rotation_between_two_models(self, distance: str) -> None:
        new, by = noise(1, 40, 6), rotation(6)
        found = learn_map(new, new @ by, distance)
        assert found.dtype == np.float32
        assert np.allclose(found, by, atol=1e-6)
        assert np.allclose(learn_map(new.astype(np.float16), (new @ by).astype(np.float16), distance), by, atol=1e-2)

    def test_of_the_cosine_counts_long_vectors_no_more_than_short_ones(self) -> None:
        new, old, lengths = noise(1, 40, 6), noise(2, 40, 6), np.arange(1, 41)[:, np.newaxis]
        assert np.allclose(learn_map(new * lengths, old * lengths, "cosine"), learn_map(new, old, "cosine"), atol=1e-6)
        assert not np.allclose(learn_map(new * lengths, old, "dot"), learn_map(new, old, "dot"), atol=1e-2)

    def test_into_more_components_keeps_lengths_and_brings_back_what_there_was(self) -> None:
        new, up = noise(1, 40, 4), rotation(7)[:4]
        found = learn_map(new, new @ up, "dot")
        assert found.shape == (4, 7)
        assert np.allclose(found @ found.T, np.eye(4), atol=1e-6)
        assert np.allclose(found, up, atol=1e-6)

    def test_into_fewer_components_has_orthonormal_columns(self) -> None:
        old = noise(1, 40, 4)
        found = learn_map(old @ rotation(7)[:4], old, "dot")
        assert found.shape == (7, 4)
        assert np.allclose(found.T @ found, np.eye(4), atol=1e-6)
        assert np.allclose(found, rotation(7)[:4].T, atol=1e-6)

    def test_brings_nothing_nearer_that_is_orthogonal_too(self) -> None:
        new, old = noise(1, 40, 6), noise(2, 40, 6)
        best = np.linalg.norm(new @ learn_map(new, old, "dot") - old)
        assert all(best < np.linalg.norm(new @ rotation(6, seed) - old) for seed in range(200))

    @pytest.mark.parametrize("rank", [1, 3])
    def test_of_few_documents_is_orthogonal_and_right_for_these(self, rank: int) -> None:
        new, by = noise(1, rank, 6), rotation(6)
        found = learn_map(new, new @ by, "cosine")
        assert np.allclose(found @ found.T, np.eye(6), atol=1e-6)
        assert np.allclose(unit_rows(new) @ found, unit_rows(new) @ by, atol=1e-6)

    def test_of_vectors_of_zeros_is_orthogonal(self) -> None:
        found = learn_map(np.zeros((3, 4)), np.zeros((3, 4)), "cosine")
        assert np.allclose(found @ found.T, np.eye(4), atol=1e-6)


class TestAgreement:
    @pytest.mark.parametrize("distance", ["cosine", "dot", "euclidean"])
    def test_with_a_rotated_model_is_as_good_as_the_tuned_one_through_the_map(self, distance: str) -> None:
        own = dataclasses.replace(tuned(), distance=distance)
        found = measure_agreement(evaluation_set(), own, turned(rotation(COMPONENTS), distance), 10)
        assert found is not None
        assert found.as_it_is is not None
        assert (found.metric, found.written, found.queries) == ("recall_at_10", "recall@10", QUERIES)
        assert found.mapped == found.tuned == found.champion > 0.3
        assert found.as_it_is < 0.1

    def test_is_what_five_folds_of_labels_give_one_query_after_the_other(self) -> None:
        rows = np.array([row for row in range(QUERIES) if row % LABELS != 2])
        own, champion = tuned(), turned(rotation(COMPONENTS) + noise(4, COMPONENTS, COMPONENTS) / 2, "dot")
        folds = {0: (0, 6), 1: (1,), 3: (3,), 4: (4,), 5: (5,), 6: (0, 6)}  # of the labels that are there, by number
        labels = np.arange(DOCUMENTS) % LABELS
        recalls = []
        for row in rows.tolist():
            others = ~np.isin(labels, folds[row % LABELS])
            by = learn_map(own.index[others], champion.index[others], "dot")
            found = [each for each in np.argsort(-champion.index @ (own.queries[row] @ by)) if each != row or row >= 5]
            hits = (labels[found[:10]] == row % LABELS).sum()
            recalls.append(hits / (DOCUMENTS // LABELS - (row < 5)))
        agreement = measure_agreement(evaluation_set().select(rows), own.of(rows), champion.of(rows), 10)
        assert agreement is not None
        assert agreement.mapped == pytest.approx(np.mean(recalls))
        assert agreement.mapped not in (agreement.champion, agreement.tuned, agreement.as_it_is)

    def test_with_the_same_model_needs_no_map(self) -> None:
        found = measure_agreement(evaluation_set(), tuned(), tuned(), 3)
        assert found is not None
        assert found.metric == "recall_at_3"
        assert found.as_it_is == found.mapped == found.tuned == found.champion

    def test_with_a_model_that_has_nothing_in_common_is_not_found_by_a_map(self) -> None:
        strange = Vectors(noise(8, QUERIES, COMPONENTS), noise(9, DOCUMENTS, COMPONENTS))
        found = measure_agreement(evaluation_set(), tuned(), strange, 10)
        assert found is not None
        assert found.mapped < 0.1 < 0.3 < found.tuned

    @pytest.mark.parametrize("components", [LABELS, 20])
    def test_with_another_dimension_needs_a_map(self, components: int) -> None:
        by = rotation(max(components, COMPONENTS))[:COMPONENTS, :components]
        found = measure_agreement(evaluation_set(), tuned(), turned(by), 10)
        assert found is not None
        assert found.as_it_is is None
        assert found.mapped == (found.tuned if components == 20 else pytest.approx(found.champion, abs=0.1))

    def test_learns_nothing_from_what_a_query_is_to_find(self) -> None:
        one, own = np.array([0]), tuned()
        index = own.index.copy()
        index[np.arange(DOCUMENTS) % LABELS == 0] = noise(3, DOCUMENTS // LABELS, COMPONENTS)
        data, champion = evaluation_set().select(one), turned(rotation(COMPONENTS) + noise(4, COMPONENTS, COMPONENTS))
        before = measure_agreement(data, own.of(one), champion.of(one), 10)
        after = measure_agreement(data, Vectors(own.queries, index).of(one), champion.of(one), 10)
        assert before is not None
        assert after is not None
        assert after == dataclasses.replace(before, tuned=after.tuned)
        assert after.tuned < before.tuned

    def test_is_unknown_where_nothing_is_left_to_learn_from(self) -> None:
        assert measure_agreement(evaluation_set(labels=1), tuned(), tuned(), 10) is None
        no_queries = evaluation_set().select(np.array([], np.int64))
        assert measure_agreement(no_queries, tuned().of(np.array([], np.int64)), tuned(), 10) is None


def test_documents_that_a_query_touches_are_those_that_are_relevant_to_it_and_itself() -> None:
    judgments = Judgments.from_pairs(["a", "q"], ["a", "x", "y", "z"], ["a", "q", "q"], ["x", "y", "z"], [1, 2, 0])
    assert judgments.touched_by(np.array([True, False])).tolist() == [True, True, False, False]
    assert judgments.touched_by(np.array([False, True])).tolist() == [False, False, True, False]
    assert judgments.touched_by(np.array([False, False])).tolist() == [False] * 4


def test_hours_and_bytes_are_those_of_all_documents() -> None:
    cost = Migration(documents=7_200_000, is_known=True, per_second=500.0, device="CPU", dimension=384)
    assert cost.hours == 4.0
    assert cost.index_bytes == 11_059_200_000

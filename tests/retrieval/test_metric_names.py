"""Keys of metrics: a name and a cutoff."""

import re

import pytest
from mlflow.utils.validation import _validate_metric_name

from embedtune.errors import ConfigError
from embedtune.retrieval.metric_names import (
    CORRELATION_NAMES,
    METRIC_NAMES,
    NAMES,
    Metric,
    meaning_of,
    parse_metric,
    written_name,
)


def test_a_key_is_read_and_written() -> None:
    assert parse_metric("ndcg_at_5") == Metric("ndcg", 5)
    assert (Metric("ndcg", 5).key, Metric("ndcg", 5).written) == ("ndcg_at_5", "nDCG@5")
    for name in NAMES:
        for k in (1, 10, 1000):
            assert parse_metric(Metric(name, k).key) == Metric(name, k)
            _validate_metric_name(Metric(name, k).key)


def test_what_is_measured_unless_told_otherwise() -> None:
    assert METRIC_NAMES == {
        "ndcg_at_10": "nDCG@10",
        "mrr_at_10": "MRR@10",
        "map_at_10": "MAP@10",
        "recall_at_10": "recall@10",
        "precision_at_10": "precision@10",
        "hit_at_10": "hit@10",
    }


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("nDCG@20", "ndcg_at_20"),
        ("ndcg_cut_20", "ndcg_at_20"),
        ("ndgc_at_5", "ndcg_at_5"),
        ("recall_3", "recall_at_3"),
        ("ndcg", "ndcg_at_10"),
        ("ndcg_at_0", "ndcg_at_1"),
        ("ndcg_at_05", "ndcg_at_5"),
        ("map_at_1001", "map_at_1000"),
        (f"map_at_{'9' * 5000}", "map_at_1000"),
        ("MAP_at_7", "map_at_7"),
        ("ndcg_at_10\n", "ndcg_at_10"),
        ("ndcg_at_٣", "ndcg_at_3"),
    ],
)
def test_the_nearest_is_named(key: str, meant: str) -> None:
    with pytest.raises(ConfigError, match=f"Perhaps '{meant}' is meant"):
        parse_metric(key)


@pytest.mark.parametrize("key", ["", "_at_10", "10", "accuracy_at_10", "spearman", "\n\n"])
def test_a_name_like_no_other_gets_the_list(key: str) -> None:
    expected = (
        f"metric is {key!r}; accepted: a name and a number of ranks from 1 to 1000, such as ndcg_at_10, with one "
    )
    with pytest.raises(ConfigError, match=f"{re.escape(expected)}of the names ndcg, mrr, .*[.]$"):
        parse_metric(key)


def test_people_read_names_and_meanings_of_any_cutoff() -> None:
    assert written_name("recall_at_100") == "recall@100"
    assert "among the first 100. Below 1 even for a perfect order where a query has more than 100." in meaning_of(
        "recall_at_100"
    )
    assert meaning_of("hit_at_1") == "Share of the queries with at least one relevant document in first place."
    for name in NAMES:
        assert "{" not in meaning_of(f"{name}_at_7")


def test_correlations_and_what_another_version_measured() -> None:
    assert written_name("spearman") == CORRELATION_NAMES["spearman"] == "Spearman's correlation"
    assert (written_name("gain_at_10"), written_name("bpref")) == ("gain_at_10", "bpref")
    assert (meaning_of("pearson"), meaning_of("gain_at_10"), meaning_of("bpref")) == ("", "", "")

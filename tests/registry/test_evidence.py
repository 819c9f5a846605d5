"""What a version's tags say of it decides whether it may replace a champion."""

import dataclasses
import math

import pytest

from embedtune.registry.champion import Champion
from embedtune.registry.evidence import COST_TAGS, Evidence, cost_tags, evidence_tags, may_replace, read_evidence
from embedtune.retrieval.comparison import ROUNDING
from tests.comparisons import COST
from tests.registry.conftest import comparison

DIGEST = comparison(0.1, True).evaluation_digest
CHAMPION = Evidence(3, "ndcg_at_10", 0.6, "10", DIGEST, True, "", None, 0.0)
NEW = Evidence(5, "ndcg_at_10", 0.7, "10", DIGEST, True, "nDCG@10 rose enough.", None, 0.0)


def judged(new=None, champion=CHAMPION, **changes):
    verdict = may_replace(dataclasses.replace(NEW if new is None else new, **changes), champion, "shop")
    return verdict.replaces, verdict.reason


def test_without_a_champion_its_own_evaluation_decides():
    assert judged(champion=None) == (True, "nDCG@10 rose enough.")
    assert judged(champion=None, passed=False) == (False, "nDCG@10 rose enough.")


def test_what_is_not_better_than_what_it_was_compared_with_replaces_nobody():
    assert judged(passed=False, champion=dataclasses.replace(CHAMPION, value=0.1)) == (
        False,
        "nDCG@10 rose enough. shop version 3 stays champion.",
    )


def test_the_champion_that_it_was_compared_with_is_replaced_whatever_the_stored_numbers_are():
    verdict = may_replace(dataclasses.replace(NEW, champion=3), dataclasses.replace(CHAMPION, value=0.9), "shop")
    assert (verdict.replaces, verdict.reason) == (
        True,
        "nDCG@10 rose enough. It replaces version 3, with which it was compared.",
    )


@pytest.mark.parametrize(
    ("value", "replaces", "reason"),
    [
        (0.7, True, "on the same held-out data its nDCG@10 was 0.6000, and is 0.7000 now."),
        (0.6 + 1e-6, True, "on the same held-out data its nDCG@10 was 0.600000, and is 0.600001 now."),
        (0.6 + 1e-12, False, "on the same held-out data its nDCG@10 is 0.6000, and so is the new version's."),
        (0.6, False, "on the same held-out data its nDCG@10 is 0.6000, and so is the new version's."),
        (0.6 - 1e-12, False, "on the same held-out data its nDCG@10 is 0.6000, and so is the new version's."),
        (0.6 - 1e-6, False, "on the same held-out data its nDCG@10 is 0.600000, the new version's only 0.599999."),
        (0.55, False, "on the same held-out data its nDCG@10 is 0.6000, the new version's only 0.5500."),
    ],
)
def test_a_champion_since_is_compared_by_the_stored_mean_over_the_same_data(value, replaces, reason):
    found = judged(value=value)
    assert found[0] is replaces
    assert found[1].endswith(reason)


@pytest.mark.parametrize(
    ("min_gain", "replaces"), [(0.05, True), (0.1, True), (0.1 + 1e-12, True), (0.1 + 1e-6, False), (0.2, False)]
)
def test_the_gain_that_was_asked_for_is_asked_for_over_the_champion_too(min_gain, replaces):
    found = judged(min_gain=min_gain)
    assert found[0] is replaces
    if not replaces:
        assert found[1] == (
            "shop version 3 stays champion: on the same held-out data its nDCG@10 is 0.6000, the new version's 0.7000, "
            f"and a gain of {min_gain:.4f} was asked for."
        )


def test_at_the_edges_of_rounding():
    of_nothing = dataclasses.replace(CHAMPION, value=0.0)
    for value in (ROUNDING, -ROUNDING):
        replaces, reason = judged(champion=of_nothing, value=value)
        assert not replaces
        assert reason.endswith("and so is the new version's.")
    assert judged(value=0.6 + 2e-9)[1].endswith("nDCG@10 was 0.600000000, and is 0.600000002 now.")
    assert judged(champion=of_nothing, value=0.1 - ROUNDING, min_gain=0.1)[0]


@pytest.mark.parametrize(
    ("new", "champion", "reason"),
    [
        ({}, {"digest": ""}, "its tags do not say how good it was on which held-out data"),
        ({}, {"value": None}, "its tags do not say how good it was on which held-out data"),
        ({}, {"metric": ""}, "its tags do not say how good it was on which held-out data"),
        ({"digest": ""}, {}, "the new comparison does not say on which held-out data it was made"),
        ({"value": None}, {}, "the new comparison does not say on which held-out data it was made"),
        (
            {},
            {"digest": "sha256:" + "0" * 64},
            "it was judged on other held-out data (10 queries, sha256:000000000000) than the new version (10 queries, "
            "sha256:e1e1e1e1e1e1)",
        ),
        ({}, {"metric": "mrr_at_10"}, "it was judged by MRR@10, the new version by nDCG@10"),
        ({}, {"metric": "of_later"}, "it was judged by of_later, the new version by nDCG@10"),
        (
            {"champion": 2},
            {"metric": "mrr_at_10"},
            "it became champion after the evaluation had compared with 2, and it was judged by MRR@10, the new version "
            "by nDCG@10",
        ),
    ],
)
def test_what_does_not_compare_stays_and_says_what_to_do(new, champion, reason):
    verdict = may_replace(dataclasses.replace(NEW, **new), dataclasses.replace(CHAMPION, **champion), "the shop")
    assert (verdict.replaces, verdict.reason) == (
        False,
        f"the shop version 3 stays champion: {reason}. nDCG@10 rose enough. Version 5 is registered and not promoted. "
        "Run the pipeline again: it compares with the champion of that moment. Or make it champion on your own word: "
        "embedtune promote 'the shop' 5",
    )


def test_tags_hold_the_evidence_at_full_precision():
    found = read_evidence(4, evidence_tags(comparison(0.1 + 1e-15, True)))
    assert found == Evidence(
        4, "ndcg_at_10", 0.5 + (0.1 + 1e-15), "10", DIGEST, True, "nDCG@10 rose enough.", None, 0.0
    )
    assert found.as_champion() == Champion(4, "ndcg_at_10", 0.5 + (0.1 + 1e-15), "10", DIGEST)
    assert not read_evidence(4, evidence_tags(comparison(0.1, False))).passed


def test_tags_name_the_champion_that_was_compared_with():
    judged = comparison(0.1, True)
    of_eight = dataclasses.replace(judged, decision=dataclasses.replace(judged.decision, champion_version="8"))
    for each, tag, champion in ((judged, "none", None), (of_eight, "8", 8)):
        tags = evidence_tags(each)
        assert (tags["evaluation_champion"], read_evidence(9, tags).champion) == (tag, champion)


def test_what_a_later_version_asked_for_is_read():
    tags = {**evidence_tags(comparison(0.1, True)), "evaluation_champion": "12", "evaluation_min_gain": "0.25"}
    found = read_evidence(13, tags)
    assert (found.champion, found.min_gain) == (12, 0.25)


@pytest.mark.parametrize("value", ["", "good", "nan", "inf"])
def test_a_value_that_is_no_number_counts_as_not_told(value):
    assert read_evidence(1, {"evaluation_value": value}).value is None


def test_a_version_without_such_tags_promotes_nothing():
    found = read_evidence(1, {})
    assert found == Evidence(1, "", None, "", "", False, "Its tags do not say how its evaluation ended.", None, 0.0)
    assert not math.isnan(found.min_gain)
    assert found.as_champion().told() == "version 1 (its tags do not say how good it is)"


def test_tags_say_what_a_promotion_costs_where_a_champion_was_scored():
    scored = dataclasses.replace(comparison(0.1, True), migration=COST)
    assert cost_tags(comparison(0.1, True)) == {}
    assert tuple(cost_tags(scored)) == COST_TAGS
    assert cost_tags(scored) == {
        "promotion_documents": "1800000",
        "promotion_hours": "2",
        "promotion_index_bytes": "2764800000",
        "promotion_agreement": "recall_at_10 0.5875 of 0.7200",
    }
    less = dataclasses.replace(scored, migration=dataclasses.replace(COST, is_known=False, agreement=None))
    assert cost_tags(less)["promotion_documents"] == "at least 1800000"
    assert cost_tags(less)["promotion_agreement"] == "none"

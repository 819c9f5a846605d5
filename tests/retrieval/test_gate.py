"""The gate says everything that is against a promotion, and nothing that is not."""

import dataclasses
import itertools

import numpy as np
import pytest

from benchmarks.gate_simulation import CHAMPION_CASES, held_shares, promoted_share
from embedtune.errors import ConfigError
from embedtune.retrieval.bootstrap import mean_intervals
from embedtune.retrieval.comparison import COLLAPSE_COSINE, MIN_QUERIES, ROUNDING, Decision, Probe
from embedtune.retrieval.gate import Asked, Evidence, Incumbent, decide, judge_probe, with_probe
from embedtune.retrieval.sides import Difference


def found(
    value: float, lower: float, upper: float, units: int = 100, metric: str = "ndcg_at_10", against: str = "base"
) -> Difference:
    return Difference(metric, "tuned", against, 0.5 + value, 0.5, value, lower, upper, units)


BETTER = found(0.05, 0.02, 0.08)


def judge(
    over_base: Difference = BETTER,
    min_gain: float = 0.01,
    min_lower_bound: float = 0.0,
    over_champion: Difference | None = None,
    obstacle: str = "",
    cosines: tuple[float, float] = (0.2, 0.2),
) -> Decision:
    version = "" if over_champion is None and not obstacle else "3"
    evidence = Evidence(over_base, over_champion, *cosines, Incumbent(version, obstacle))
    return decide(evidence, Asked("ndcg_at_10", min_gain, min_lower_bound))


@pytest.mark.parametrize(
    ("judged", "min_gain", "better", "reason"),
    [
        (
            BETTER,
            0.01,
            True,
            "The tuned model is better: nDCG@10 rose from 0.5000 to 0.5500 (+0.0500, 95% interval +0.0200 to +0.0800), "
            "and +0.0100 was asked for.",
        ),
        (
            found(0.25, 0.125, 0.375),
            0.0,
            True,
            "The tuned model is better: nDCG@10 rose from 0.5000 to 0.7500 (+0.2500, 95% interval +0.1250 to +0.3750).",
        ),
        (
            found(0.05, 0.04, 0.06),
            0.1,
            False,
            "nDCG@10 rose from 0.5000 to 0.5500 (+0.0500, 95% interval +0.0400 to +0.0600), "
            "which is less than the +0.1000 asked for.",
        ),
        (
            found(0.05, -0.01, 0.11, metric="mrr_at_10"),
            0.0,
            False,
            "MRR@10 rose from 0.5000 to 0.5500 (+0.0500, 95% interval -0.0100 to +0.1100), "
            "but the interval includes zero, so the gain may be chance.",
        ),
        (
            found(-0.05, -0.08, -0.02),
            0.0,
            False,
            "The tuned model is worse: nDCG@10 fell from 0.5000 to 0.4500 (-0.0500, 95% interval -0.0800 to -0.0200).",
        ),
        (
            found(0.0, 0.0, 0.0),
            0.0,
            False,
            "The tuned model is no better: nDCG@10 stayed at 0.5000 (95% interval +0.0000 to +0.0000).",
        ),
    ],
)
def test_each_case_has_its_sentence(judged: Difference, min_gain: float, better: bool, reason: str) -> None:
    decision = judge(judged, min_gain)
    assert (decision.better, decision.better_than_base, decision.reason) == (better, better, reason)
    assert decision.reasons == (() if better else (reason,))
    assert (decision.metric, decision.min_gain, decision.champion_version) == (judged.metric, min_gain, "")


def test_a_champion_that_nobody_compared_with_stays() -> None:
    decision = decide(Evidence(BETTER, None, 0.2, 0.2, Incumbent("3")), Asked("ndcg_at_10", 0.01))
    assert (decision.better, decision.better_than_base, decision.champion_version) == (False, True, "3")
    assert decision.reasons == ("The champion, version 3, could not be scored, so nothing replaces it.",)


def test_what_is_settled() -> None:
    assert (MIN_QUERIES, ROUNDING, COLLAPSE_COSINE) == (20, 1e-9, 0.99)
    assert Decision(True, "", "ndcg_at_10", 0.0).min_lower_bound == 0.0
    assert Probe("ndcg_at_10", 0.05).left_out == 0


class TestBounds:
    """What decides is inclusive for the gain and exclusive for the interval."""

    def test_the_gain(self) -> None:
        assert judge(min_gain=BETTER.value).better
        assert judge(found(0.3 - 0.25, 0.02, 0.08), 0.05).better  # 0.04999999999999999
        assert judge(found(0.05 - ROUNDING / 2, 0.02, 0.08), 0.05).better
        assert judge(found(0.05 - ROUNDING, 0.02, 0.08), 0.05).better
        assert not judge(found(0.05 - 2 * ROUNDING, 0.02, 0.08), 0.05).better

    def test_the_interval(self) -> None:
        assert judge(found(0.05, 1e-12, 0.1), 0.0).better
        assert not judge(found(0.05, 0.0, 0.1), 0.0).better
        assert Asked("ndcg_at_10", 0.01) == Asked("ndcg_at_10", 0.01, 0.0)
        assert judge(min_lower_bound=0.0199).better
        refused = judge(min_lower_bound=0.02)
        assert (refused.better, refused.min_lower_bound) == (False, 0.02)
        assert refused.reason == (
            "nDCG@10 rose from 0.5000 to 0.5500 (+0.0500, 95% interval +0.0200 to +0.0800); the interval was asked to "
            "lie above +0.0200."
        )
        assert not judge(found(0.05, 1e-12, 0.1), min_lower_bound=2e-12).better
        assert judge(found(0.05, -1e-12, 0.1)).reason.endswith("the interval includes zero, so the gain may be chance.")

    def test_what_may_be_asked_for(self) -> None:
        for bound in (0.0, 1.0):
            assert Asked("ndcg_at_10", bound, bound).min_gain == bound
        for bound in (-1e-12, 1.0 + 1e-12):
            for bounds in ((bound, 0.0), (0.0, bound)):
                with pytest.raises(ConfigError, match=r"lies in 0\.\.1"):
                    Asked("ndcg_at_10", *bounds)
        assert judge(min_gain=0.0001).reason.endswith(", and +0.0001 was asked for.")

    def test_what_differs_by_rounding_is_equal(self) -> None:
        for value in (ROUNDING, ROUNDING / 2, -ROUNDING / 2, -ROUNDING):
            assert judge(found(value, 1e-12, 1e-8), 0.0).reason.startswith("The tuned model is no better: nDCG@10 stay")
        assert judge(found(2 * ROUNDING, 1e-12, 1e-8), 0.0).better
        assert judge(found(1.1e-9, 1e-12, 1e-8), 0.0).better
        assert not judge(found(0.9e-9, 1e-12, 1e-8), 0.0).better
        assert judge(found(-2 * ROUNDING, -1e-8, 1e-8), 0.0).reason.startswith("The tuned model is worse: ")

    def test_the_number_of_queries(self) -> None:
        assert judge(dataclasses.replace(BETTER, units=20)).better
        refused = judge(dataclasses.replace(BETTER, units=19))
        assert not refused.better
        assert refused.reason == (
            "nDCG@10 rose from 0.5000 to 0.5500 (+0.0500, 95% interval +0.0200 to +0.0800), but over only 19 queries; "
            "at least 20 are needed to tell a gain from chance. Hold out more (eval_share) or bring more data."
        )
        worse = judge(found(-0.05, -0.08, -0.02, units=19)).reasons
        assert worse[1].startswith("Only 19 queries compare it with the base; at least 20 are needed")
        assert len(judge(found(-0.05, -0.08, -0.02, units=20)).reasons) == 1

    @pytest.mark.parametrize("name", ["value", "lower"])
    def test_what_is_no_number_earns_nothing(self, name: str) -> None:
        assert not judge(dataclasses.replace(BETTER, **{name: float("nan")}), 0.0).better

    @pytest.mark.parametrize("bound", [-0.01, 1.01, float("nan")])
    def test_impossible_ones(self, bound: float) -> None:
        with pytest.raises(ConfigError, match=r"min_gain is .* lies in 0\.\.1"):
            Asked("ndcg_at_10", bound)
        with pytest.raises(ConfigError, match=r"min_lower_bound is .* lies in 0\.\.1"):
            Asked("ndcg_at_10", 0.0, bound)

    def test_the_ends_of_what_is_possible(self) -> None:
        assert Asked("ndcg_at_10", 0.0, 1.0) != Asked("ndcg_at_10", 1.0, 0.0)

    def test_unknown_metric(self) -> None:
        with pytest.raises(ConfigError, match="metric is 'ndcg@10'; accepted: "):
            Asked("ndcg@10", 0.0)


def test_all_reasons_are_told_and_the_numbers_once() -> None:
    assert judge(found(0.05, -0.01, 0.11, units=5), 0.1, 0.02).reasons == (
        "nDCG@10 rose from 0.5000 to 0.5500 (+0.0500, 95% interval -0.0100 to +0.1100), but over only 5 queries; at "
        "least 20 are needed to tell a gain from chance. Hold out more (eval_share) or bring more data.",
        "The interval includes zero, so the gain may be chance.",
        "The gain is less than the +0.1000 asked for.",
    )
    assert judge(found(0.05, 0.01, 0.09), 0.1, 0.02).reasons[1:] == ("The interval was asked to lie above +0.0200.",)


class TestCollapse:
    def test_at_the_bound_it_is_none(self) -> None:
        assert judge(cosines=(0.5, 0.99)).better

    def test_above_it_nothing_is_promoted(self) -> None:
        refused = judge(cosines=(0.5, 0.99123))
        assert (refused.better, refused.better_than_base) == (False, False)
        assert refused.reason == (
            "The tuned model has collapsed: two index documents have a cosine of 0.9912 on average (base model 0.5000)"
            ", above the 0.99 that is accepted, so it hardly tells documents apart."
        )

    def test_training_is_blamed_for_what_the_base_model_does_not_do(self) -> None:
        assert judge(cosines=(0.99, 0.9999)).reason.startswith("The tuned model has collapsed")
        assert judge(cosines=(1.0, 0.9999)).reason == (
            "Neither model tells the index documents apart: two of them have a cosine of 0.9999 on average, and 1.0000 "
            "with the base model, so training did not cause it. Look at what is read of the texts."
        )

    def test_what_the_metric_says_is_told_as_well(self) -> None:
        first, second = judge(found(-0.05, -0.08, -0.02), cosines=(0.5, 0.999)).reasons
        assert first.startswith("The tuned model has collapsed")
        assert second.startswith("The tuned model is worse")


class TestChampion:
    def test_better_than_both(self) -> None:
        decision = judge(over_champion=found(0.03, 0.01, 0.05, against="champion"))
        assert (decision.better, decision.better_than_base, decision.reasons) == (True, True, ())
        assert decision.champion_version == "3"
        assert decision.reason == (
            "The tuned model is better than the base: nDCG@10 rose from 0.5000 to 0.5500 (+0.0500, 95% interval "
            "+0.0200 to +0.0800), and +0.0100 was asked for. Compared with the champion, version 3, it rose from "
            "0.5000 to 0.5300 (+0.0300, 95% interval +0.0100 to +0.0500)."
        )
        fewer = judge(over_champion=found(0.03, 0.01, 0.05, units=99, against="champion"))
        assert fewer.reason.endswith("+0.0500) over the 99 queries that are new to it.")

    @pytest.mark.parametrize(
        ("over_champion", "reason"),
        [
            (
                found(-0.15, -0.2, -0.1),
                "Compared with the champion, version 3, the tuned model is worse: nDCG@10 fell from 0.5000 to 0.3500 "
                "(-0.1500, 95% interval -0.2000 to -0.1000).",
            ),
            (
                found(0.0, 0.0, 0.0),
                "Compared with the champion, version 3, the tuned model is no better: nDCG@10 stayed at 0.5000 (95% "
                "interval +0.0000 to +0.0000).",
            ),
            (
                found(0.03, 0.0, 0.06),
                "Compared with the champion, version 3, nDCG@10 rose from 0.5000 to 0.5300 (+0.0300, 95% interval "
                "+0.0000 to +0.0600), but the interval begins at zero, so the gain may be chance.",
            ),
            (
                found(0.0075, 0.005, 0.01),
                "Compared with the champion, version 3, nDCG@10 rose from 0.5000 to 0.5075 (+0.0075, 95% interval "
                "+0.0050 to +0.0100), which is less than the +0.0100 asked for.",
            ),
            (
                found(0.03, 0.01, 0.05, units=19),
                "Compared with the champion, version 3, nDCG@10 rose from 0.5000 to 0.5300 (+0.0300, 95% interval "
                "+0.0100 to +0.0500), but over only 19 queries; at least 20 are needed to tell a gain from chance. "
                "Hold out more (eval_share) or bring more data.",
            ),
        ],
    )
    def test_not_better_than_the_champion(self, over_champion: Difference, reason: str) -> None:
        decision = judge(over_champion=over_champion)
        assert (decision.better, decision.better_than_base, decision.reasons) == (False, True, (reason,))
        assert decision.reason == (
            "The tuned model is better than the base: nDCG@10 rose from 0.5000 to 0.5500 (+0.0500, 95% interval "
            f"+0.0200 to +0.0800), and +0.0100 was asked for. {reason}"
        )

    def test_better_than_the_champion_alone(self) -> None:
        decision = judge(found(-0.05, -0.08, -0.02), over_champion=found(0.03, 0.01, 0.05))
        assert (decision.better, decision.better_than_base) == (False, False)
        assert [reason[:24] for reason in decision.reasons] == ["The tuned model is worse"]

    def test_worse_than_both(self) -> None:
        worse = found(-0.05, -0.08, -0.02)
        first, second = judge(worse, over_champion=worse).reasons
        assert first.startswith("The tuned model is worse: ")
        assert second.startswith("Compared with the champion, version 3, the tuned model is worse: ")

    def test_one_that_could_not_be_scored_is_not_replaced(self) -> None:
        decision = judge(obstacle="Its files are gone.")
        assert (decision.better, decision.better_than_base, decision.champion_version) == (False, True, "3")
        assert decision.reasons == (
            "The champion, version 3, could not be scored, so nothing replaces it: Its files are gone.",
        )
        assert decision.reason.startswith("The tuned model is better than the base: ")

    def test_an_obstacle_counts_more_than_a_number(self) -> None:
        assert not judge(over_champion=found(0.03, 0.01, 0.05), obstacle="It reads images.").better


@pytest.mark.parametrize("faults", itertools.product([False, True], repeat=4))
def test_better_is_what_nothing_is_against(faults: tuple[bool, ...]) -> None:
    weak, collapsed, beaten, unscored = faults
    decision = judge(
        found(0.05, -0.01, 0.1) if weak else BETTER,
        cosines=(0.2, 0.995 if collapsed else 0.2),
        over_champion=found(-0.01, -0.02, 0.0) if beaten else found(0.03, 0.01, 0.05),
        obstacle="It is gone." if unscored else "",
    )
    assert decision.better is (not any(faults)) is (decision.reasons == ())
    assert decision.better_than_base is not (weak or collapsed)
    assert len(decision.reasons) == weak + collapsed + (beaten or unscored)
    assert all(reason in decision.reason for reason in decision.reasons)


def test_chance_is_rarely_promoted_at_the_least_number_of_queries() -> None:
    chances = np.random.default_rng(0).standard_normal((2, MIN_QUERIES, 1000))
    shares = [np.mean(mean_intervals(chance, 1000, seed=1)[0] > 0) for chance in (chances[0, :2], chances[1])]
    assert shares[0] > 0.2
    assert 0.01 < shares[1] < 0.05


DRAWN = [
    "labels (group): 20 of uneven size, 200 queries",
    "pairs, matches, BEIR (group): 20 components of 1 to 50 queries",
    "single queries (stratified, official): 60, a third known to the champion",
]


@pytest.mark.parametrize("name", DRAWN)
def test_one_as_good_as_the_champion_is_rarely_promoted_and_a_worse_one_more_rarely(name: str) -> None:
    """At most 5 % of all draws promote an equal one; of 200, that is up to 10 and three standard deviations."""
    case = next(case for case in CHAMPION_CASES if case.name == name)
    equal, worse, better = (200 * promoted_share(case, gain, 200) for gain in (0.0, -0.02, 0.05))
    assert 0 < equal <= 10 + 3 * (200 * 0.05 * 0.95) ** 0.5
    assert worse < equal
    assert better > 60


def test_too_few_queries_promote_nothing_better_than_the_champion() -> None:
    case = next(case for case in CHAMPION_CASES if case.name.endswith("official): 10"))
    assert promoted_share(case, 0.2, 20) == 0.0


def probed(difference: Difference | None, drop: float = 0.05, *others: Difference, left_out: int = 0) -> Probe:
    """What a probe says of one difference from the base."""
    found = [each for each in (difference, *others) if each is not None]
    return judge_probe("general", Probe("ndcg_at_10", drop, left_out), found)


class TestProbe:
    """The whole interval of the difference from the base lies at or above the accepted drop."""

    @pytest.mark.parametrize(
        ("value", "lower", "held"),
        [
            (-0.02, -0.05, True),
            (-0.02, -0.05 - ROUNDING / 2, True),
            (0.25 - 0.3, 0.25 - 0.3, True),  # -0.04999999999999999
            (-0.05 - ROUNDING, -0.05 - ROUNDING, True),
            (-0.02, -0.05 - 2 * ROUNDING, False),
            (-0.05, -0.0501, False),
            (0.03, -0.06, False),
            (0.2, 0.1, True),
            (float("nan"), -0.01, False),
            (0.01, float("nan"), False),
        ],
    )
    def test_the_bound_is_accepted_and_what_is_below_it_is_not(self, value: float, lower: float, held: bool) -> None:
        assert probed(found(value, lower, value + 0.02)).held is held

    def test_no_drop_at_all(self) -> None:
        assert probed(found(0.0, 0.0, 0.0), 0.0).held
        assert probed(found(0.0, -ROUNDING / 2, 0.0), 0.0).held
        assert not probed(found(0.01, -2 * ROUNDING, 0.02), 0.0).held
        assert probed(found(-0.5, -1.0, 0.0), 1.0).held

    def test_a_drop_beyond_what_is_accepted(self) -> None:
        reasons = probed(found(-0.1, -0.15, -0.05)).reasons
        assert reasons == (
            "Probe general: nDCG@10 fell from 0.5000 to 0.4000 (-0.1000, 95% interval -0.1500 to -0.0500); a drop of "
            "at most 0.0500 is accepted.",
        )

    def test_a_drop_that_is_not_ruled_out(self) -> None:
        told = ("nDCG@10 rose from 0.5000 to 0.5300 (+0.0300, 95% interval -0.0600 to +0.1200)", 0.03, -0.06, 0.12)
        assert probed(found(*told[1:])).reasons == (
            f"Probe general: {told[0]}; a drop of at most 0.0500 is accepted, and the interval does not rule out a "
            "larger one. Measure it on more queries, or accept more (probe_drop).",
        )
        at_the_drop = probed(found(-0.05, -0.06, 0.0)).reasons
        assert "does not rule out" in at_the_drop[0]
        assert "does not rule out" in probed(found(-0.05 - ROUNDING, -0.06, 0.0)).reasons[0]
        assert "does not rule out" not in probed(found(-0.05 - 2 * ROUNDING, -0.06, 0.0)).reasons[0]

    def test_what_did_not_change(self) -> None:
        for value in (0.0, ROUNDING, -ROUNDING):
            assert "nDCG@10 stayed from" in probed(found(value, -0.06, 0.0)).reasons[0]
        assert "nDCG@10 rose from" in probed(found(2 * ROUNDING, -0.06, 0.0)).reasons[0]
        assert "nDCG@10 fell from" in probed(found(-2 * ROUNDING, -0.06, 0.0)).reasons[0]

    def test_too_few_to_tell(self) -> None:
        assert probed(dataclasses.replace(BETTER, units=20)).held
        assert probed(dataclasses.replace(BETTER, units=19)).reasons == (
            "Probe general: only 19 queries compare the tuned model with the base there; at least 20 are needed to "
            "tell what was forgotten. Name more data.",
        )
        assert len(probed(found(-0.1, -0.2, 0.0, units=19)).reasons) == 2

    def test_the_champion_is_told_of_and_decides_nothing(self) -> None:
        champion = found(-0.3, -0.4, -0.2, against="champion")
        assert probed(BETTER, 0.05, champion).held
        (reason,) = probed(found(-0.1, -0.15, -0.05), 0.05, champion).reasons
        assert "-0.0500); against the champion -0.3000 (95% interval -0.4000 to -0.2000); a drop of" in reason

    def test_another_metric_decides_nothing(self) -> None:
        assert probed(BETTER, 0.05, found(-0.3, -0.4, -0.2, metric="mrr_at_10")).held

    def test_what_cannot_be_measured(self) -> None:
        champion = found(0.3, 0.2, 0.4, against="champion")
        assert probed(None, 0.05, champion, left_out=40).reasons == (
            "Probe general could not be measured: the tuned model was trained on all 40 of its queries, so nothing "
            "tells what it forgot. Name data of another kind than those that it is trained on.",
        )


class TestDecisionWithProbe:
    """A probe can take a promotion away, and never gives one."""

    def test_one_that_held(self) -> None:
        probe = probed(BETTER)
        decision = with_probe(judge(), "general", probe, [BETTER])
        assert (decision.better, decision.better_than_base, decision.reasons) == (True, True, ())
        assert decision.reason == (
            f"{judge().reason} Probe general held: nDCG@10 rose from 0.5000 to 0.5500 (+0.0500, 95% interval +0.0200 "
            "to +0.0800)."
        )

    def test_one_that_did_not(self) -> None:
        fell = found(-0.1, -0.15, -0.05)
        decision = with_probe(judge(), "general", probed(fell), [fell])
        assert (decision.better, decision.better_than_base) == (False, True)
        assert decision.reasons == probed(fell).reasons
        assert decision.reason == f"{judge().reason} {decision.reasons[0]}"

    def test_every_reason_is_listed(self) -> None:
        fell = found(-0.1, -0.15, -0.05, units=19)
        refused = judge(fell)
        decision = with_probe(refused, "general", probed(fell), [fell])
        assert decision.reasons == (*refused.reasons, *probed(fell).reasons)
        assert len(decision.reasons) == 4
        assert decision.reason == " ".join(decision.reasons)
        assert not decision.better_than_base

    def test_one_that_held_makes_nothing_better(self) -> None:
        refused = judge(found(-0.1, -0.15, -0.05))
        assert with_probe(refused, "general", probed(BETTER), [BETTER]) == refused


def test_what_forgot_as_much_as_is_accepted_rarely_holds_by_the_interval_and_half_the_time_by_the_mean() -> None:
    by_interval, by_mean = held_shares(65, 0.05, 200)
    assert 0 < by_interval < 0.1
    assert 0.4 < by_mean < 0.6
    assert held_shares(20, 0.1, 200)[0] < 0.02
    assert held_shares(500, 0.0, 20) == (1.0, 1.0)

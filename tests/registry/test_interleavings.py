"""Of two promotions, wherever one interrupts the other, the registry ends as if they had come one after the other."""

import dataclasses
from collections.abc import Iterator

import pytest

from embedtune.registry.aliases import settle_aliases
from embedtune.registry.state import PROMOTION, SETTLED, Promotion, read_state
from tests.registry.conftest import comparison
from tests.registry.interleaving import Killed, Party, add_version, calls_of, play, two_switches
from tests.registry.twin import Twin

OTHER, THIRD = "sha256:" + "f1" * 32, "sha256:" + "f2" * 32
SAME = comparison(0.1, True).evaluation_digest

SCENARIOS = {
    "the second is better": ((0.2, True, SAME), (0.3, True, SAME), 3, ("promoted", "promoted")),
    "the first is better": ((0.3, True, SAME), (0.2, True, SAME), 2, ("promoted", "not promoted")),
    "both are as good": ((0.2, True, SAME), (0.2, True, SAME), 2, ("promoted", "not promoted")),
    "they do not compare": ((0.2, True, OTHER), (0.3, True, THIRD), 2, ("promoted", "not promoted")),
    "the first did not pass": ((0.4, False, SAME), (0.3, True, SAME), 3, ("not promoted", "promoted")),
    "neither passed": ((0.4, False, SAME), (0.3, False, SAME), 1, ("not promoted", "not promoted")),
}
"""Gain, whether the evaluation passed and its data, of version 2 and of version 3; the champion, and both decisions."""


def start(first, second, registry=None):
    """Return a registry whose champion is version 1, with two versions that wait for their aliases."""
    registry = Twin() if registry is None else registry
    add_version(registry, "shop", comparison(0.1, True), "1")
    settle_aliases(registry, "shop", 1)
    for number, (gain, better, digest) in enumerate((first, second), start=2):
        judged = dataclasses.replace(comparison(gain, better), evaluation_digest=digest)
        version = add_version(registry, "shop", judged, str(number))
        registry.set_model_version_tag("shop", str(version), "evaluation_champion", "1")
    return registry


def promotion_of(version):
    return lambda client: settle_aliases(client, "shop", version)


def schedules(registry) -> Iterator[tuple[int, int, int, int]]:
    """Yield who begins, who is second, and after how many calls of each they change."""
    for versions in ((2, 3), (3, 2)):
        counts = [calls_of(registry.copy(), promotion_of(version)) for version in versions]
        yield from ((*versions, i, j) for i, j in two_switches(*counts))


def check(registry, scenario):
    *_, champion, decisions = SCENARIOS[scenario]
    assert registry.aliases["champion"] == champion
    assert registry.aliases["challenger"] == 3
    if champion > 1:
        assert registry.aliases["previous"] == (2 if decisions == ("promoted", "promoted") else 1)
    assert tuple(registry.tags[version]["decision"] for version in (2, 3)) == decisions
    assert all(SETTLED in tags for tags in registry.tags.values())


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_held_up_anywhere_while_the_other_does_any_part_of_its_work(scenario):
    begun = start(*SCENARIOS[scenario][:2])
    for one, two, i, j in schedules(begun):
        registry = begun.copy()
        parties = [Party(registry, promotion_of(version)) for version in (one, two)]
        play(parties, i, j)
        assert [party.error for party in parties] == [None, None]
        check(registry, scenario)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_killed_anywhere_the_other_and_the_retry_come_to_the_same(scenario):
    begun = start(*SCENARIOS[scenario][:2])
    for one, two in ((2, 3), (3, 2)):
        calls = calls_of(begun.copy(), promotion_of(one))
        for killed in range(calls):
            for ahead in range(killed + 1):  # how many calls the one has made when the other does all its work
                registry = begun.copy()
                parties = [Party(registry, promotion_of(one), dies_before=killed), Party(registry, promotion_of(two))]
                play(parties, ahead, None)
                assert isinstance(parties[0].error, Killed) or parties[0].error is None
                assert parties[1].error is None
                settle_aliases(registry, "shop", one)
                check(registry, scenario)


def test_an_alias_that_an_interrupted_attempt_moved_too_late_is_put_right_by_its_retry():
    registry = start((0.3, True, SAME), (0.2, True, SAME))
    announced = read_state(registry, "shop").next_promotion("registration", "").to_tag()
    settle_aliases(registry, "shop", 2)
    registry.set_model_version_tag("shop", "3", PROMOTION, announced)
    registry.set_registered_model_alias("shop", "champion", "1")
    settle_aliases(registry, "shop", 3)
    check(registry, "the first is better")


def add_settled(registry, gain):
    version = add_version(registry, "shop", comparison(gain, True), f"of {gain}")
    settle_aliases(registry, "shop", version)
    return version


def test_whoever_moves_an_alias_for_another_after_a_third_has_been_promoted_takes_it_back():
    registry = Twin()
    for registration, gain in (("1", 0.2), ("2", 0.1)):
        add_version(registry, "shop", comparison(gain, True), registration)
    held_up = Party(registry, promotion_of(2))
    while PROMOTION not in registry.tags[1]:  # of the first version, whose own step has not come so far
        held_up.step()
    settle_aliases(registry, "shop", 1)
    assert add_settled(registry, 0.3) == 3
    assert registry.aliases["champion"] == 3
    held_up.finish()
    assert (held_up.error, registry.aliases["champion"]) == (None, 3)


def test_whoever_puts_a_champion_back_after_a_third_has_been_promoted_takes_it_back():
    registry = start((0.3, True, SAME), (0.2, True, SAME))
    announced = read_state(registry, "shop").next_promotion("registration", "").to_tag()
    settle_aliases(registry, "shop", 2)
    registry.set_model_version_tag("shop", "3", PROMOTION, announced)
    registry.set_registered_model_alias("shop", "champion", "3")
    add_version(registry, "shop", comparison(0.15, True), "4")
    calls = calls_of(registry.copy(), promotion_of(4))
    for held in range(calls):
        again = registry.copy()
        held_up = Party(again, promotion_of(4))
        while held_up.calls < held:
            held_up.step()
        settle_aliases(again, "shop", 3)
        assert add_settled(again, 0.4) == 5
        held_up.finish()
        assert (held_up.error, again.aliases["champion"]) == (None, 5)


def test_where_no_version_is_champion_one_that_did_not_pass_leaves_it_so():
    registry = Twin()
    add_version(registry, "shop", comparison(0.1, False), "1")
    settle_aliases(registry, "shop", 1)
    assert registry.aliases == {"challenger": 1}
    assert registry.tags[1]["decision"] == "not promoted"


def test_a_first_champion_after_the_alias_was_taken_away_leaves_previous_as_it_is():
    registry = start((0.2, True, SAME), (0.3, False, SAME))
    settle_aliases(registry, "shop", 2)
    del registry.aliases["champion"]
    assert add_settled(registry, 0.4) == 4
    assert registry.aliases == {"champion": 4, "previous": 1, "challenger": 4}


def test_a_version_that_was_champion_once_is_never_promoted_again_by_a_repetition():
    registry = start((0.2, True, SAME), (0.3, True, SAME))
    settle_aliases(registry, "shop", 3)
    settle_aliases(registry, "shop", 2)
    registry.set_registered_model_alias("shop", "champion", "1")
    settle_aliases(registry, "shop", 3)
    assert registry.aliases == {"champion": 1, "previous": 2, "challenger": 3}


def test_a_version_that_was_refused_is_judged_again_by_the_champion_of_that_moment():
    registry = start((0.2, True, SAME), (0.3, True, SAME))
    settle_aliases(registry, "shop", 3)
    weaker = add_settled(registry, 0.15)
    assert registry.tags[weaker]["decision"] == "not promoted"
    registry.set_registered_model_alias("shop", "champion", "1")
    settle_aliases(registry, "shop", weaker)
    assert (registry.aliases["champion"], registry.tags[weaker]["decision"]) == (weaker, "promoted")


def test_what_a_person_moved_while_a_registration_was_interrupted_is_not_taken_back():
    registry = start((0.3, True, SAME), (0.2, True, SAME))
    settle_aliases(registry, "shop", 2)
    registry.set_model_version_tag("shop", "3", "evaluation_champion", "2")
    interrupted = Party(registry, promotion_of(3))
    while PROMOTION not in registry.tags[3]:
        interrupted.step()
    registry.set_registered_model_alias("shop", "champion", "1")
    settle_aliases(registry, "shop", 3)
    assert registry.aliases == {"champion": 3, "previous": 1, "challenger": 3}
    assert Promotion.of_tags(registry.tags[3]).replaced == 1


def test_whoever_moves_an_alias_for_another_after_a_person_chose_the_first_champion_takes_it_back():
    registry = Twin()
    add_version(registry, "shop", comparison(0.3, False), "1")
    settle_aliases(registry, "shop", 1)
    for registration, gain in (("2", 0.2), ("3", 0.1)):
        add_version(registry, "shop", comparison(gain, True), registration)
    held_up = Party(registry, promotion_of(3))
    chosen = read_state(registry, "shop").next_promotion("promote", "my word", pending=True)
    while PROMOTION not in registry.tags[2]:
        held_up.step()
    settle_aliases(registry, "shop", 2)
    registry.set_model_version_tag("shop", "1", PROMOTION, dataclasses.replace(chosen, pending=False).to_tag())
    registry.set_registered_model_alias("shop", "champion", "1")
    assert [Promotion.of_tags(registry.tags[version]).number for version in (1, 2)] == [1, 1]
    held_up.finish()
    assert (held_up.error, registry.aliases["champion"]) == (None, 1)

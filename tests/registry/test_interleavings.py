"""Of two promotions, wherever one interrupts the other, the registry ends as if they had come one after the other."""

import dataclasses
from collections.abc import Iterator

import pytest

from embedtune.registry.aliases import settle_aliases
from embedtune.registry.state import SETTLED
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

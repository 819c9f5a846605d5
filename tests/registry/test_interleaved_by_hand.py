"""Wherever a registration and a person's promotion interrupt each other, it ends as if one had come after the other."""

import dataclasses
import itertools
from collections.abc import Callable, Iterator

import pytest

from embedtune.errors import RegistryError
from embedtune.mlflow.connection import TRACKING_VARIABLE, connect
from embedtune.registry import by_hand
from embedtune.registry.aliases import settle_aliases
from embedtune.registry.state import PROMOTION, SETTLED, Promotion, read_state
from embedtune.registry.versions import read_registration
from tests.registry.conftest import comparison
from tests.registry.interleaving import Killed, Party, add_version, two_switches
from tests.registry.twin import Twin

NEW = 4
GAINS = {"better than all": 0.3, "better than the first": 0.12, "worse than all": 0.05}
"""Of the version that is being registered; it passed by an evaluation that compared it with version 2."""

COMMANDS = {
    "promote 1": lambda name: by_hand.promote(name, 1, "my word", dry_run=False),
    "promote 3": lambda name: by_hand.promote(name, 3, "my word", dry_run=False),
    "promote 4": lambda name: by_hand.promote(name, NEW, "my word", dry_run=False),
    "rollback": lambda name: by_hand.rollback(name, "my word", dry_run=False),
}


def start(gain):
    """Return a registry whose champion is version 2, previous 1, and version 3 refused; 4 waits for its aliases."""
    registry = Twin()
    for version, (of_version, better) in enumerate(((0.1, True), (0.2, True), (0.15, False)), start=1):
        add_version(registry, "shop", comparison(of_version, better), str(version))
        settle_aliases(registry, "shop", version)
    add_version(registry, "shop", comparison(gain, True), str(NEW))
    registry.set_model_version_tag("shop", str(NEW), "evaluation_champion", "2")
    return registry


def put(registry, client, name):
    """Make a model at MLflow that is like that of the twin."""
    client.create_registered_model(name)
    for version, tags in registry.tags.items():
        assert int(client.create_model_version(name, f"s3://nowhere/{version}", tags=tags).version) == version
    for alias, version in registry.aliases.items():
        client.set_registered_model_alias(name, alias, str(version))


def registering(client, name="shop"):
    settle_aliases(client, name, NEW)
    return read_registration(client, name, NEW)


@pytest.fixture
def party(monkeypatch) -> Callable[..., Party]:
    """Return how to set somebody to work at a registry, who stops before each call."""
    current = []
    monkeypatch.setenv(TRACKING_VARIABLE, "memory:")
    monkeypatch.setattr(by_hand, "connect", lambda uri: current[-1])

    def begin(client, work, dies_before=None):
        def attended(stepped):
            current.append(stepped)
            return work(stepped)

        return Party(client, attended, dies_before)

    return begin


def typing(command, name="shop"):
    return lambda client: COMMANDS[command](name)


def outcome(registry, name="shop"):
    """Return all that the registry says, but for numbers and dates."""
    state = read_state(registry, name)
    records = {version: (found.replaced, found.by, found.pending) for version, found in state.promotions()}
    decisions = {version: tags.get("decision") for version, tags in state.tags.items()}
    return dict(state.aliases), records, decisions


def one_after_the_other(gain, command):
    """Return what the registry may say at the end.

    A rollback goes to what was `previous` when it was typed, also where a promotion came in before it was through.
    """
    ends = []
    later = [typing(command)] if command != "rollback" else [typing("rollback"), rolled_back_late]
    for orders in ((typing(command), registering), *((registering, each) for each in later)):
        registry = start(gain)
        for work in orders:
            by_hand_or_not(registry, work)
        ends.append(outcome(registry))
    return ends


def by_hand_or_not(registry, work):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(by_hand, "connect", lambda uri: registry)
        work(registry)


def rolled_back_late(registry):
    """Go back to version 1 though it is not `previous` any more."""
    registry.set_registered_model_alias("shop", "previous", "1")
    by_hand.rollback("shop", "my word", dry_run=False)


def check_report(registry, party, is_command):
    """Check that somebody who ended last reports what the registry says."""
    champion = registry.aliases["champion"]
    if not is_command:
        assert party.error is None
        assert (party.result.promoted, party.result.champion.version) == (champion == NEW, champion)
    elif party.error is None:
        replaced = Promotion.of_tags(registry.tags[champion]).replaced if party.result.needed else champion
        assert party.result == by_hand.Change("shop", champion, replaced, party.result.needed)
    else:
        assert isinstance(party.error, RegistryError)
        assert f"Champion of 'shop' is version {champion} now, not version" in str(party.error)


def schedules(party, begun, command) -> Iterator[tuple[bool, int, int]]:
    """Yield whether the command comes first, and after how many calls of each they change."""
    for command_first in (True, False):
        works = (typing(command), registering) if command_first else (registering, typing(command))
        counts = []
        for work in works:
            alone = party(begun.copy(), work)
            alone.finish()
            counts.append(alone.calls)
        yield from ((command_first, i, j) for i, j in two_switches(*counts))


@pytest.mark.parametrize(("gain", "command"), itertools.product(GAINS, COMMANDS))
def test_held_up_anywhere_while_the_other_does_any_part_of_its_work(gain, command, party):
    begun, ends, seen = start(GAINS[gain]), one_after_the_other(GAINS[gain], command), []
    for command_first, i, j in schedules(party, begun, command):
        registry = begun.copy()
        works = (typing(command), registering) if command_first else (registering, typing(command))
        first, second = (party(registry, work) for work in works)
        while not first.ended and first.calls < i:
            first.step()
        first_ended = first.ended
        while not second.ended and second.calls < j:
            second.step()
        first_is_last = second.ended and not first_ended
        first.finish()
        second.finish()
        assert outcome(registry) in ends
        seen.append(outcome(registry))
        last, is_command = (first, command_first) if first_is_last else (second, not command_first)
        check_report(registry, last, is_command)
    assert ends[0] in seen
    assert ends[1] in seen


def check_consistent(registry):
    """Check that aliases, records and decisions say the same."""
    state = read_state(registry, "shop")
    record = state.promotion(state.champion)
    assert not any(found.pending for version, found in state.promotions() if version == state.champion)
    assert state.aliases["previous"] == record.previous(state.champion)
    assert all(found.number <= record.number for _, found in state.promotions())
    assert state.aliases["challenger"] == NEW
    assert (state.tags[NEW]["decision"] == "promoted") == (PROMOTION in state.tags[NEW])
    assert all(SETTLED in tags for tags in state.tags.values())


@pytest.mark.parametrize(("gain", "command"), itertools.product(GAINS, COMMANDS))
def test_killed_anywhere_the_other_and_the_retry_come_to_a_registry_that_is_right(gain, command, party):
    begun = start(GAINS[gain])
    for dying, other in ((typing(command), registering), (registering, typing(command))):
        alone = party(begun.copy(), dying)
        alone.finish()
        for killed, ahead in ((k, a) for k in range(alone.calls) for a in range(k + 1)):
            registry = begun.copy()
            parties = party(registry, dying, dies_before=killed), party(registry, other)
            while not parties[0].ended and parties[0].calls < ahead:
                parties[0].step()
            parties[1].finish()
            parties[0].finish()
            assert isinstance(parties[0].error, Killed | RegistryError) or parties[0].error is None
            retry = party(registry, dying)
            retry.finish()
            assert retry.error is None
            check_consistent(registry)
            if dying is not registering:
                assert registry.aliases["champion"] == retry.result.version


@pytest.mark.parametrize("command", ["promote 1", "promote 3", "rollback"])
def test_killed_anywhere_what_is_not_finished_is_told(command, party):
    begun = start(GAINS["worse than all"])
    by_hand_or_not(begun, registering)
    alone = party(begun.copy(), typing(command))
    alone.finish()
    told = []
    for killed in range(alone.calls):
        registry = begun.copy()
        party(registry, typing(command), dies_before=killed).finish()
        found = party(registry, lambda client: by_hand.serving("shop"))
        found.finish()
        chosen = alone.result.version
        is_announced = PROMOTION in registry.tags[chosen] and Promotion.of_tags(registry.tags[chosen]).pending
        announced = found.result.announced
        assert (announced is not None) == (is_announced and registry.aliases["champion"] != chosen)
        assert announced is None or (announced.version, announced.by) == (chosen, command.partition(" ")[0])
        assert (found.result.version == chosen) <= (found.result.by == command.partition(" ")[0])
        told.append(announced is not None)
    assert True in told
    assert not told[0]
    assert not told[-1]


def test_of_two_persons_one_is_told_that_the_other_came_in_between(party):
    begun = start(GAINS["worse than all"])
    by_hand_or_not(begun, registering)
    alone = party(begun.copy(), typing("promote 1"))
    alone.finish()
    for i, j in two_switches(alone.calls, alone.calls):
        registry = begun.copy()
        parties = party(registry, typing("promote 1")), party(registry, typing("promote 3"))
        for each, calls in zip(parties, (i, j), strict=True):
            while not each.ended and each.calls < calls:
                each.step()
        for each in parties:
            each.finish()
        check_consistent(registry)
        champion = registry.aliases["champion"]
        told = [version for version, each in zip((1, 3), parties, strict=True) if each.error is None]
        assert champion in told
        replaced = Promotion.of_tags(registry.tags[champion]).replaced
        for version in {1, 3} - {champion, replaced}:  # whoever never was champion keeps the record of before
            assert registry.tags[version].get(PROMOTION) == begun.tags[version].get(PROMOTION)


def test_on_a_server_a_registration_between_the_calls_of_a_command_is_as_one_before_or_after_it(
    mlflow_server, party, monkeypatch
):
    """After its announcement, and before it moves the champion: the twin goes through all of its calls."""
    monkeypatch.setenv(TRACKING_VARIABLE, mlflow_server)
    client, ends = connect(mlflow_server), one_after_the_other(GAINS["better than all"], "promote 1")
    for place in (5, 9):
        name = f"by hand {place}"
        put(start(GAINS["better than all"]), client, name)
        command = party(client, typing("promote 1", name))
        while not command.ended and command.calls < place:
            command.step()
        registering(client, name)
        command.finish()
        assert outcome(client, name) in ends
        assert by_hand.Change(name, 1, NEW, needed=True) == command.result or isinstance(command.error, RegistryError)


def test_a_killed_command_is_carried_out_by_the_next_registration(party):
    registry = start(GAINS["worse than all"])
    command = party(registry, typing("promote 3"), dies_before=6)
    command.finish()
    assert isinstance(command.error, Killed)
    assert Promotion.of_tags(registry.tags[3]).pending
    assert registry.aliases["champion"] == 2
    settle_aliases(registry, "shop", NEW)
    record = Promotion.of_tags(registry.tags[3])
    assert record == dataclasses.replace(record, replaced=2, by="promote", reason="my word", pending=False)
    assert (registry.aliases["champion"], registry.aliases["previous"]) == (3, 2)

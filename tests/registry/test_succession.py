"""Who is champion by right where a promotion came too late, from the records alone."""

import pytest

from embedtune.registry.state import PROMOTION, REGISTRATION_TAG, SETTLED, Promotion, RegistryState
from embedtune.registry.succession import latest_promotion, rightful_champion


def state(holder, numbers, settled):
    """Return a model with promotions of given numbers by version; None is a version without one."""
    tags = {}
    for version, number in numbers.items():
        tags[version] = {REGISTRATION_TAG: f"{version}"}
        if number is not None:
            tags[version][PROMOTION] = Promotion(number, None, "registration", "", "").to_tag()
        if version in settled:
            tags[version][SETTLED] = "true"
    return RegistryState("shop", {"champion": holder}, tags)


@pytest.mark.parametrize(
    ("holder", "numbers", "settled", "written", "champion"),
    [
        (2, {1: 2, 2: 2}, {1}, None, 1),  # unsettled and not above the latest: too late
        (2, {1: 2, 2: 3}, {1}, None, 2),
        (2, {1: 3, 2: 2}, {1, 2}, None, 2),  # settled: a person moved the alias
        (2, {1: 3, 2: 2}, {1, 2}, 2, 1),  # moved by the caller, before the third was known
        (2, {1: 3, 2: 2}, {1, 2}, 3, 2),  # moved by somebody else since
        (2, {1: 3, 2: None}, {1}, 2, 2),  # no record: a person
    ],
)
def test_who_came_too_late(holder, numbers, settled, written, champion):
    assert rightful_champion(state(holder, numbers, settled), written) == champion


def test_records_that_do_not_count_are_no_latest():
    assert latest_promotion(state(1, {1: 0, 2: 0}, {1, 2})) is None
    assert latest_promotion(state(1, {1: 1, 2: 2}, {1}))[0] == 1


def test_the_next_number_is_above_what_is_settled_and_above_the_champions():
    assert state(1, {1: None, 2: 4, 3: 9}, {1, 2}).next_promotion("", "").number == 5
    assert state(3, {1: None, 2: 4, 3: 9}, {1, 2}).next_promotion("", "").number == 10
    assert state(1, {1: None}, {1}).next_promotion("", "").number == 1

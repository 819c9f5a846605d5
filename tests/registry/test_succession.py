"""Who is champion by right where a promotion came too late, from the records alone."""

import json

import pytest

from embedtune.registry.evidence import TAG_LIMIT, evidence_tags
from embedtune.registry.state import PROMOTION, REGISTRATION_TAG, SETTLED, Promotion, RegistryState, read_state
from embedtune.registry.succession import latest_promotion, next_move, rightful_champion, successor, verdict_on
from tests.registry.conftest import comparison
from tests.registry.twin import Page, Twin


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


def judged(gains, settled, promotions):
    """Return a model whose champion is version 1, with gains and promotions by version."""
    tags = {
        version: {REGISTRATION_TAG: f"{version}", **evidence_tags(comparison(gain, True))}
        for version, gain in gains.items()
    }
    for version, (number, replaced) in promotions.items():
        tags[version][PROMOTION] = Promotion(number, replaced, "", "", "").to_tag()
    for version in settled:
        tags[version][SETTLED] = "true"
    return RegistryState("shop", {"champion": 1}, tags)


def test_a_registration_promotes_no_better_version_that_was_refused_or_replaced_before():
    gains = {1: 0.1, 2: 0.2}
    assert next_move(judged(gains, {1}, {1: (1, None)}), None).version == 2
    assert next_move(judged(gains, {1, 2}, {1: (1, None)}), None) is None
    assert next_move(judged(gains, {1}, {1: (3, 2), 2: (2, 1)}), None) is None


def test_of_two_with_one_number_the_one_that_came_about_is_the_latest():
    numbers = state(1, {1: 1, 2: 4, 3: 4}, {1, 2, 3})
    pending = Promotion(4, 1, "promote", "", "", pending=True).to_tag()
    numbers.tags[2][PROMOTION] = pending
    assert latest_promotion(numbers)[0] == 3
    numbers.tags[3][PROMOTION] = pending
    assert latest_promotion(numbers)[0] == 2


def test_a_successor_has_a_higher_number():
    gains = {1: 0.1, 2: 0.2}
    assert successor(judged(gains, {1, 2}, {1: (3, None), 2: (4, 1)}), 1) == 2
    assert successor(judged(gains, {1, 2}, {1: (3, None), 2: (3, 1)}), 1) is None
    assert successor(judged(gains, {1, 2}, {1: (3, None), 2: (4, None)}), 1) is None


def test_the_reason_of_a_promotion_is_the_records_and_without_one_the_evidences():
    told = judged({1: 0.1}, {1}, {})
    assert verdict_on(told, 1).reason == comparison(0.1, True).decision.reason
    told.tags[1][PROMOTION] = Promotion(1, None, "promote", "", "my word").to_tag()
    assert verdict_on(told, 1).reason == "my word"


def test_a_promotion_counts_if_it_came_about_with_its_record():
    gains = {1: 0.2, 2: 0.1}
    assert verdict_on(judged(gains, {1}, {1: (3, 2), 2: (2, 1)}), 2).replaces
    assert not verdict_on(judged(gains, {1}, {1: (1, None), 2: (2, 1)}), 2).replaces
    assert not verdict_on(judged(gains, {1}, {1: (1, 2)}), 2).replaces


def test_a_record_is_read_as_it_was_written_and_leaves_room_in_its_tag():
    for pending in (False, True):
        record = Promotion(3, 1, "promote", "2026-01-02T03:04:05+00:00", "ein großes Wort", pending)
        assert Promotion.of_tags({PROMOTION: record.to_tag()}) == record
        assert record.reason in record.to_tag()
    assert not Promotion(3, None, "", "", "").pending
    long = Promotion(10**6, 10**6, "registration", "2026-01-02T03:04:05+00:00", "x" * TAG_LIMIT, pending=True).to_tag()
    assert len(json.loads(long)["reason"]) == 4500
    assert len(long) <= TAG_LIMIT == 5000


@pytest.mark.parametrize(("before", "replaced"), [("3", 3), ("none", None), ("", None)])
def test_a_record_of_the_first_version_has_no_number_and_counts_as_no_latest(before, replaced):
    tags = {"promoted_from": before}
    assert Promotion.of_tags(tags) == Promotion(0, replaced, "registration", "", "")
    assert latest_promotion(RegistryState("shop", {"champion": 1}, {1: tags})) is None
    assert RegistryState("shop", {"champion": 1}, {1: tags}).next_promotion("", "").number == 1
    assert Promotion.of_tags({}) is None


class Paged(Twin):
    """A registry that answers with one version at a time, as MLflow does with very many."""

    def search_model_versions(self, filter_string, page_token=None):
        found = super().search_model_versions(filter_string)
        place = int(page_token or 0)
        page = Page(found[place : place + 1])
        page.token = str(place + 1) if place + 1 < len(found) else None
        return page


def test_the_versions_of_all_pages_are_read_in_ascending_order():
    registry = Paged()
    for number in (1, 2, 3):
        registry.create_model_version("shop", "", {"number": f"{number}"})
    registry.aliases["champion"] = 1
    found = read_state(registry, "shop")
    assert (list(found.tags), found.champion) == ([1, 2, 3], 1)
    assert found.tags[3] == {"number": "3"}

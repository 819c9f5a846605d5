"""What a repeated registration renews of a version, and what a registration is told, from the registry's answers."""

import dataclasses
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST

from embedtune.registry.aliases import settle_aliases
from embedtune.registry.request import RegistrationRequest
from embedtune.registry.versions import read_registration, renew_evidence
from tests.comparisons import COST
from tests.registry.conftest import comparison
from tests.registry.interleaving import add_version
from tests.registry.twin import Twin


class WithoutRuns(Twin):
    """A registry whose runs were deleted, so that no files are written."""

    def get_run(self, run_id):
        raise MlflowException("no run", RESOURCE_DOES_NOT_EXIST)


def request(judged):
    return RegistrationRequest(Path("model"), judged, model_name="shop", data_uri="", data_version="")


@pytest.fixture
def registry():
    """Version 1 is champion, 2 is none."""
    registry = WithoutRuns()
    for number, gain in ((1, 0.2), (2, 0.1)):
        add_version(registry, "shop", comparison(gain, True), str(number))
        settle_aliases(registry, "shop", number)
    return registry


def test_evidence_is_renewed_of_a_version_that_never_was_champion(registry):
    before = dict(registry.tags[2])
    renew_evidence(registry, request(comparison(0.1, True)), 2)
    assert registry.tags[2] == before
    renew_evidence(registry, request(comparison(0.3, False)), 2)
    assert registry.tags[2] == {**before, "evaluation_value": repr(0.5 + 0.3), "evaluation_passed": "false"}


def test_evidence_on_which_a_version_was_champion_stays(registry):
    before = dict(registry.tags[1])
    renew_evidence(registry, request(comparison(0.3, False)), 1)
    assert registry.tags[1] == before


def test_a_version_that_is_gone_is_not_written_to(registry):
    del registry.tags[2]
    renew_evidence(registry, request(comparison(0.3, True)), 2)
    assert list(registry.tags) == [1]


def test_what_a_promotion_costs_is_renewed_and_taken_back(registry):
    judged = comparison(0.1, True)
    renew_evidence(registry, request(dataclasses.replace(judged, migration=COST)), 2)
    assert registry.tags[2]["promotion_documents"] == "1800000"
    renew_evidence(registry, request(judged), 2)
    assert {key: value for key, value in registry.tags[2].items() if key.startswith("promotion_")} == {
        "promotion_documents": "none",
        "promotion_hours": "none",
        "promotion_index_bytes": "none",
        "promotion_agreement": "none",
    }


def test_a_registration_is_told_what_the_registry_says(registry):
    first, second = (read_registration(registry, "shop", version) for version in (1, 2))
    assert (first.promoted, first.aliases, first.model_uri) == (True, ("champion",), "models:/shop@champion")
    assert (first.previous_champion, first.champion.version) == (None, 1)
    assert (second.promoted, second.aliases, second.model_uri) == (False, ("challenger",), "models:/shop/2")
    assert (second.previous_champion, second.champion.version) == (1, 1)
    assert not first.reason.endswith("the alias was moved since.")
    assert not second.reason.endswith("the alias was moved since.")


def test_an_alias_that_was_moved_since_is_told(registry):
    registry.aliases["champion"] = 2
    first, second = (read_registration(registry, "shop", version) for version in (1, 2))
    assert (first.promoted, second.promoted) == (False, True)
    for each in (first, second):
        assert each.reason.endswith(" Champion is version 2 now; the alias was moved since.")
    del registry.aliases["champion"]
    first = read_registration(registry, "shop", 1)
    assert (first.champion, first.previous_champion) == (None, None)
    assert first.reason.endswith(" Champion is no version now; the alias was moved since.")

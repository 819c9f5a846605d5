"""A worse model never replaces a better champion, and nobody is told that it did."""

import dataclasses
import json

import mlflow
import pytest
from mlflow import MlflowClient

from embedtune.registry.champion import Champion
from embedtune.registry.register import register_model
from tests.registry.conftest import comparison

CHAMPION = Champion(3, "ndcg_at_10", 0.6, "10", comparison(0.1, True).evaluation_digest)


@pytest.fixture
def client(registry):
    return MlflowClient(tracking_uri=registry.tracking_uri, registry_uri=registry.tracking_uri)


def aliases(client, name):
    return {alias: int(version) for alias, version in client.get_registered_model(name).aliases.items()}


class TestPromotion:
    def test_worse_models_one_after_the_other_leave_the_champion(self, make_request, client):
        made = [register_model(make_request("falling", gain=gain)) for gain in (0.3, 0.2, 0.1)]
        assert [registration.promoted for registration in made] == [True, False, False]
        assert [registration.champion.version for registration in made] == [1, 1, 1]
        assert made[2].reason == (
            "falling version 1 stays champion: on the same held-out data its nDCG@10 is 0.8000, the new version's only "
            "0.6000."
        )
        assert aliases(client, "falling") == {"challenger": 3, "champion": 1}
        assert client.get_model_version("falling", "3").tags["decision"] == "not promoted"

    def test_a_better_model_replaces_the_champion_and_says_why(self, make_request, client):
        register_model(make_request("rising", gain=0.1))
        second = register_model(make_request("rising", gain=0.2))
        assert second.reason == (
            "nDCG@10 rose enough. It replaces version 1: on the same held-out data its nDCG@10 was 0.6000, and is "
            "0.7000 now."
        )
        assert second.champion == dataclasses.replace(CHAMPION, version=2, value=0.7)
        assert aliases(client, "rising") == {"challenger": 2, "champion": 2, "previous": 1}

    def test_other_held_out_data_keep_the_champion_and_say_what_is_missing(self, make_request, client):
        register_model(make_request("moved-on", gain=0.1))
        other = dataclasses.replace(comparison(0.4, True), evaluation_digest="sha256:" + "f2" * 32, queries=12)
        second = register_model(make_request("moved-on", comparison=other))
        assert second.reason == (
            "moved-on version 1 stays champion: it was judged on other held-out data (10 queries, sha256:e1e1e1e1e1e1) "
            "than the new version (12 queries, sha256:f2f2f2f2f2f2). nDCG@10 rose enough. Version 2 is registered and "
            "not promoted. Run the pipeline again: it compares with the champion of that moment. Or make it champion "
            "on your own word: embedtune promote moved-on 2"
        )
        assert aliases(client, "moved-on") == {"challenger": 2, "champion": 1}

    def test_a_champion_of_the_version_before_has_no_such_tags_and_stays(self, make_request, client):
        register_model(make_request("older"))
        for tag in ("digest", "metric", "value", "queries"):
            client.delete_model_version_tag("older", "1", f"evaluation_{tag}")
        second = register_model(make_request("older", gain=0.4))
        assert not second.promoted
        assert second.reason.startswith("older version 1 stays champion: its tags do not say how good it was on which")
        assert second.champion.told() == "version 1 (its tags do not say how good it is)"

    def test_a_run_that_was_deleted_takes_no_evidence_with_it(self, make_request, client):
        first = register_model(make_request("no-run", gain=0.2))
        client.delete_run(first.run_id)
        assert not register_model(make_request("no-run", gain=0.1)).promoted
        assert register_model(make_request("no-run", gain=0.3)).promoted

    def test_a_run_that_was_deleted_for_good_blocks_no_repetition(self, make_request, client, capsys):
        first = register_model(make_request("no-run-at-all"))
        client.delete_run(first.run_id)
        client._tracking_client.store._hard_delete_run(first.run_id)
        assert register_model(make_request("no-run-at-all")).version == 1
        assert "MLflow has deleted the run of 'no-run-at-all', version 1" in "".join(capsys.readouterr())

    def test_where_the_champion_was_deleted_the_next_better_model_is_the_first(self, make_request, client):
        register_model(make_request("deleted", gain=0.3))
        client.delete_model_version("deleted", "1")
        second = register_model(make_request("deleted", gain=0.1))
        assert (second.version, second.promoted, second.reason) == (2, True, "nDCG@10 rose enough.")

    def test_not_better_than_the_base_names_the_champion(self, make_request):
        register_model(make_request("base-only"))
        second = register_model(make_request("base-only", gain=0.4, better=False))
        assert second.reason == "nDCG@10 rose enough. base-only version 1 stays champion."

    def test_the_sentences_are_shown_in_kubeflow(self, make_request):
        register_model(make_request("shown"))
        text = register_model(make_request("shown", gain=0.05)).to_markdown({})
        assert text.startswith("# shown, version 2: not promoted\n\nshown version 1 stays champion: on the same")
        assert "\n- Champion: version 1 (nDCG@10 0.6000 over 10 queries)\n" in text
        assert "\n- Load it: `models:/shown/2`\n" in text


class TestAgain:
    def test_what_was_refused_is_refused_again_as_the_same_version(self, make_request):
        register_model(make_request("refused", gain=0.2))
        second = register_model(make_request("refused", gain=0.1))
        assert register_model(make_request("refused", gain=0.1)) == second
        assert (second.version, second.promoted) == (2, False)

    def test_after_a_rollback_a_new_model_is_measured_by_the_champion_of_that_moment(self, make_request, client):
        for gain in (0.1, 0.3, 0.2):
            register_model(make_request("back", gain=gain))
        assert aliases(client, "back") == {"challenger": 3, "champion": 2, "previous": 1}
        client.set_registered_model_alias("back", "champion", "1")
        rolled_back = register_model(make_request("back", gain=0.3))
        assert (rolled_back.promoted, rolled_back.champion.version) == (False, 1)
        assert rolled_back.reason.endswith("Champion is version 1 now; the alias was moved since.")
        third = register_model(make_request("back", gain=0.2))  # never was champion, and is better than version 1
        assert (third.version, third.promoted) == (3, True)
        assert register_model(make_request("back", gain=0.25)).champion.version == 4

    def test_made_champion_by_hand(self, make_request, client):
        register_model(make_request("by-hand", gain=0.3))
        register_model(make_request("by-hand", gain=0.1))
        client.set_registered_model_alias("by-hand", "champion", "2")
        again = register_model(make_request("by-hand", gain=0.1))
        assert (again.version, again.promoted) == (2, True)
        assert again.reason.endswith("Champion is version 2 now; the alias was moved since.")

    def test_what_it_was_compared_with_this_time_is_among_the_files_of_its_run(self, make_request, client, tmp_path):
        def register_again(champion):
            report = tmp_path / champion / "to-champion.safetensors"
            report.parent.mkdir()
            report.write_text(champion)
            judged = comparison(0.1, better=False)
            decision = dataclasses.replace(judged.decision, champion_version=champion)
            judged = dataclasses.replace(judged, decision=decision)
            return register_model(make_request("renewed", comparison=judged, reports=(report,)))

        def kept(name):
            address = client.get_run(first.run_id).info.artifact_uri
            return mlflow.artifacts.load_text(f"{address}/reports/{name}")

        first = register_again("7")
        assert kept("to-champion.safetensors") == "7"
        assert register_again("8") == first
        assert kept("to-champion.safetensors") == "8"
        assert json.loads(kept("comparison.json"))["decision"]["champion_version"] == "8"
        assert client.get_model_version("renewed", "1").tags["evaluation_champion"] == "8"

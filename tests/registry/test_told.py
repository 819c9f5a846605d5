"""What a version, its run and the page of a registration say, and what makes a registration another one."""

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from mlflow.exceptions import MlflowException

from embedtune.errors import RegistryError
from embedtune.models.card import EpochScore, Validation
from embedtune.registry.champion import Champion
from embedtune.registry.contents import check_model_name, registration_digest
from embedtune.registry.logged_models import _claim
from embedtune.registry.request import Registration, RegistrationRequest
from embedtune.registry.runs import _dataset_input, _experiment_id, _log_parameters, _what_was_trained, log_metrics
from embedtune.registry.versions import describe_version
from embedtune.retrieval.comparison import SideTable
from embedtune.retrieval.sides import MetricValues
from tests.comparisons import with_champion
from tests.registry.conftest import CARD, LossPoint, comparison

TWO = comparison(0.1, better=True)
ONE_METRIC = dataclasses.replace(TWO, metrics=TWO.metrics[:1], differences=TWO.differences[:1])
THREE = with_champion(ONE_METRIC, {"ndcg_at_10": 0.625})


def request(judged, **facts):
    whole = RegistrationRequest(Path("model"), judged, "shop", data_uri="/data/a.csv", data_version="v1")
    return dataclasses.replace(whole, **facts)


def test_a_description_with_a_champion_has_a_column_for_each_difference():
    card = dataclasses.replace(CARD, servers={})
    assert describe_version(request(THREE), card) == (
        "Embedding model: `tiny-bert` fine-tuned on 12 documents of `/data/a.csv` (`v1`).\n\n"
        "Vectors of 32 components; texts are cut after 64 tokens.\n\n"
        "Compared with the base and the champion: nDCG@10 rose enough.\n\n"
        "| metric | base | tuned | champion | from base | 95% interval | from champion | 95% interval |\n"
        "| --- | --- | --- | --- | --- | --- | --- | --- |\n"
        "| nDCG@10 | 0.5000 | 0.6000 | 0.6250 | +0.1000 | +0.0900 to +0.1100 | -0.0250 | -0.0350 to -0.0150 |\n\n"
        "Means over 10 held-out queries against 20 documents. "
        "Vectors of another model or version do not compare with these: encode the whole index again."
    )


def test_a_description_tells_what_there_is_alone():
    unheard = dataclasses.replace(
        ONE_METRIC,
        sides=THREE.sides,
        pairs=7,
        metrics=(*ONE_METRIC.metrics, MetricValues("mrr_at_10", {"tuned": 0.25})),
    )
    card = dataclasses.replace(CARD, servers={"vllm": ""}, max_length=0)
    told = describe_version(request(unheard, data_version=""), card)
    assert "documents of `/data/a.csv`.\n" in told
    assert "\n\nVectors of 32 components. MLflow can serve it. Of servers of embeddings, vllm can.\n\n" in told
    assert "\n| MRR@10 |  | 0.2500 |  |\n\nCorrelations over 7 held-out pairs with scores. Means over 10 " in told
    alone = describe_version(request(ONE_METRIC), card)
    assert "\n\nCompared with the base: nDCG@10 rose enough.\n\n| metric | base | tuned | difference | 95% int" in alone


class Client:
    """What is logged, batch by batch."""

    def __init__(self):
        self.batches = []

    def log_batch(self, run_id, metrics=(), params=()):
        assert run_id == "r"
        self.batches.append([*metrics, *params])


def run_with(**params):
    return SimpleNamespace(info=SimpleNamespace(run_id="r", start_time=1234), data=SimpleNamespace(params=params))


def test_metrics_of_all_sides_and_differences_at_the_start_of_the_run():
    client = Client()
    table = SideTable("production", "/held", ONE_METRIC.metrics, (), 9, 0, 20)
    judged = dataclasses.replace(THREE, side_tables=(table,))
    log_metrics(client, run_with(), request(judged), CARD, "m")
    (batch,) = client.batches
    assert {each.timestamp for each in batch} == {1234}
    assert {each.model_id for each in batch if each.key.startswith(("base", "champion", "train", "parity"))} == {None}
    found = {each.key: (round(each.value, 9), each.step) for each in batch if each.model_id == "m"}
    assert found == {
        "tuned/ndcg_at_10": (0.6, 0),
        "difference/ndcg_at_10": (0.1, 0),
        "lower/ndcg_at_10": (0.09, 0),
        "upper/ndcg_at_10": (0.11, 0),
        "difference_to_champion/ndcg_at_10": (-0.025, 0),
        "lower_to_champion/ndcg_at_10": (-0.035, 0),
        "upper_to_champion/ndcg_at_10": (-0.015, 0),
        "evaluations/production/tuned/ndcg_at_10": (0.6, 0),
    }
    found = {(each.key, each.value, each.step) for each in batch if each.model_id is None}
    assert found == {
        ("base/ndcg_at_10", 0.5, 0),
        ("champion/ndcg_at_10", 0.625, 0),
        ("evaluations/production/base/ndcg_at_10", 0.5, 0),
        ("train/loss", 2.0, 1),
        ("train/loss", 1.5, 2),
        ("train/seconds", 3.0, 0),
        ("train/texts_per_second", 8.0, 0),
        ("parity/max_difference", 1e-7, 0),
    }


def test_the_metric_of_each_epoch_lies_at_the_steps_of_the_loss():
    client = Client()
    scores = (EpochScore(0, 0, 0.25), EpochScore(1, 12, 0.5))
    card = dataclasses.replace(CARD, validation=Validation("spearman", 5, 6, scores, 1))
    log_metrics(client, run_with(), request(ONE_METRIC), card, "m")
    found = [each for batch in client.batches for each in batch if each.key.startswith("validation")]
    assert [(each.key, each.value, each.step, each.timestamp, each.model_id) for each in found] == [
        ("validation/spearman", 0.25, 0, 1234, None),
        ("validation/spearman", 0.5, 12, 1234, None),
    ]


def test_no_more_is_sent_at_once_than_a_server_takes():
    client = Client()
    card = dataclasses.replace(CARD, history=tuple(LossPoint(step, 0.5, 2.0) for step in range(2500)))
    log_metrics(client, run_with(), request(ONE_METRIC), card, "m")
    assert [len(batch) for batch in client.batches] == [1000, 1000, 508]
    assert [each.step for batch in client.batches for each in batch if each.key == "train/loss"] == list(range(2500))
    client = Client()
    wanted = {f"p{number:03}": str(number) for number in range(250)}
    _log_parameters(client, run_with(p007="7", p008="other"), wanted)
    assert [len(batch) for batch in client.batches] == [100, 100, 48]
    kept = [name for name in wanted if name not in ("p007", "p008")]
    assert [each.key for batch in client.batches for each in batch] == kept


@pytest.mark.parametrize(
    ("uri", "name", "kind", "source"),
    [
        ("s3://b/a/train.csv", "train.csv", "s3", {"uri": "s3://b/a/train.csv"}),
        ("minio://b/a", "a", "s3", {"uri": "minio://b/a"}),
        ("s3://bucket", "s3://bucket", "s3", {"uri": "s3://bucket"}),
        ("http://host/a.csv?token=x", "a.csv", "http", {"url": "http://host/a.csv"}),
        ("https://me:word@host/a.csv", "a.csv", "http", {"url": "https://host/a.csv"}),
        ("/data/a.csv", "a.csv", "local", {"uri": "/data/a.csv"}),
    ],
)
def test_data_are_named_as_mlflow_names_them(uri, name, kind, source):
    dataset = _dataset_input(uri, "training", "data_version", "v").dataset
    assert (dataset.name, dataset.source_type, json.loads(dataset.source)) == (name, kind, source)
    assert (dataset.digest, dataset.profile) == ("v", None)


def test_what_was_trained_is_said_in_the_singular_and_in_the_plural():
    for epochs, told in ((1, "1 epoch"), (2, "2 epochs")):
        card = dataclasses.replace(CARD, backbone="/models/bert", options={"epochs": epochs, "loss": "Loss"})
        assert _what_was_trained(card) == f"bert, Loss, {told}"


def test_the_page_of_a_registration():
    champion = Champion(2, "ndcg_at_10", 0.75, "10", "")
    refused = Registration("shop", 3, ("challenger",), "r", "models:/shop/3", 2, False, "It fell.", champion)
    assert refused.to_markdown({"Its run": "https://mlflow/r"}) == (
        "# shop, version 3: not promoted\n\nIt fell.\n\n"
        "- Champion: version 2 (nDCG@10 0.7500 over 10 queries)\n- Aliases of version 3: challenger\n"
        "- Load it: `models:/shop/3`\n- MLflow run: `r`\n- [Its run](https://mlflow/r)\n"
    )
    assert refused.champion_facts()["version"] == 2
    alone = dataclasses.replace(refused, promoted=True, champion=None, aliases=())
    assert alone.to_markdown({}).startswith("# shop, version 3: promoted\n\nIt fell.\n\n- Champion: none\n")
    assert "- Aliases of version 3: none; newer versions have them\n" in alone.to_markdown({})
    assert alone.champion_facts() == {}


def test_another_registration_is_one_of_another_model_or_of_what_decides(tmp_path):
    (tmp_path / "part").mkdir()
    files = {"a.json": "1", "part/b.json": "2"}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    first = request(TWO, model_folder=tmp_path)
    decision = TWO.decision
    others = [
        request(TWO, model_folder=tmp_path, model_name="shoes"),
        request(TWO, model_folder=tmp_path, data_version="v2"),
        request(ONE_METRIC, model_folder=tmp_path),
        *(
            request(dataclasses.replace(TWO, **changed), model_folder=tmp_path)
            for changed in (
                {"evaluation_digest": ""},
                {"decision": dataclasses.replace(decision, metric="mrr_at_10")},
                {"decision": dataclasses.replace(decision, min_gain=0.1)},
                {"decision": dataclasses.replace(decision, min_lower_bound=0.1)},
                {"metrics": (MetricValues("ndcg_at_10", {"base": 0.5, "tuned": 0.7}), *TWO.metrics[1:])},
                {"metrics": (MetricValues("ndcg_at_10", {"base": 0.4, "tuned": 0.6}), *TWO.metrics[1:])},
            )
        ),
    ]
    found = [registration_digest(each) for each in (first, *others)]
    for name, text in (("a.json", "3"), ("part/b.json", "3")):
        (tmp_path / name).write_text(text)
        found.append(registration_digest(first))
        (tmp_path / name).write_text(files[name])
    (tmp_path / "a.json").rename(tmp_path / "c.json")
    found.append(registration_digest(first))
    (tmp_path / "c.json").rename(tmp_path / "a.json")
    assert len(set(found)) == len(found)
    judged = dataclasses.replace(decision, better=False, champion_version="7", reason="It fell.")
    scored = with_champion(TWO, dict.fromkeys([each.name for each in TWO.metrics], 0.9))
    again = request(dataclasses.replace(scored, decision=judged), model_folder=tmp_path, data_uri="/data/b.csv")
    assert registration_digest(again) == found[0]


def test_the_longest_name_is_of_200_characters():
    check_model_name("x" * 200)


class Racing:
    """A server at which another attempt makes the same thing between a look and the making of it."""

    tracking_uri = "http://mlflow"

    def __init__(self, code="RESOURCE_ALREADY_EXISTS", stage="active"):
        self.code, self.stage, self.looks, self.deleted = code, stage, 0, []

    def get_experiment_by_name(self, name):
        self.looks += 1
        return None if self.looks == 1 else SimpleNamespace(experiment_id="7", lifecycle_stage=self.stage)

    def create_experiment(self, name, artifact_location):
        assert artifact_location is None
        error = MlflowException("no")
        error.error_code = self.code
        raise error

    def search_logged_models(self, experiments, condition):
        self.looks += 1
        mine, other = (
            SimpleNamespace(model_id=name, status="PENDING", creation_timestamp=at) for at, name in ((2, "m"), (1, "l"))
        )
        return [] if self.looks == 1 else [mine, other]

    def create_logged_model(self, experiment, name, source_run_id, tags):
        return SimpleNamespace(model_id="m")

    def delete_logged_model(self, model_id):
        self.deleted.append(model_id)


def test_an_experiment_that_another_attempt_has_made_is_used():
    assert _experiment_id(Racing(), "e", "http://mlflow") == "7"
    with pytest.raises(RegistryError, match="'e' was deleted"):
        _experiment_id(Racing(stage="deleted"), "e", "http://mlflow")
    with pytest.raises(MlflowException, match="no"):
        _experiment_id(Racing(code="INTERNAL_ERROR"), "e", "http://mlflow")


def test_of_two_logged_models_that_were_made_at_once_the_later_one_is_deleted():
    client, run = Racing(), SimpleNamespace(info=SimpleNamespace(experiment_id="7", run_id="r"))
    assert _claim(client, run, "digest").model_id == "l"
    assert client.deleted == ["m"]

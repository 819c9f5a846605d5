import dataclasses
import json
import math
from datetime import UTC, datetime, timedelta

import mlflow
import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

import embedtune
from embedtune.documents.summary import DataSummary, SplitSummary
from embedtune.errors import RegistryError
from embedtune.mlflow.connection import TRACKING_VARIABLE
from embedtune.records.rows import IngestReport
from embedtune.registry.champion import Champion
from embedtune.registry.packaging import pooling_of
from embedtune.registry.register import register_model
from embedtune.registry.state import read_state
from embedtune.registry.versions import describe_version, version_tags
from embedtune.retrieval.comparison import SideTable
from embedtune.retrieval.sides import MetricValues
from embedtune.storage.store import FolderStore
from tests.registry.conftest import CARD


@pytest.fixture
def client(registry):
    return MlflowClient(tracking_uri=registry.tracking_uri, registry_uri=registry.tracking_uri)


def versions(client, name):
    return sorted(int(found.version) for found in client.search_model_versions(f"name = '{name}'"))


def aliases(client, name):
    return {alias: int(version) for alias, version in client.get_registered_model(name).aliases.items()}


def dataset_of(run, context):
    """Return the input of a run with that context."""
    (found,) = (
        each
        for each in run.inputs.dataset_inputs
        if {"mlflow.data.context": context}.items() <= {tag.key: tag.value for tag in each.tags}.items()
    )
    return found


class TestAliases:
    def test_first_promoted_version_is_challenger_and_champion(self, make_request, client):
        registration = register_model(make_request("first"))
        assert registration == dataclasses.replace(
            registration,
            name="first",
            version=1,
            aliases=("challenger", "champion"),
            model_uri="models:/first@champion",
            previous_champion=None,
            promoted=True,
            reason="nDCG@10 rose enough.",
            champion=Champion(1, "ndcg_at_10", 0.6, "10", "sha256:" + "e1" * 32),
        )
        promotion = read_state(client, "first").promotion(1)
        assert (promotion.number, promotion.replaced, promotion.by, promotion.reason) == (
            1,
            None,
            "registration",
            "nDCG@10 rose enough.",
        )
        assert abs(datetime.fromisoformat(promotion.at) - datetime.now(UTC)) < timedelta(minutes=5)

    def test_version_that_is_not_promoted_is_challenger_only(self, make_request, client):
        registration = register_model(make_request("modest", better=False))
        assert registration.aliases == ("challenger",)
        assert registration.model_uri == "models:/modest/1"
        assert (registration.promoted, registration.previous_champion) == (False, None)
        assert aliases(client, "modest") == {"challenger": 1}

    def test_old_champion_becomes_previous(self, make_request, client):
        register_model(make_request("chain", gain=0.1))
        second = register_model(make_request("chain", gain=0.05, better=False))
        third = register_model(make_request("chain", gain=0.2))
        assert (second.previous_champion, third.previous_champion) == (1, 1)
        assert aliases(client, "chain") == {"challenger": 3, "champion": 3, "previous": 1}
        state = read_state(client, "chain")
        assert (state.promotion(3).number, state.promotion(3).replaced) == (2, 1)
        assert state.promotion(2) is None


class TestRepetition:
    def test_same_registration_gives_the_same_version(self, make_request, client):
        first = register_model(make_request("again"))
        assert register_model(make_request("again")) == first
        assert versions(client, "again") == [1]

    def test_other_data_version_gives_another_version(self, make_request, client):
        register_model(make_request("data"))
        assert register_model(make_request("data", data_version="sha256:cd")).version == 2

    def test_repetition_does_not_take_aliases_back_from_newer_versions(self, make_request, client):
        register_model(make_request("late", gain=0.1))
        register_model(make_request("late", gain=0.2))
        repeated = register_model(make_request("late", gain=0.1))
        assert (repeated.version, repeated.aliases, repeated.model_uri) == (1, ("previous",), "models:/late/1")
        assert aliases(client, "late") == {"challenger": 2, "champion": 2, "previous": 1}

    def test_repetition_does_not_undo_a_rollback_by_hand(self, make_request, client):
        register_model(make_request("rollback", gain=0.1))
        register_model(make_request("rollback", gain=0.2))
        client.set_registered_model_alias("rollback", "champion", "1")
        register_model(make_request("rollback", gain=0.2))
        assert aliases(client, "rollback")["champion"] == 1

    @pytest.mark.parametrize("broken", ["champion", "challenger", "previous"])
    def test_failure_between_version_and_aliases_is_finished_by_the_retry(
        self, make_request, client, monkeypatch, broken
    ):
        name = f"interrupted-{broken}"
        register_model(make_request(name, gain=0.1))
        set_alias = MlflowClient.set_registered_model_alias

        def fail(self, model, alias, version):
            if alias == broken:
                raise MlflowException("connection lost")
            set_alias(self, model, alias, version)

        with monkeypatch.context() as patch:
            patch.setattr(MlflowClient, "set_registered_model_alias", fail)
            with pytest.raises(RegistryError, match="connection lost"):
                register_model(make_request(name, gain=0.2))
        assert aliases(client, name)["champion"] == 1
        retried = register_model(make_request(name, gain=0.2))
        assert (retried.version, retried.previous_champion) == (2, 1)
        assert versions(client, name) == [1, 2]
        assert aliases(client, name) == {"challenger": 2, "champion": 2, "previous": 1}

    def test_failed_upload_leaves_no_version_and_the_retry_continues_its_run(self, make_request, client, monkeypatch):
        def fail(self, name, source, put_file=FolderStore.put_file):
            if name == "MLmodel":
                raise MlflowException("disk full")
            return put_file(self, name, source)

        with monkeypatch.context() as patch:
            patch.setattr(FolderStore, "put_file", fail)
            with pytest.raises(RegistryError, match="disk full"):
                register_model(make_request("upload", experiment="upload"))
        assert versions(client, "upload") == []
        experiment = client.get_experiment_by_name("upload").experiment_id
        (failed,) = client.search_runs([experiment])
        assert failed.info.status == "FAILED"
        assert failed.info.run_name == "upload: tiny-bert, TripletMarginLoss, 3 epochs"
        statuses = []

        def look(self, name, source, put_file=FolderStore.put_file):
            if name == "MLmodel":
                statuses.append(client.get_run(failed.info.run_id).info.status)
            return put_file(self, name, source)

        monkeypatch.setattr(FolderStore, "put_file", look)
        registration = register_model(make_request("upload", experiment="upload"))
        assert (registration.run_id, statuses) == (failed.info.run_id, ["RUNNING"])
        assert client.get_run(registration.run_id).info.status == "FINISHED"


class TestRecord:
    @pytest.fixture(scope="class")
    def registration(self, make_request, registry, tmp_path_factory):
        folder = tmp_path_factory.mktemp("reports")
        contents = {"qrels.txt": "q 0 d 1", "report": "\n<!DOCTYPE html><p>page</p>", "summary": "# Better"}
        for name, content in contents.items():
            (folder / name).write_text(content)
        reports = tuple(folder / name for name in contents)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(TRACKING_VARIABLE, registry.tracking_uri)
            return register_model(make_request("record", reports=reports, pipeline_run="run-7"))

    @pytest.fixture
    def run(self, registration, client):
        return client.get_run(registration.run_id)

    def test_parameters_carry_a_prefix_and_are_cut_to_the_servers_limit(self, run):
        parameters = run.data.params
        assert all("." in name for name in parameters)
        assert parameters["finetune.epochs"] == "3"
        assert parameters["finetune.learning_rate"] == "0.0001"
        assert parameters["finetune.loss"] == "TripletMarginLoss"
        assert parameters["model.backbone"] == "tiny-bert"
        assert len(parameters["finetune.long"]) == 500
        epoch = {name: parameters[f"training.{name}"] for name in ("contents_used", "rows_per_batch", "negatives")}
        assert epoch == {"contents_used": "12", "rows_per_batch": "6.0", "negatives": "4.5"}
        assert parameters["evaluation.digest"] == "sha256:" + "e1" * 32

    def test_what_decided_the_data_is_among_the_parameters(self, make_request, client):
        reading = IngestReport(rows=40, bad_rows=2, layout="labelled", modalities=("text",), read_as="sample")
        sizes = SplitSummary(documents=10, labels=2, words_median=3, words_p95=5)
        data = DataSummary(
            layout="labelled",
            rows=40,
            quarantined=1,
            duplicates=3,
            split_rule="stratified",
            split_reason="because",
            eval_share=0.25,
            seed=7,
            train=sizes,
            query=sizes,
            index=sizes,
            relevant_per_query=1.0,
            largest_group_share=0.1,
            label_histogram=(),
            examples=(),
            warnings=(),
            reading=reading,
        )
        options = '{"sampling_rate": 0.5}'
        made = register_model(make_request("decided", data=data, csv_options=options, max_bad_share=0.2))
        expected = {
            "data.read": "layout labelled; contents text; read as sample",
            "data.rows": "40",
            "data.set_aside": "3",
            "data.split_rule": "stratified",
            "data.split_seed": "7",
            "data.eval_share": "0.25",
            "data.csv_options": options,
            "data.max_bad_share": "0.2",
        }
        assert expected.items() <= client.get_run(made.run_id).data.params.items()

    def test_the_whole_version_of_the_data_is_a_tag_of_run_version_and_data_set(self, run, client):
        whole = "sha256:" + "ab" * 32
        tags = {tag.key: tag.value for tag in dataset_of(run, "training").tags}
        assert run.data.tags["data_version"] == tags["data_version"] == run.data.params["data.version"] == whole
        assert client.get_model_version("record", "1").tags["data_version"] == whole

    def test_the_run_is_called_after_the_version_and_what_was_trained(self, run):
        assert run.info.run_name == "record v1: tiny-bert, TripletMarginLoss, 3 epochs"

    def test_the_run_is_as_long_as_the_training_at_least(self, run):
        assert 3.0 <= (run.info.end_time - run.info.start_time) / 1000 < 120.0

    def test_the_run_begins_with_the_pipeline_unless_the_training_is_older(self, make_request, client):
        begun = datetime.now(UTC) - timedelta(seconds=100)
        for name, started, seconds in (("whole", begun, 100.0), ("cached", begun + timedelta(seconds=99.5), 3.0)):
            info = client.get_run(register_model(make_request(name, started=started)).run_id).info
            assert seconds <= (info.end_time - info.start_time) / 1000 < seconds + 60

    def test_metrics(self, run, client):
        metrics = run.data.metrics
        assert metrics["base/ndcg_at_10"] == 0.5
        assert metrics["tuned/ndcg_at_10"] == 0.6
        assert math.isclose(metrics["lower/ndcg_at_10"], 0.09)
        assert metrics["train/texts_per_second"] == 8.0
        history = client.get_metric_history(run.info.run_id, "train/loss")
        assert [(point.step, point.value) for point in history] == [(1, 2.0), (2, 1.5)]

    def test_metrics_of_further_evaluations(self, make_request, client):
        request = make_request("judged on more")
        measured = (MetricValues("mrr_at_10", {"base": 0.25, "tuned": 0.75}),)
        table = SideTable("production", "/held", measured, (), 9, 0, 20)
        comparison = dataclasses.replace(request.comparison, side_tables=(table,))
        version = register_model(dataclasses.replace(request, comparison=comparison))
        metrics = client.get_run(version.run_id).data.metrics
        found = {name: value for name, value in metrics.items() if name.startswith("evaluations/")}
        assert found == {
            "evaluations/production/base/mrr_at_10": 0.25,
            "evaluations/production/tuned/mrr_at_10": 0.75,
        }

    def test_tuned_metrics_rank_the_logged_models(self, run, client):
        models = client.search_logged_models(
            [run.info.experiment_id], filter_string="metrics.`tuned/ndcg_at_10` >= 0.6 AND name = 'embedder'"
        )
        assert run.outputs.model_outputs[0].model_id in [model.model_id for model in models]

    def test_dataset_without_credentials(self, run):
        dataset = dataset_of(run, "training").dataset
        assert (dataset.name, dataset.digest, dataset.source_type) == ("train.csv", "ab" * 18, "s3")
        assert json.loads(dataset.source) == {"uri": "s3://bucket/data/train.csv"}

    def test_held_out_data_are_a_dataset_beside_it(self, run):
        found = dataset_of(run, "evaluation")
        dataset, tags = found.dataset, {tag.key: tag.value for tag in found.tags}
        assert (dataset.name, dataset.digest, dataset.source_type) == ("train.csv", "e1" * 18, "s3")
        assert json.loads(dataset.source) == {"uri": "s3://bucket/data/train.csv"}
        assert json.loads(dataset.profile) == {"queries": 10, "index_documents": 20}
        assert tags["evaluation_digest"] == "sha256:" + "e1" * 32
        assert len(run.inputs.dataset_inputs) == 2

    def test_no_credentials_anywhere(self, run, client):
        version = client.get_model_version("record", "1")
        assert "hunter2" not in f"{run.to_dictionary()} {version} {run.inputs}"

    def test_reports_are_artifacts_with_an_ending(self, run, client):
        names = {file.path.rpartition("/")[2] for file in client.list_artifacts(run.info.run_id, "reports")}
        assert names == {"comparison.json", "qrels.txt", "report.html", "report.md"}
        kept = mlflow.artifacts.load_text(f"{run.info.artifact_uri}/reports/report.html")
        assert kept == "\n<!DOCTYPE html><p>page</p>"

    def test_version_is_described_and_tagged(self, client):
        version = client.get_model_version("record", "1")
        assert "| nDCG@10 | 0.5000 | 0.6000 | +0.1000 | +0.0900 to +0.1100 |" in version.description
        assert (
            "Vectors of 32 components; texts are cut after 64 tokens. MLflow can serve it. Of servers of embeddings, "
            "text-embeddings-inference can; vllm cannot: it knows no module GeM.\n"
        ) in version.description
        expected = {
            "decision": "promoted",
            "base_model": "tiny-bert",
            "contents": '["text"]',
            "prompts": '{"document": "", "query": ""}',
            "pooling": "mean",
            "similarity": '"cosine"',
            "layout": "labeled",
            "embedtune_version": embedtune.__version__,
            "dimension": "32",
            "data_version": "sha256:" + "ab" * 32,
            "data_digest": "sha256:11",
            "max_length": "64",
            "pipeline_run": "run-7",
            "image": "registry.example.org/embedtune-train:1.2",
            "ndcg_at_10_base": "0.5000",
            "ndcg_at_10_tuned": "0.6000",
            "reason": "nDCG@10 rose enough.",
            "evaluation_digest": "sha256:" + "e1" * 32,
            "evaluation_metric": "ndcg_at_10",
            "evaluation_value": "0.6",
            "evaluation_queries": "10",
            "parity_max_difference": "1e-07",
        }
        assert expected.items() <= version.tags.items()

    def test_the_run_names_the_pipelines_run(self, run):
        assert run.data.tags["pipeline_run"] == "run-7"


def test_a_model_trained_in_no_image_and_no_pipeline_names_none(make_request, client):
    tags = version_tags(make_request("trained in no pod"), dataclasses.replace(CARD, image=""), "digest")
    assert {"image", "pipeline_run", "base_model_licence"}.isdisjoint(tags)
    made = register_model(make_request("trained in no pod"))
    assert "pipeline_run" not in client.get_run(made.run_id).data.tags


@pytest.mark.parametrize(
    ("module", "config", "pooling"),
    [
        ("sentence_transformers.models.Pooling", {"pooling_mode": "cls"}, "cls"),
        ("sentence_transformers.models.Pooling", {"pooling_mode": ["mean", "max"]}, "mean+max"),
        ("embedtune.models.modules.gem.GeM", {}, "gem"),
        ("embedtune.models.modules.pointnet.PointNet", {}, "none"),
    ],
)
def test_the_pooling_is_that_of_the_folder(tmp_path, module, config, pooling):
    modules = [{"path": "", "type": "sentence_transformers.models.Transformer"}, {"path": "1_Part", "type": module}]
    (tmp_path / "modules.json").write_text(json.dumps(modules))
    (tmp_path / "1_Part").mkdir()
    (tmp_path / "1_Part" / "config.json").write_text(json.dumps(config))
    assert pooling_of(tmp_path) == pooling


def test_a_base_that_the_catalogue_knows_has_its_licence_told(make_request):
    card = dataclasses.replace(CARD, backbone="all-MiniLM-L6-v2")
    request = make_request("licensed")
    assert version_tags(request, card, "digest")["base_model_licence"] == "Apache-2.0"
    assert "that it was tuned from: Apache-2.0.\n" in describe_version(request, card)
    assert "base_model_licence" not in version_tags(request, CARD, "digest")
    assert "Licence" not in describe_version(request, CARD)


def test_the_values_of_a_version_are_those_of_the_metric_that_decided(make_request):
    judged = make_request("valued").comparison
    others = [dataclasses.replace(each, values={"base": 0.25, "tuned": 0.125}) for each in judged.metrics]
    metrics = tuple(
        each if each.name == "ndcg_at_10" else other for each, other in zip(judged.metrics, others, strict=True)
    )
    request = make_request("valued", comparison=dataclasses.replace(judged, metrics=metrics[::-1]))
    tags = version_tags(request, CARD, "digest")
    assert (tags["ndcg_at_10_base"], tags["ndcg_at_10_tuned"], tags["evaluation_value"]) == ("0.5000", "0.6000", "0.6")


def test_unknown_data_makes_no_nameless_dataset(make_request, client):
    registration = register_model(make_request("no-data", data_uri="", data_version=""))
    assert client.get_run(registration.run_id).inputs.dataset_inputs == []
    description = client.get_model_version("no-data", "1").description
    assert description.startswith("Embedding model: `tiny-bert` fine-tuned on 12 documents.\n")


def test_an_address_cannot_break_out_of_its_code_span(make_request, client):
    register_model(make_request("ticks", data_uri="/data/a`<b>`\n\n# b.csv", data_version="v"))
    description = client.get_model_version("ticks", "1").description
    assert "documents of `/data/aˋ<b>ˋ # b.csv` (`v`).\n" in description


def test_a_version_that_lost_its_alias_is_not_called_promoted(make_request, client):
    assert register_model(make_request("demoted")).promoted
    client.delete_registered_model_alias("demoted", "champion")
    again = register_model(make_request("demoted"))
    assert (again.promoted, again.reason) == (
        False,
        "nDCG@10 rose enough. Champion is no version now; the alias was moved since.",
    )


def test_platform_run_is_continued_and_left_open(make_request, client, registry, monkeypatch):
    experiment = client.create_experiment("platform", artifact_location=registry.artifact_location)
    platform_run = client.create_run(experiment).info.run_id
    client.log_param(platform_run, "epochs", "5")
    monkeypatch.setenv("MLFLOW_RUN_ID", platform_run)
    registration = register_model(make_request("resumed", experiment="never-made"))
    assert registration.run_id == platform_run
    run = client.get_run(platform_run)
    assert run.info.status == "RUNNING"
    assert (run.data.params["epochs"], run.data.params["finetune.epochs"]) == ("5", "3")
    assert client.get_experiment_by_name("never-made") is None

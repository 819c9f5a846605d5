"""The run that Kubeflow's MLflow plugin has started for the task is used, whatever is in it, on a real server."""

import pytest

from embedtune.errors import RegistryError
from embedtune.mlflow.connection import TRACKING_VARIABLE, connect
from embedtune.registry.register import register_model


@pytest.fixture
def client(mlflow_server, monkeypatch):
    monkeypatch.setenv(TRACKING_VARIABLE, mlflow_server)
    return connect(mlflow_server)


@pytest.fixture
def platform_run(client, monkeypatch, request):
    """A run as the plugin leaves it for the task: the task's parameters under their bare names."""
    name = f"platform {request.node.name}"
    run = client.create_run(client.create_experiment(name), run_name="register-model").info.run_id
    client.log_param(run, "epochs", "5")
    client.log_metric(run, "tuned/ndcg_at_10", 0.125, step=7)
    client.set_tag(run, "kfp.pipeline_run_id", "run-1")
    monkeypatch.setenv("MLFLOW_RUN_ID", run)
    return run


def test_what_is_there_stays_and_ours_comes_beside_it(client, platform_run, make_request):
    made = register_model(make_request("beside", experiment="never-made"))
    assert made.run_id == platform_run
    run = client.get_run(platform_run)
    assert (run.data.params["epochs"], run.data.params["finetune.epochs"]) == ("5", "3")
    assert (run.data.tags["kfp.pipeline_run_id"], run.info.run_name) == ("run-1", "register-model")
    assert run.info.status == "RUNNING"
    history = client.get_metric_history(platform_run, "tuned/ndcg_at_10")
    assert sorted((point.step, point.value) for point in history) == [(0, 0.6), (7, 0.125)]
    assert client.get_experiment_by_name("never-made") is None


def test_a_parameter_of_another_value_stays_and_costs_no_other(client, platform_run, make_request, capsys):
    client.log_param(platform_run, "finetune.epochs", "99")
    client.log_param(platform_run, "finetune.loss", "TripletMarginLoss")
    register_model(make_request("other-value"))
    run = client.get_run(platform_run)
    assert (run.data.params["finetune.epochs"], run.data.params["model.dimension"]) == ("99", "32")
    assert run.data.metrics["base/ndcg_at_10"] == 0.5
    told = "".join(capsys.readouterr())
    assert "says that finetune.epochs is '99', which stays; this registration has '3'." in " ".join(told.split())
    assert "finetune.loss" not in told


def test_a_run_that_has_ended_is_written_to_and_stays_ended(client, platform_run, make_request):
    client.set_terminated(platform_run, "FINISHED")
    made = register_model(make_request("ended"))
    run = client.get_run(platform_run)
    assert (made.run_id, run.info.status, run.data.metrics["base/ndcg_at_10"]) == (platform_run, "FINISHED", 0.5)


def test_a_deleted_run_is_refused_by_its_id_and_registers_nothing(client, platform_run, make_request):
    client.delete_run(platform_run)
    with pytest.raises(RegistryError, match=platform_run):
        register_model(make_request("deleted-run"))
    assert list(client.search_model_versions("name = 'deleted-run'")) == []


def test_the_next_attempt_in_another_run_registers_what_was_uploaded(client, platform_run, make_request, monkeypatch):
    def fail(*arguments, **named):
        raise RegistryError("killed")

    with monkeypatch.context() as patch:
        patch.setattr("embedtune.registry.register.create_version", fail)
        with pytest.raises(RegistryError, match="killed"):
            register_model(make_request("next-attempt"))
    experiment = client.get_run(platform_run).info.experiment_id
    second = client.create_run(experiment).info.run_id
    monkeypatch.setenv("MLFLOW_RUN_ID", second)
    made = register_model(make_request("next-attempt"))
    assert made.run_id == second
    (model,) = client.search_logged_models([experiment])
    assert client.get_model_version("next-attempt", "1").source == model.artifact_location
    assert client.get_run(second).data.metrics["base/ndcg_at_10"] == 0.5

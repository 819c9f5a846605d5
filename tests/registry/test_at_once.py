"""The same registration twice at once, or killed and repeated, leaves one version, one model, one run: MLflow's own."""

import pickle
import signal
import subprocess
import sys

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from embedtune.errors import RegistryError
from embedtune.mlflow.connection import TRACKING_VARIABLE, connect, local_tracking_uri
from embedtune.registry import register
from embedtune.registry.register import register_model
from embedtune.registry.state import read_state
from tests.registry.interleaving import Killed, Party, play


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    return local_tracking_uri(tmp_path_factory.mktemp("at-once"))


@pytest.fixture(params=["local", "mlflow_server"], ids=["local", "served"])
def client(request, monkeypatch):
    uri = request.getfixturevalue(request.param)
    monkeypatch.setenv(TRACKING_VARIABLE, uri)
    return connect(uri)


@pytest.fixture
def attempt(monkeypatch, client):
    """Return how to make an attempt at a registration that stops before each call of its client."""
    current = []
    monkeypatch.setattr(register, "connect", lambda uri: current[-1])

    def make(request, dies_before=None):
        def work(party):
            current.append(party)
            return register_model(request)

        return Party(client, work, dies_before)

    return make


def calls_of(attempt, request):
    party = attempt(request)
    party.finish()
    assert party.error is None
    return party.calls


def places(calls, client):
    """Return where to interrupt: at every third call on this machine, at every fifteenth over HTTP, to save time."""
    return range(0, calls, 3 if client.tracking_uri.startswith("sqlite") else 15)


def check_one_of_each(client, request):
    name, experiment = request.model_name, client.get_experiment_by_name(request.experiment).experiment_id
    (version,) = client.search_model_versions(f"name = '{name}'")
    (model,) = client.search_logged_models([experiment])
    (run,) = client.search_runs([experiment])
    assert (version.source, version.run_id) == (model.artifact_location, run.info.run_id)
    assert str(model.status) == "READY"
    assert (run.info.status, run.info.run_name.split(":")[0]) == ("FINISHED", f"{name} v{version.version}")
    assert [output.model_id for output in run.outputs.model_outputs][-1:] == [model.model_id]
    state = read_state(client, name)
    assert (state.champion, state.aliases["challenger"]) == (int(version.version), int(version.version))


def fresh(make_request, kind, client, place):
    name = f"{kind}-{place}"
    return make_request(name, experiment=f"{name} of {client.tracking_uri[:4]}")


def test_held_up_at_any_call_while_the_other_attempt_does_everything(make_request, client, attempt):
    calls = calls_of(attempt, fresh(make_request, "alone", client, 0))
    for place in places(calls, client):
        request = fresh(make_request, "held", client, place)
        parties = [attempt(request), attempt(request)]
        play(parties, place, None)
        assert [party.error for party in parties] == [None, None]
        assert parties[0].result == parties[1].result
        check_one_of_each(client, request)


def test_killed_at_any_call_the_retry_goes_on(make_request, client, attempt):
    calls = calls_of(attempt, fresh(make_request, "lonely", client, 0))
    for place in places(calls, client):
        request = fresh(make_request, "killed", client, place)
        killed = attempt(request, dies_before=place)
        killed.finish()
        assert isinstance(killed.error, Killed)
        register_model_again(attempt, request)
        check_one_of_each(client, request)


def register_model_again(attempt, request):
    party = attempt(request)
    party.finish()
    assert party.error is None


def test_a_version_that_could_not_be_created_costs_no_second_upload(make_request, local, monkeypatch):
    monkeypatch.setenv(TRACKING_VARIABLE, local)
    client, request = connect(local), make_request("no second upload", experiment="no second upload")

    def fail(*arguments, **named):
        raise MlflowException("connection lost")

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "create_model_version", fail)
        with pytest.raises(RegistryError, match="connection lost"):
            register_model(request)
    with monkeypatch.context() as patch:
        patch.setattr("embedtune.registry.logged_models.send_model", fail)
        register_model(request)
    check_one_of_each(client, request)


DYING = """
import os, pickle, signal, sys
from mlflow import MlflowClient
from embedtune.registry.register import register_model

setattr(MlflowClient, sys.argv[1], lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL))
register_model(pickle.load(sys.stdin.buffer))
"""
"""Registers, and is killed by the system where it would call what it is given."""


@pytest.mark.parametrize("call", ["create_model_version", "set_registered_model_alias"])
def test_what_a_killed_process_left_is_completed_by_the_next(call, make_request, local, monkeypatch):
    monkeypatch.setenv(TRACKING_VARIABLE, local)
    request = make_request(f"killed at {call}", experiment=f"killed at {call}")
    died = subprocess.run([sys.executable, "-c", DYING, call], input=pickle.dumps(request), check=False)
    assert died.returncode == -signal.SIGKILL
    client = connect(local)
    versions = client.search_model_versions(f"name = '{request.model_name}'")
    assert len(versions) == (call == "set_registered_model_alias")
    register_model(request)
    check_one_of_each(client, request)

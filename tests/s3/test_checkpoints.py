"""Checkpoints on a store that fails: the training waits for nothing, and a checkpoint arrives whole or not at all."""

import pytest

from embedtune.storage.objects import client
from embedtune.training.checkpoints import CheckpointStore, forget_finished


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(client, "_RETRIES", 2)


@pytest.fixture
def checkpoints(store, tmp_path):
    return CheckpointStore(store.uri, "0123456789abcdef", tmp_path / "scratch")


def write(checkpoints, step):
    folder = checkpoints.scratch / f"checkpoint-{step}"
    folder.mkdir(parents=True)
    for name in ("model", "optimizer", "state"):
        (folder / name).write_text(f"{name} of step {step}")
    return folder


def restored(store, tmp_path):
    folder = CheckpointStore(store.uri, "0123456789abcdef", tmp_path / "next").restore()
    return folder and sorted(path.read_text() for path in folder.iterdir())


def test_errors_and_lost_connections(store, proxy, checkpoints, tmp_path, capsys):
    proxy.failures = [("PUT", 503, "SlowDown"), ("PUT", 500, "InternalError"), ("GET", 502, "BadGateway")]
    proxy.lose_answers = [("PUT", "optimizer"), ("PUT", "manifest.json"), ("POST", "delete")]
    for step in (1, 2):
        checkpoints.keep(write(checkpoints, step))
    checkpoints.settle()
    assert proxy.failures == proxy.lose_answers == []
    assert "checkpoint" not in capsys.readouterr().err
    proxy.failures = [("GET", 503, "SlowDown")]
    assert restored(store, tmp_path) == ["model of step 2", "optimizer of step 2", "state of step 2"]
    assert len(store.names()) == 4


def test_a_store_that_goes_away_and_comes_back(store, proxy, checkpoints, tmp_path, monkeypatch, capsys):
    """Gone after two of three files: sent again, what is missing alone, and the one before stays until then."""
    checkpoints.keep(write(checkpoints, 1))
    checkpoints.settle()
    proxy.dies_after_puts = len(proxy.puts()) + 2
    between = []

    def come_back(seconds):
        assert seconds == 5.0
        proxy.dies_after_puts = None
        between.append(restored(store, tmp_path))
        proxy.requests.clear()

    monkeypatch.setattr(checkpoints._hurry, "wait", come_back)
    checkpoints.keep(write(checkpoints, 2))
    while checkpoints.busy:  # who settles has no time to wait for a silent store
        checkpoints._sending.join(1)
    assert between == [["model of step 1", "optimizer of step 1", "state of step 1"]]
    assert "A checkpoint cannot be stored now, the next try is in 5 s" in capsys.readouterr().err
    assert 0 < len([path for path in proxy.puts() if "manifest" not in path]) < 3
    again = CheckpointStore(store.uri, "0123456789abcdef", tmp_path / "last").restore()
    assert again is not None
    assert (again / "optimizer").read_text() == "optimizer of step 2"
    assert len(store.names()) == 4


def test_the_finished_model_is_there_until_the_next_step_has_it(store, checkpoints, tmp_path):
    checkpoints.keep(write(checkpoints, 1))
    for name in ("model", "other"):
        (tmp_path / name).mkdir()
        for file in ("embedtune.json", "training.json"):
            (tmp_path / name / file).write_text(name)
    checkpoints.finish(tmp_path / "model")
    assert len(store.names()) == 3
    again = CheckpointStore(store.uri, "0123456789abcdef", tmp_path / "next")
    assert again.restore() is None
    finished = again.finished()
    assert finished is not None
    assert (finished / "training.json").read_text() == "model"
    forget_finished(f"{store.uri}/", tmp_path / "other")
    assert len(store.names()) == 3
    forget_finished(f"{store.uri}/", tmp_path / "model")
    assert store.names() == []

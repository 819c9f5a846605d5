"""What a step's configuration refuses before anything runs."""

from pathlib import Path

import pytest

from embedtune.errors import ConfigError, StorageError
from embedtune.steps.evaluate_retrieval import EvaluateRetrievalConfig
from embedtune.steps.ingest_csv import IngestCSVConfig
from embedtune.steps.register_model import RegisterModelConfig


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layout": "triples"}, "layout='triples'"),
        ({"max_bad_share": 1.5}, "max_bad_share=1.5"),
        ({"max_bad_share": float("nan")}, "max_bad_share=nan"),
        ({"csv_options": '{"quote": 1}'}, "Unknown CSV option 'quote'"),
        ({"csv_options": "x"}, "are not JSON"),
    ],
)
def test_ingest(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        IngestCSVConfig("data.csv", **changes)


def test_ingest_of_no_address() -> None:
    with pytest.raises(StorageError, match="unknown scheme"):
        IngestCSVConfig("ftp://host/data.csv")


@pytest.mark.parametrize("changes", [{"model_name": "a/b"}, {"model_name": ""}, {"experiment": " "}])
def test_registration(changes: dict[str, str]) -> None:
    with pytest.raises(ConfigError):
        RegisterModelConfig(**{"model_name": "tiny", **changes})


def test_registration_with_credentials_in_an_address() -> None:
    with pytest.raises(StorageError) as caught:
        RegisterModelConfig("tiny", data_uri="s3://user:hunter2@bucket/data.csv")
    assert "hunter2" not in str(caught.value)


def test_evaluation_seed() -> None:
    with pytest.raises(ConfigError, match="seed is -1"):
        EvaluateRetrievalConfig(seed=-1)


def test_a_lost_event_file_neither_stops_nor_hides_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from embedtune.progress import EVENTS_VARIABLE
    from embedtune.steps.running import step

    @step
    def half(number: int) -> float:
        if number < 0:
            raise ConfigError("number is negative")
        return number / 2

    monkeypatch.setenv(EVENTS_VARIABLE, str(tmp_path / "gone" / "events.jsonl"))
    assert half(4) == 2.0
    with pytest.raises(ConfigError, match="number is negative"):
        half(-1)

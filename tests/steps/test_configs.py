"""What a step's configuration refuses before anything runs."""

from pathlib import Path

import pytest

from embedtune.errors import ConfigError, InputError, StorageError
from embedtune.steps.evaluate_retrieval import EvaluateRetrievalConfig
from embedtune.steps.ingest_csv import IngestCSVConfig
from embedtune.steps.register_model import RegisterModelConfig
from embedtune.steps.resolve_data import ResolveDataConfig
from pipelines.compiling import PIPELINES
from pipelines.finetune import check_finetune


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


def arguments(**changes: object) -> dict[str, object]:
    inputs = PIPELINES["finetune"].component.component_spec.inputs
    return {name: spec.default for name, spec in inputs.items()} | {"data_uri": "data.csv"} | changes


def test_the_pipelines_defaults_pass() -> None:
    check_finetune(arguments())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data_layout": "triples"}, "layout='triples'"),
        ({"data_max_bad_share": 2.0}, "max_bad_share"),
        ({"register_model_name": "a/b"}, "model_name is 'a/b'"),
        ({"register_experiment": ""}, "experiment is blank"),
        ({"train_seed": -1}, "seed"),
        ({"eval_metric": "accuracy"}, "accuracy"),
        ({"train_loss": "none"}, "loss is 'none'"),
        ({"model_backbone": " "}, "backbone is ' '"),
        ({"gpu_count": "abc"}, "gpu_count is 'abc'; accepted: '0' .* or more, a whole number"),
        ({"gpu_count": "-1"}, "gpu_count is '-1'"),
        ({"gpu_count": "1.5"}, "gpu_count is '1.5'"),
        ({"gpu_count": ""}, "gpu_count is ''"),
        ({"gpu_count": "٣"}, "gpu_count is"),
        ({"gpu_type": ""}, "gpu_type is ''; accepted: the name of a resource of Kubernetes"),
        ({"gpu_type": "gpu"}, "gpu_type is 'gpu'"),
        ({"gpu_type": "nvidia.com/gpu "}, "gpu_type is 'nvidia.com/gpu '"),
    ],
)
def test_the_pipeline_checks_the_arguments_of_every_step(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_finetune(arguments(**changes))


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


def test_a_loss_that_does_not_fit_the_layout_is_refused_before_anything_is_read() -> None:
    with pytest.raises(InputError, match=r"The loss CLIPLoss does not fit data of the layout 'scored'\. What fits"):
        check_finetune(arguments(data_layout="scored", train_loss="CLIPLoss"))
    check_finetune(arguments(data_layout="scored"))
    check_finetune(arguments(train_loss="CLIPLoss"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layout": "scored", "loss": "CLIPLoss"}, r"The loss CLIPLoss does not fit data of the layout 'scored'\."),
        ({"layout": "plain", "loss": "SupConLoss"}, "of the layout 'plain', .* nothing can be learned"),
        ({"layout": "triples"}, "layout='triples' is not accepted"),
        ({"loss": "none"}, "loss is 'none'"),
    ],
)
def test_the_first_step_refuses_them_on_a_cluster_too(changes: dict[str, str], message: str) -> None:
    with pytest.raises((ConfigError, InputError), match=message):
        ResolveDataConfig("data.csv", "", **changes)
    ResolveDataConfig("data.csv", "", layout="scored", loss="CoSENTLoss")

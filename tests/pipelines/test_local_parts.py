"""The small parts of a local run, each alone; `tests/local` runs the whole."""

from pathlib import Path

import pytest
from kfp.pipeline_spec import pipeline_spec_pb2

from embedtune.errors import ConfigError, StorageError
from pipelines.compiling import PIPELINES, parameters_of
from pipelines.local import check_run, publish
from pipelines.local_child import drop_retries


def specification() -> pipeline_spec_pb2.PipelineSpec:
    spec = pipeline_spec_pb2.PipelineSpec()
    spec.CopyFrom(PIPELINES["finetune"].component.pipeline_spec)
    return spec


def test_local_runs_do_not_retry() -> None:
    spec = specification()
    assert all(task.retry_policy.max_retry_count == 3 for task in spec.root.dag.tasks.values())
    spec.components["comp-nested"].dag.tasks["inner"].retry_policy.max_retry_count = 2
    drop_retries(spec)
    assert not any(task.HasField("retry_policy") for task in spec.root.dag.tasks.values())
    assert not spec.components["comp-nested"].dag.tasks["inner"].HasField("retry_policy")
    original = PIPELINES["finetune"].component.pipeline_spec.root.dag.tasks
    assert all(task.HasField("retry_policy") for task in original.values())


def test_publishing_replaces_a_folder_as_a_whole(tmp_path: Path) -> None:
    for number in (1, 2):
        source = tmp_path / f"run{number}"
        (source / "inner").mkdir(parents=True)
        (source / "inner" / f"{number}.txt").write_text(str(number), encoding="utf-8")
        assert publish(source, tmp_path / "model") == tmp_path / "model"
    assert [path.name for path in (tmp_path / "model" / "inner").iterdir()] == ["2.txt"]
    assert (tmp_path / "run1" / "inner" / "1.txt").is_file()
    assert not list(tmp_path.glob(".*"))


def test_publishing_replaces_a_file(tmp_path: Path) -> None:
    for text in ("one", "two"):
        (tmp_path / text).write_text(text, encoding="utf-8")
        publish(tmp_path / text, tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == "two"
    assert (tmp_path / "one").read_text(encoding="utf-8") == "one"


def arguments(**changes: object) -> dict[str, object]:
    defaults = {entry.name: entry.default for entry in parameters_of(PIPELINES["finetune"])}
    return {**defaults, "data_uri": "x", **changes}


@pytest.mark.parametrize(
    "changes",
    [
        {"data_uri": ""},
        {"data_csv_options": "{"},
        {"data_max_bad_share": 2.0},
        {"data_max_bad_share": float("nan")},
        {"eval_share": 0.0},
        {"eval_split": "random"},
        {"eval_metric": "accuracy"},
        {"register_min_gain": -0.1},
        {"register_min_lower_bound": 1.1},
        {"eval_options": '{"batch_size": 0}'},
        {"model_options": '{"pooling": "median"}'},
        {"model_backbone": " "},
        {"model_max_length": -1},
        {"train_loss": "CrossEntropy"},
        {"train_epochs": -1},
        {"train_batch_size": 3},
        {"train_loss": "SupConLoss", "train_options": '{"items_per_label": 64}'},
        {"train_learning_rate": -1e-4},
        {"train_options": '{"optimizer": "Adamm"}'},
        {"train_options": '{"warmup": 1.5}'},
        {"train_seed": -1},
        {"data_layout": "table"},
        {"register_model_name": "a/b"},
        {"data_uri": "s3://user:secret@bucket/data.csv"},
        {"register_experiment": "{{$.inputs}}"},
    ],
)
def test_bad_values_are_refused_before_anything_is_written(changes: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises((ConfigError, StorageError)) as caught:
        check_run("finetune", arguments(**changes), tmp_path / "out")
    assert len(str(caught.value)) > 20
    assert not (tmp_path / "out").exists()


def test_a_path_with_python3_in_it_is_a_path_like_others(tmp_path: Path) -> None:
    check_run("finetune", arguments(data_uri="/opt/python3/data.csv"), tmp_path / "python3.11" / "out")

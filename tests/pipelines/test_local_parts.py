"""The parts of a local run, each alone; `tests/local` runs the whole."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from kfp.pipeline_spec import pipeline_spec_pb2

from embedtune.errors import ConfigError, StorageError
from pipelines import local_process
from pipelines.compiling import PIPELINES, compiled_documents, parameters_of
from pipelines.local import publish, run_locally
from pipelines.local_child import complete_cached_metrics, drop_retries
from pipelines.local_display import Display
from pipelines.local_process import child_process

STEPS = ["resolve_data", "ingest_csv", "finetune"]


def shown(events: list[tuple[str, str, float]], succeeded: bool, capsys: pytest.CaptureFixture[str]) -> list[str]:
    with Display(STEPS, verbose=False) as display:
        for event, step, when in events:
            display.show({"event": event, "step": step, "time": when})
        display.finish(succeeded)
    return capsys.readouterr().err.splitlines()


def test_one_line_per_step(capsys: pytest.CaptureFixture[str]) -> None:
    events = [("start", STEPS[0], 1.0), ("end", STEPS[0], 1.5), ("start", STEPS[1], 2.0), ("end", STEPS[1], 14.25)]
    events += [("start", STEPS[2], 15.0), ("error", STEPS[2], 16.0)]
    assert shown(events, False, capsys) == [
        "✓ resolve_data            0.5 s",
        "✓ ingest_csv             12.2 s",
        "✗ finetune                1.0 s",
    ]


def test_steps_that_say_nothing_were_taken_from_the_cache(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown([("start", STEPS[0], 1.0), ("end", STEPS[0], 1.0)], True, capsys) == [
        "✓ resolve_data            0.0 s",
        "✓ ingest_csv           unchanged, taken from an earlier run",
        "✓ finetune             unchanged, taken from an earlier run",
    ]
    assert shown([("start", STEPS[2], 1.0), ("end", STEPS[2], 2.0)], True, capsys)[:2] == [
        "✓ resolve_data         unchanged, taken from an earlier run",
        "✓ ingest_csv           unchanged, taken from an earlier run",
    ]


def test_a_failed_run_claims_nothing_of_the_steps_after(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown([("start", STEPS[0], 1.0), ("error", STEPS[0], 1.0)], False, capsys) == [
        "✗ resolve_data            0.0 s"
    ]


def test_a_step_that_ends_without_a_word_has_failed(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown([("start", STEPS[0], 1.0)], False, capsys) == ["✗ resolve_data"]


def test_a_second_attempt_is_told_as_one(capsys: pytest.CaptureFixture[str]) -> None:
    step = STEPS[0]
    events = [("start", step, 1.0), ("error", step, 2.0), ("start", step, 4.0), ("end", step, 7.0)]
    assert shown(events, False, capsys) == [
        "✗ resolve_data            1.0 s",
        "✓ resolve_data            3.0 s, attempt 2",
    ]


def test_attempts_add_up(capsys: pytest.CaptureFixture[str]) -> None:
    with Display(STEPS, verbose=False) as display:
        for event, when in (("start", 1.0), ("error", 2.0), ("start", 4.0), ("end", 7.0)):
            display.show({"event": event, "step": STEPS[0], "time": when})
    assert display.seconds == {STEPS[0]: 4.0}
    assert display.running == ""


def test_progress_is_a_plain_line_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    event = {"event": "progress", "description": "Fine-tuning", "unit": "steps"}
    with Display(STEPS, verbose=False) as display:
        display.show({"event": "start", "step": "finetune", "time": 1.0})
        display.show({**event, "done": 1, "total": 40})
        now[0] += 11.0
        display.show({**event, "done": 20, "total": 40})
        display.show({**event, "done": 21, "total": 40})
        now[0] += 11.0
        display.show({**event, "done": 50, "total": None})
    lines = capsys.readouterr().err.splitlines()
    assert lines[-2:] == ["    finetune: Fine-tuning, 20/40 steps", "    finetune: Fine-tuning, 50 steps"]


def test_lines_of_the_log_are_shown_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    line = "[bold]" + "x" * 300 + " \x1b[95m'finetune'\x1b[0m"
    Display(STEPS, verbose=True).print(line)
    assert capsys.readouterr().err == "[bold]" + "x" * 300 + " 'finetune'\n"


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
    original = compiled_documents(PIPELINES["finetune"])[0]["root"]["dag"]["tasks"]
    assert all("retryPolicy" in task for task in original.values())


def test_metrics_of_earlier_runs_get_the_file_that_the_cache_looks_for(tmp_path: Path) -> None:
    for task in ("finetune", "ingest-csv"):
        (tmp_path / "embedtune-finetune-2026-01-01" / task).mkdir(parents=True)
    (tmp_path / "other-2026-01-01" / "finetune").mkdir(parents=True)
    complete_cached_metrics(specification(), tmp_path)
    complete_cached_metrics(specification(), tmp_path)
    made = [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()]
    assert sorted(made) == [
        "embedtune-finetune-2026-01-01/finetune/training",
        "embedtune-finetune-2026-01-01/ingest-csv/counts",
    ]


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


SLEEPER = """
import json, os, signal, subprocess, sys, time
from pathlib import Path
if {deaf}:
    signal.signal(signal.SIGTERM, lambda number, frame: None)
inner = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
target = Path(sys.argv[1])
target.with_suffix(".part").write_text(json.dumps([os.getpid(), inner.pid]))
target.with_suffix(".part").rename(target)
print("ready")
while True:
    time.sleep(0.02)
"""


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Start a module that sleeps, and return its process, the processes of its group, and its log."""

    def enter(deaf: bool):
        (tmp_path / "sleeper.py").write_text(SLEEPER.format(deaf=deaf), encoding="utf-8")
        environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
        return child_process("sleeper", tmp_path / "pids.json", tmp_path / "log.txt", environment)

    def pids() -> list[int]:
        deadline = time.monotonic() + 20
        while not (tmp_path / "pids.json").exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        return json.loads((tmp_path / "pids.json").read_text(encoding="utf-8"))

    return enter, pids


def alive(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def test_leaving_ends_the_whole_group(start) -> None:
    enter, pids = start
    with enter(deaf=False) as child:
        group = pids()
        assert all(map(alive, group))
    assert not any(map(alive, group))
    assert child.returncode == -signal.SIGTERM


def test_a_process_that_does_not_listen_is_killed_after_the_grace_period(start, monkeypatch) -> None:
    monkeypatch.setattr(local_process, "_GRACE_SECONDS", 0.3)
    enter, pids = start
    with enter(deaf=True) as child:
        group = pids()
    assert not any(map(alive, group))
    assert child.returncode == -signal.SIGKILL


def test_an_impatient_second_interruption_kills_at_once(start) -> None:
    enter, pids = start
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt), enter(deaf=True) as child:  # noqa: PT012
        group = pids()
        # The second arrives while the group is given its time to end.
        subprocess.Popen([sys.executable, "-c", f"import os, time; time.sleep(1); os.kill({os.getpid()}, 2)"])
        raise KeyboardInterrupt
    assert not any(map(alive, group))
    assert child.returncode == -signal.SIGKILL
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_told_to_stop_means_interrupted(number: signal.Signals, start) -> None:
    enter, pids = start
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), enter(deaf=False):  # noqa: PT012
        group = pids()
        os.kill(os.getpid(), number)
        time.sleep(5)
    assert not any(map(alive, group))
    assert signal.getsignal(number) is before


def test_a_child_that_ends_by_itself_is_waited_for(tmp_path: Path) -> None:
    with child_process("json.tool", tmp_path / "none.json", tmp_path / "log.txt", dict(os.environ)) as child:
        assert child.wait() == 2
    assert "none.json" in (tmp_path / "log.txt").read_text(encoding="utf-8")


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
        {"eval_min_gain": -0.1},
        {"model_backbone": " "},
        {"model_max_length": -1},
        {"train_loss": "CrossEntropy"},
        {"train_epochs": 0},
        {"train_batch_size": 3},
        {"train_loss": "SupConLoss", "train_items_per_label": 64},
        {"train_learning_rate": 0.0},
        {"train_optimizer": "Adamm"},
        {"train_warmup": 1.5},
        {"train_seed": -1},
        {"data_layout": "table"},
        {"register_model_name": "a/b"},
        {"data_uri": "s3://user:secret@bucket/data.csv"},
        {"data_uri": "data for python3.csv"},
        {"register_experiment": "{{$.inputs}}"},
    ],
)
def test_bad_values_are_refused_before_anything_is_written(changes: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises((ConfigError, StorageError)) as caught:
        run_locally("finetune", arguments(**changes), tmp_path / "out", caching=True, verbose=False)
    assert len(str(caught.value)) > 20
    assert not (tmp_path / "out").exists()


def test_an_output_folder_that_cannot_be_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file", encoding="utf-8")
    with pytest.raises(StorageError, match="cannot be made"):
        run_locally("finetune", arguments(), tmp_path / "out", caching=True, verbose=False)
    with pytest.raises(ConfigError, match="python3"):
        run_locally("finetune", arguments(), tmp_path / "python3.11" / "out", caching=True, verbose=False)

"""Results of earlier steps, taken again only if they are whole."""

import json
import shutil
from pathlib import Path

import pytest
from kfp.dsl import Dataset, Metrics, Model

from embedtune.progress import EVENTS_VARIABLE
from pipelines.local_cache import NOTES, CheckedCache
from pipelines.local_events import read_events

IMAGE, COMMAND = "image:1", ["python", "code"]


@pytest.fixture
def output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(EVENTS_VARIABLE, str(tmp_path / "events.jsonl"))
    step = tmp_path / "out" / "runs" / "1" / "finetune"
    (step / "model" / "inner").mkdir(parents=True)
    (step / "model" / "weights").write_bytes(b"w" * 1000)
    (step / "model" / "inner" / "config").write_bytes(b"{}")
    (step / "page").write_bytes(b"<html>")
    (step / NOTES).write_text('["12 rows", "8 queries only"]', encoding="utf-8")
    return tmp_path / "out"


def key_of(cache: CheckedCache, output: Path, rows: str = "rows") -> str:
    arguments = {"rows": Dataset(name="rows", uri=str(output / "runs/1" / rows), metadata={}), "epochs": 3}
    return cache.compute_key("comp-finetune", IMAGE, COMMAND, arguments, {}, None)


def stored(output: Path) -> CheckedCache:
    cache = CheckedCache(output / "runs" / ".cache", output)
    step = output / "runs" / "1" / "finetune"
    outputs = {
        "model": Model(name="model", uri=str(step / "model"), metadata={"dimension": 32}),
        "page": Dataset(name="page", uri=str(step / "page"), metadata={}),
        "training": Metrics(name="training", uri=str(step / "training"), metadata={"loss": 0.5}),
        "speed": 3.5,
    }
    cache.put(key_of(cache, output), outputs)
    return cache


def told(output: Path) -> list[tuple[str, object]]:
    events = read_events(output.parent / "events.jsonl", 0)[1]
    return [(event["event"], event.get("notes", event.get("text"))) for event in events]


def test_what_is_whole_is_taken_again_with_its_notes(output: Path) -> None:
    cache = stored(output)
    found = cache.get(key_of(cache, output))
    assert found["speed"] == 3.5
    assert (found["model"].uri, found["model"].metadata) == (str(output / "runs/1/finetune/model"), {"dimension": 32})
    assert isinstance(found["training"], Metrics)
    assert told(output) == [("cached", ["12 rows", "8 queries only"])]


def test_other_inputs_have_another_key(output: Path) -> None:
    cache = stored(output)
    assert cache.get(key_of(cache, output, "others")) is None
    assert told(output) == []


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (
            lambda step: (step / "model/weights").write_bytes(b"w" * 50),
            "model/weights is damaged: it has 50 bytes of 1000",
        ),
        (
            lambda step: (step / "model/weights").write_bytes(b"x" * 1000),
            "model/weights is damaged: its content is not what",
        ),
        (lambda step: (step / "model/inner/config").unlink(), "model/inner/config of an earlier run is missing"),
        (lambda step: shutil.rmtree(step / "model"), "of an earlier run is missing"),
        (lambda step: (step / "page").unlink(), "page of an earlier run is missing"),
        (
            lambda step: (step / "model/run.py").write_bytes(b""),
            "model/run.py does not belong to the result of an earlier",
        ),
        (lambda step: shutil.rmtree(step), "of an earlier run is missing"),
    ],
)
def test_what_is_damaged_is_made_again(damage, said: str, output: Path) -> None:
    cache = stored(output)
    damage(output / "runs" / "1" / "finetune")
    key = key_of(cache, output)
    assert cache.get(key) is None
    ((event, text),) = told(output)
    assert event == "note"
    assert text.startswith("finetune runs again: ")
    assert said in text
    assert cache.get(key) is None  # the entry is gone
    assert len(told(output)) == 1


def test_what_was_damaged_under_all_its_names_is_mended_by_the_same_result(output: Path) -> None:
    cache = stored(output)
    step = output / "runs" / "1" / "finetune"
    (output / "weights in MLflow").hardlink_to(step / "model/weights")
    again = shutil.copytree(step, output / "runs" / "2" / "finetune")
    (step / "model/weights").write_bytes(b"w" * 50)
    (step / "page").write_bytes(b"<html>changed")
    (again / "page").write_bytes(b"<html>another")
    key = key_of(cache, output)
    assert cache.get(key) is None
    cache.put(key, {name: Model(name=name, uri=str(again / name), metadata={}) for name in ("model", "page")})
    assert (output / "weights in MLflow").read_bytes() == b"w" * 1000
    assert (step / "page").read_bytes() == b"<html>changed"
    assert cache.get(key)["model"].uri == str(again / "model")


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"outputs": [], "contents": {}, "output": "", "notes": []}'])
def test_a_damaged_entry_is_made_again(text: str, output: Path) -> None:
    cache = stored(output)
    (entry,) = (output / "runs" / ".cache").iterdir()
    entry.write_text(text, encoding="utf-8")
    assert cache.get(key_of(cache, output)) is None
    assert told(output)[0][1] == f"finetune runs again: {entry} is damaged."


def test_a_moved_output_folder_finds_its_results(output: Path) -> None:
    stored(output)
    moved = output.rename(output.parent / "moved")
    cache = CheckedCache(moved / "runs" / ".cache", moved)
    found = cache.get(key_of(cache, moved))
    assert found["model"].uri == str(moved / "runs/1/finetune/model")


def test_a_result_that_names_the_old_place_is_made_again_in_a_moved_folder(output: Path) -> None:
    cache = stored(output)
    key = key_of(cache, output)
    cache.put(key, {"parts": [f"{output}/runs/1/part-0"]})
    assert cache.get(key) == {"parts": [f"{output}/runs/1/part-0"]}
    moved = shutil.copytree(output, output.parent / "moved")
    cache = CheckedCache(moved / "runs" / ".cache", moved)
    assert cache.get(key_of(cache, moved)) is None
    assert told(output)[-1][1] == (
        f"finetune runs again: its result names files in {output}, where the output folder was before."
    )


def test_entries_are_readable_for_others(output: Path) -> None:
    stored(output)
    (entry,) = (output / "runs" / ".cache").iterdir()
    (output / "plain").touch()
    assert entry.stat().st_mode == (output / "plain").stat().st_mode
    assert json.loads(entry.read_text(encoding="utf-8"))["output"] == str(output)

"""The file in which the steps of a run tell what they do."""

import json
from pathlib import Path

import pytest

from pipelines.local_events import read_events

START = {"event": "start", "time": 1.5, "process": 7, "step": "finetune"}
NOTE = {"event": "note", "time": 2, "process": 7, "text": "120 rows"}


def test_whole_lines_are_read_once(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    assert read_events(path, 0) == (0, [])
    line = json.dumps(START) + "\n"
    path.write_text(line + '{"event": "no', encoding="utf-8")
    offset, events = read_events(path, 0)
    assert (offset, events) == (len(line), [START])
    with path.open("a", encoding="utf-8") as file:
        file.write('te", "time": 2, "process": 7, "text": "120 rows"}\n')
    assert read_events(path, offset)[1] == [NOTE]


@pytest.mark.parametrize(
    "line",
    [
        '{"event": "sta',
        "",
        "null",
        "[1, 2]",
        "\udcff\0".encode("utf-8", "surrogateescape").decode("latin-1"),
        json.dumps({"event": "begin", "time": 1.0, "process": 7}),
        json.dumps({"event": "end", "time": 1.0, "process": 7}),
        json.dumps({**START, "process": "7"}),
        json.dumps({**START, "time": None}),
        json.dumps({"event": "progress", "time": 1.0, "process": 7, "description": "x", "done": 1, "unit": "rows"}),
        json.dumps({"event": ["start"], "time": 1.0, "process": 7}),
    ],
)
def test_what_is_no_event_is_passed_over(line: str, tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text(f"{json.dumps(START)}\n{line}\n{json.dumps(NOTE)}\n", encoding="utf-8")
    assert read_events(path, 0)[1] == [START, NOTE]

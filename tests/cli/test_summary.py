"""`embedtune summary`, as the command line runs it."""

import contextlib
import csv
import io
import json
import os
import sys
from pathlib import Path
from unittest import mock

import pytest
import typer
from PIL import Image

from embedtune.cli.app import run_app
from embedtune.cli.summary import summary
from embedtune.steps.ingest_csv import IngestCSVConfig, ingest_csv


@pytest.fixture
def look(monkeypatch, tmp_path):
    monkeypatch.setenv("EMBEDTUNE_DATASETS", str(tmp_path / "datasets"))
    root = typer.Typer(pretty_exceptions_enable=False)
    root.callback()(lambda: None)
    root.command()(summary)

    def run(*words):
        out, err = io.StringIO(), io.StringIO()
        with (
            mock.patch.dict(os.environ, {"COLUMNS": "100"}),
            mock.patch.object(sys, "argv", ["embedtune", "summary", *map(str, words)]),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            pytest.raises(SystemExit) as end,
        ):
            run_app(root)
        return end.value.code or 0, out.getvalue(), err.getvalue()

    return run


def write(path: Path, *rows: tuple[str, ...]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


def labelled(path: Path, *more: tuple[str, ...]) -> Path:
    rows = ((f"text {n} of {label}", f"topic {label}") for label in range(12) for n in range(20))
    return write(path, ("text", "label"), *rows, *more)


def test_what_is_told(look, tmp_path):
    code, out, err = look(labelled(tmp_path / "data.csv"))
    assert (code, err) == (0, "")
    lines = out.splitlines()
    read = next(line for line in lines if line.startswith("Read as: "))
    assert read.startswith("Read as: layout labelled, detected; contents text, detected; dialect excel (delimiter ',')")
    assert lines[0] == "240 rows of texts with labels"
    assert lines[1].startswith("! Only 24 queries for the evaluation")
    assert "0 merged into an earlier one with the same content, 0 set aside" in lines
    told = [" ".join(line.split()) for line in lines]
    assert told[told.index("Trial split") + 1 :][:4] == [
        "documents labels median words 95 % up to",
        "Training 192 12 4 4",
        "Queries 24 12 4 4",
        "Index 24 12 4 4",
    ]
    assert "Leaks: 0 of 48 held-out contents are in training too. Relevant per query: 2 on average." in told
    assert told[told.index("Most frequent labels") + 2] == "topic 0 20 ██████████████████████████████"
    assert told[told.index("Words, up to") + 2] == "4 240 ██████████████████████████████"
    assert told[told.index("Examples") + 2] == "text 0 of 0 topic 0"
    assert not (tmp_path / "datasets").exists()


def test_warnings_come_first_and_reasons_are_counted(look, tmp_path):
    more = [("", "x"), ("b", ""), ("twice", "topic 1"), ("twice", "topic 2"), *((f"c{n}", "") for n in range(9))]
    code, out, err = look(labelled(tmp_path / "data.csv", *more))
    assert (code, "Error: " in err) == (1, True)
    assert ": 11 of 253 rows (4.35%) cannot be used, max_bad_share allows 0.01." in err.splitlines()[-1]
    assert out.splitlines()[1].startswith("! 2 of 242 rows were set aside")
    told = [" ".join(line.split()) for line in out.splitlines()]
    reasons = told[told.index("Set aside") + 2 :][:3]
    assert reasons[0].endswith("10 b,")
    assert reasons[1] == "the same content has several labels 2 'twice', 'topic 1'"


def test_the_share_of_rows_that_cannot_be_used(look, tmp_path):
    path = labelled(tmp_path / "data.csv", *((f"c{n}", "") for n in range(4)))
    assert look(path)[0] == 1
    code, out, err = look(path, "--max-bad-share", "0.02")
    assert (code, err) == (0, "")
    assert "4 set aside" in out


def test_page_with_pictures(look, tmp_path):
    for number in range(60):
        folder = tmp_path / "images" / f"class {number % 3}"
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (30, 20), (number, 100, 200)).save(folder / f"{number}.png")
    page = tmp_path / "out" / "page.html"
    code, out, err = look(tmp_path / "images", "--html", page)
    assert code == 0, err
    assert out.splitlines()[0] == "60 rows of images with labels"
    assert out.splitlines()[-1] == f"Page in {page}"
    assert "Longer side in pixels, up to" in out
    html = page.read_text()
    assert html.count("data:image/jpeg;base64,") == 1
    assert "Trial split" in html


def test_options_reach_the_steps(look, tmp_path):
    source = write(tmp_path / "data.csv", *((f"text;{n}", f"topic {n % 4}") for n in range(80)))
    _, out, _ = look(source, "--split", "group", "--eval-share", "0.5", "--csv-options", '{"dialect": "excel"}')
    assert "dialect excel (delimiter ','), as set" in " ".join(out.split())
    assert "Training" in out
    assert "40" in out


def test_hostile_texts_do_not_reach_the_terminal(look, tmp_path):
    text = "\x1b[31mred\x1b]0;title\x07 \u202egnp.exe [bold]markup[/bold] " + "ب" * 500
    rows = ((f"{n} {text}", f"{text} {n % 3}") for n in range(60))
    code, out, err = look(write(tmp_path / "data.csv", ("text", "label"), *rows))
    assert code == 0
    assert not {"\x1b", "\x07", "\u202e"} & set(out + err)
    assert "[bold]markup[/bold]" in out


def test_errors_are_one_message(look, tmp_path):
    code, out, err = look(tmp_path / "missing.csv")
    assert (code, out) == (1, "")
    assert err.startswith("Error: ")
    assert "is neither a file or folder here nor a dataset" in err


def test_an_output_that_cannot_be_written_is_told_before_the_work(look, tmp_path):
    (tmp_path / "file").touch()
    code, out, err = look(labelled(tmp_path / "data.csv"), "--html", tmp_path / "file" / "page.html")
    assert (code, out) == (1, "")
    assert "page.html" in err


def test_beir_data_that_allow_no_split_are_shown_with_the_reason(look, tmp_path):
    (tmp_path / "qrels").mkdir()
    corpus = "".join(f'{{"_id": "d{n}", "title": "", "text": "document {n}"}}\n' for n in range(10))
    (tmp_path / "corpus.jsonl").write_text(corpus)
    queries = "".join(f'{{"_id": "q{n}", "text": "query {n}"}}\n' for n in range(3))
    (tmp_path / "queries.jsonl").write_text(queries)
    (tmp_path / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq0\td0\t1\n")
    code, out, err = look(f"{tmp_path}/")
    assert (code, "10 rows" in out) == (1, True)
    assert err.splitlines()[-1].startswith("Error: ")


def test_json(look, tmp_path):
    data = labelled(tmp_path / "data.csv", ("nothing", "Topic 1"), ("more", "topic 1"))
    code, out, _ = look(data, "--json")
    found = json.loads(out)
    assert (code, found["data"], found["refusal"], found["layout"], found["modalities"], found["rows"]) == (
        0,
        str(data),
        None,
        "labelled",
        ["text"],
        242,
    )
    assert (found["reading"]["csv"]["columns_used"], found["reading"]["csv"]["header"]) == (["text", "label"], True)
    assert (found["labels"]["topic 1"], found["labels"]["Topic 1"]) == (21, 1)
    assert found["split"]["train"]["documents"] + found["split"]["query"]["documents"] <= 242
    assert any("look like another one" in warning for warning in found["warnings"])
    assert found["set_aside"] == []


def test_json_of_what_a_run_refuses(look, tmp_path):
    code, out, err = look(labelled(tmp_path / "data.csv", *(("", "topic 1") for _ in range(9))), "--json")
    found = json.loads(out)
    assert (code, found["rows"], found["set_aside"][0]["rows"]) == (1, 240, 9)
    assert err.splitlines()[-1] == f"Error: {found['refusal']}"


def test_json_of_what_cannot_be_shown(look, tmp_path):
    code, out, err = look(write(tmp_path / "data.csv", ("text", "label")), "--json")
    found = json.loads(out)
    assert (code, sorted(found)) == (1, ["data", "refusal"])
    assert err.splitlines()[-1] == f"Error: {found['refusal']}"


def test_a_rows_file_is_told_by_its_content(look, tmp_path):
    rows = tmp_path / "rows"
    ingest_csv(IngestCSVConfig(str(labelled(tmp_path / "data.csv"))), rows, tmp_path / "bad.csv")
    code, out, _ = look(rows)
    assert (code, out.splitlines()[0]) == (0, "240 rows of texts with labels")


def test_labels_that_other_spellings_contradict_are_told(look, tmp_path):
    data = labelled(tmp_path / "data.csv", ("Hello There", "topic 1"), ("hello there", "topic 2"))
    code, out, _ = look(data)
    assert code == 0
    assert "2 documents have a label that another spelling of the same content contradicts" in " ".join(out.split())


def test_a_file_of_a_temporary_folder_is_not_named(look, tmp_path):
    code, _, err = look(write(tmp_path / "images.csv", ("image", "label"), ("a.png", "a"), ("b.png", "b")))
    assert code == 1
    assert "All of them are in" not in err

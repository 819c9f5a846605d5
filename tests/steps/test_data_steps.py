"""The three steps that turn a CSV into documents."""

import csv
import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from embedtune.documents.build import BuildOptions
from embedtune.documents.schema import Split
from embedtune.documents.shards.folder import BuiltFolder
from embedtune.documents.summary import SUMMARY_FILE, DataSummary
from embedtune.errors import ConfigError, InputError, StorageError
from embedtune.models.catalogue import POINT_MODEL
from embedtune.records.rows import open_rows, read_report, read_rows
from embedtune.steps.build_documents import build_documents
from embedtune.steps.ingest_csv import IngestCSVConfig, ingest_csv
from embedtune.steps.resolve_data import resolve_data
from embedtune.steps.run_parameters import RunParameters

ROWS = [
    (f"how to {verb} a {thing}, case {number}", verb)
    for verb in ("open", "close", "sell", "paint")
    for thing in ("shop", "door", "box")
    for number in range(5)
]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "data.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *ROWS])
    return path


def test_version_of_a_file_is_its_sha256(source: Path) -> None:
    expected = f"sha256:{hashlib.sha256(source.read_bytes()).hexdigest()}"
    assert resolve_data(RunParameters(str(source), model_backbone=POINT_MODEL)).data_version == expected
    assert resolve_data(RunParameters(source.as_uri(), model_backbone=POINT_MODEL)).data_version == expected


@pytest.mark.parametrize(("count", "for_evaluation"), [("0", "0"), ("1", "1"), ("8", "1")])
def test_gpus_and_their_nodes_are_asked_for_with_gpus_only(
    source: Path, count: str, for_evaluation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("embedtune.steps.resolve_data.trains_here", lambda: False)
    labels, taints = {"pool": "gpu"}, [{"key": "gpu", "operator": "Exists"}]
    config = RunParameters(
        str(source), model_backbone=POINT_MODEL, gpu_count=count, gpu_node_selector=labels, gpu_tolerations=taints
    )
    found = resolve_data(config)
    assert found.evaluation_gpus == for_evaluation
    assert (found.node_selector, found.tolerations) == (({}, []) if count == "0" else (labels, taints))


def test_version_changes_with_the_content(source: Path) -> None:
    before = resolve_data(RunParameters(str(source), model_backbone=POINT_MODEL)).data_version
    with source.open("a", encoding="utf-8") as file:
        file.write("one more,open\n")
    assert resolve_data(RunParameters(str(source), model_backbone=POINT_MODEL)).data_version != before


@pytest.mark.parametrize("uri", ["", "  ", "ftp://host/data.csv", "s3://UPPER/data.csv"])
def test_what_is_no_address_is_refused_before_the_step(uri: str) -> None:
    with pytest.raises(StorageError):
        RunParameters(uri, model_backbone=POINT_MODEL)


def test_credentials_in_an_address_are_refused_and_not_repeated() -> None:
    with pytest.raises(StorageError, match="user name or password") as caught:
        RunParameters("s3://user:hunter2@bucket/data.csv", model_backbone=POINT_MODEL)
    assert "hunter2" not in str(caught.value)


def test_missing_source(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="does not exist"):
        resolve_data(RunParameters(str(tmp_path / "nothing.csv"), model_backbone=POINT_MODEL))


def test_rows_of_the_version_that_was_asked_for(source: Path, tmp_path: Path) -> None:
    version = resolve_data(RunParameters(str(source), model_backbone=POINT_MODEL)).data_version
    report = ingest_csv(IngestCSVConfig(str(source), version), tmp_path / "rows", tmp_path / "bad.csv")
    assert (report.rows, report.bad_rows, report.layout) == (60, 0, "labelled")
    _, table = read_rows(tmp_path / "rows")
    assert list(zip(table["content"].to_pylist(), table["label"].to_pylist(), strict=True)) == ROWS


def test_another_version_is_refused(source: Path, tmp_path: Path) -> None:
    config = IngestCSVConfig(str(source), "sha256:" + "0" * 64)
    with pytest.raises(StorageError, match="changed"):
        ingest_csv(config, tmp_path / "rows", tmp_path / "bad.csv")
    assert not (tmp_path / "rows").exists()


def test_csv_options_reach_the_reader(source: Path, tmp_path: Path) -> None:
    config = IngestCSVConfig(str(source), csv_options=json.dumps({"header": "no"}), layout="labelled")
    assert ingest_csv(config, tmp_path / "rows", tmp_path / "bad.csv").rows == 61
    with pytest.raises(ConfigError, match="Unknown CSV option 'quote'"):
        ingest_csv(IngestCSVConfig(str(source), csv_options='{"quote": 1}'), tmp_path / "rows", tmp_path / "bad.csv")


def test_too_many_bad_rows_fail(source: Path, tmp_path: Path) -> None:
    source.write_text(source.read_text(encoding="utf-8") + "no label,\n" * 3, encoding="utf-8")
    with pytest.raises(InputError):
        ingest_csv(IngestCSVConfig(str(source)), tmp_path / "rows", tmp_path / "bad.csv")
    generous = IngestCSVConfig(str(source), max_bad_share=0.1)
    assert ingest_csv(generous, tmp_path / "rows", tmp_path / "bad.csv").bad_rows == 3


def test_documents_and_the_pages_about_them(source: Path, tmp_path: Path) -> None:
    ingest_csv(IngestCSVConfig(str(source)), tmp_path / "rows", tmp_path / "bad.csv")
    train, evaluation = tmp_path / "train", tmp_path / "evaluation"
    html, markdown = tmp_path / "pages" / "data.html", tmp_path / "pages" / "data.md"
    summary = build_documents(
        BuildOptions(seed=7), tmp_path / "rows", train, evaluation, tmp_path / "contradictions.csv", html, markdown
    )
    assert DataSummary.load(evaluation / SUMMARY_FILE) == summary
    parts = [(train, Split.TRAIN), (evaluation, Split.QUERY), (evaluation, Split.INDEX)]
    texts = [set(BuiltFolder.open(folder).table(split)["text"].to_pylist()) for folder, split in parts]
    assert [len(part) for part in texts] == [summary.train.documents, summary.query.documents, summary.index.documents]
    assert texts[0] | texts[1] | texts[2] == {text for text, _ in ROWS}
    assert sum(map(len, texts)) == 60
    page = html.read_text(encoding="utf-8")
    assert page.lower().startswith("<!doctype html>")
    assert str(summary.train.documents) in page
    assert str(summary.train.documents) in markdown.read_text(encoding="utf-8")


def build(tmp_path: Path) -> DataSummary:
    names = ("rows", "train", "evaluation", "contradictions.csv", "data.html", "data.md")
    return build_documents(BuildOptions(seed=7), *(tmp_path / name for name in names))


def test_how_the_data_were_read_stands_on_the_page(source: Path, tmp_path: Path) -> None:
    version = resolve_data(RunParameters(str(source), model_backbone=POINT_MODEL)).data_version
    report = ingest_csv(IngestCSVConfig(str(source), version), tmp_path / "rows", tmp_path / "bad.csv")
    assert (report.source, report.version) == ("data.csv", version)
    assert read_report(tmp_path / "rows") == build(tmp_path).reading == report
    page, markdown = (tmp_path / name for name in ("data.html", "data.md"))
    for words in (version, "labelled, detected", "utf-8, detected", "yes, detected"):
        assert words in page.read_text(encoding="utf-8")
    assert "| Header | yes, detected |" in markdown.read_text(encoding="utf-8")


def test_what_the_reading_warns_of_is_on_the_page_too(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = ingest_csv(IngestCSVConfig(str(source)), tmp_path / "read", tmp_path / "bad.csv")
    rows_format, table = read_rows(tmp_path / "read")
    with open_rows(tmp_path / "rows", rows_format) as writer:
        writer.write(table.combine_chunks().to_batches()[0].columns)
        writer.report = replace(report, notes=("Noted.",), warnings=("Look here.",))
    assert build(tmp_path).warnings[0] == "Look here."
    assert "Look here." in capsys.readouterr().err
    page = (tmp_path / "data.html").read_text(encoding="utf-8")
    assert page.index("Look here.") < page.index("Noted.")


def test_files_that_were_read_otherwise_are_told(tmp_path: Path) -> None:
    lines = ["text;label", *(f"{text};{label}" for text, label in ROWS)]
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.csv").write_text("\n".join(lines[:31]).replace(";", "\t"), encoding="utf-8")
    (tmp_path / "data" / "b.csv").write_text("\n".join([lines[0], "broken", *lines[31:]]), encoding="utf-16")
    config = IngestCSVConfig(str(tmp_path / "data"), max_bad_share=0.1)
    report = ingest_csv(config, tmp_path / "rows", tmp_path / "bad.csv")
    assert report.files == (("a.csv", 30, 0), ("b.csv", 30, 1))
    assert report.notes == ("b.csv was read as semicolon with delimiter ';', encoding utf-16.",)


def test_rows_of_the_version_before_are_built(source: Path, tmp_path: Path) -> None:
    ingest_csv(IngestCSVConfig(str(source)), tmp_path / "read", tmp_path / "bad.csv")
    rows_format, table = read_rows(tmp_path / "read")
    with open_rows(tmp_path / "rows", rows_format) as writer:
        writer.write(table.combine_chunks().to_batches()[0].columns)
    assert build(tmp_path).reading is None


def test_pages_that_cannot_be_written_are_refused_before_the_work(source: Path, tmp_path: Path) -> None:
    ingest_csv(IngestCSVConfig(str(source)), tmp_path / "rows", tmp_path / "bad.csv")
    names = ("train", "evaluation", "contradictions.csv", "data.csv/data.html", "data.md")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(StorageError, match=r"data\.html cannot be written"):
        build_documents(BuildOptions(seed=7), tmp_path / "rows", *(tmp_path / name for name in names))
    assert sorted(tmp_path.iterdir()) == before


def test_the_page_has_pictures_of_images_and_none_of_texts(source: Path, tmp_path: Path) -> None:
    for label in ("dark", "light"):
        (tmp_path / "images" / label).mkdir(parents=True)
        for number in range(8):
            picture = Image.new("L", (8, 8), number + 100 * (label == "light"))
            picture.save(tmp_path / "images" / label / f"{number}.png")
    for name, is_drawn in ((source.name, False), ("images", True)):
        folder = tmp_path / f"of {name}"
        folder.mkdir()
        ingest_csv(IngestCSVConfig(str(tmp_path / name)), folder / "rows", folder / "bad.csv")
        build(folder)
        assert ("data:image/" in (folder / "data.html").read_text(encoding="utf-8")) is is_drawn

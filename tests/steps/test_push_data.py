"""Push whatever a run reads, and train on the dataset as on the source itself."""

import csv
import json

import pytest
from PIL import Image

from embedtune import pull, push
from embedtune.documents.build import BuildOptions, build_documents
from embedtune.documents.shards.folder import BuiltFolder, read_manifest
from embedtune.errors import ConfigError, InputError
from embedtune.records.layouts import Layout
from embedtune.records.rows import read_rows
from embedtune.steps.ingest_csv import IngestCSVConfig, ingest_csv


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("EMBEDTUNE_DATASETS", str(tmp_path / "kept"))
    monkeypatch.setenv("EMBEDTUNE_USER", "ada")
    return tmp_path


def table(path, *rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


def pictures(folder, count, green=100):
    folder.mkdir(parents=True, exist_ok=True)
    for n in range(count):
        Image.new("RGB", (8, 6), (n, green, 200)).save(folder / f"{n}.png")
    return folder


def labelled(place):
    return table(place / "labelled.csv", ("text", "label"), *((f"text {n}", f"topic {n % 4}") for n in range(60)))


def pairs(place):
    rows = [*((f"query {n}", f"document {n // 2}") for n in range(60)), ("QUERY 1", "Document 0"), ("query 3", "more")]
    return table(place / "pairs.csv", ("query", "document"), *rows)


def scored(place):
    rows = ((f"one {n}", f"other {n}", f"{n / 60:.2f}") for n in range(60))
    return table(place / "scored.csv", ("first", "second", "score"), *rows)


def matches(place):
    rows = ((f"query {n}", f"answer {n}", f"wrong {n}", f"answer {(n + 1) % 60}") for n in range(60))
    return table(place / "matches.csv", ("query", "answer", "wrong_answer_1", "wrong_answer_2"), *rows)


def plain(place):
    return table(place / "plain.csv", ("text",), *((f"a text no. {n}",) for n in range(20)))


def text_image(place):
    pictures(place / "images", 40)
    rows = ((f"a picture of {n}", f"images/{n}.png") for n in range(40))
    return table(place / "captions.csv", ("caption", "image"), *rows)


def class_folders(place):
    for number, name in enumerate(("cat", "dog", "fox")):
        pictures(place / "set" / name, 10, number)
    return place / "set"


def beir(place):
    folder = place / "beir"
    (folder / "qrels").mkdir(parents=True)
    for name, count in (("corpus", 70), ("queries", 60)):
        lines = (json.dumps({"_id": f"{name[0]}{n}", "title": "", "text": f"{name} text {n}"}) for n in range(count))
        (folder / f"{name}.jsonl").write_text("\n".join(lines))
    for split, numbers in (("train", range(30)), ("dev", range(30, 40)), ("test", range(40, 60))):
        judged = "".join(f"q{n}\tc{n}\t{n % 3 + 1}\nq{n}\tc{(n + 1) % 60}\t0\n" for n in numbers)
        (folder / "qrels" / f"{split}.tsv").write_text(f"query-id\tcorpus-id\tscore\n{judged}")
    return folder


SOURCES = [labelled, pairs, scored, matches, plain, text_image, class_folders, beir]


def rows_of(uri, folder):
    """Return the contents and values of the rows of a source, in any order, without lines and addresses."""
    ingest_csv(IngestCSVConfig(str(uri)), folder / "rows.parquet", folder / "bad.csv")
    found, rows = read_rows(folder / "rows.parquet")
    names = [*found.layout.columns]
    return (found.layout, found.modalities), {tuple(row.values()) for row in rows.select(names).to_pylist()}


def documents_of(uri, folder):
    """Return what a run builds: the Documents of each split and the judged pairs, in any order."""
    rows_of(uri, folder)
    parts = folder / "train", folder / "evaluation"
    build_documents(folder / "rows.parquet", *parts, folder / "aside.csv", BuildOptions())
    found = set()
    for part in parts:
        for split in {shard.split for shard in read_manifest(part).shards}:
            documents = BuiltFolder.open(part).table(split).to_pylist()
            found |= {(split, *((k, v) for k, v in row.items() if "uri" not in k)) for row in documents}
        relevance = BuiltFolder.open(part).relevance()
        found |= set() if relevance is None else {(part.name, *row.values()) for row in relevance.to_pylist()}
    return found


class TestRoundTrip:
    @pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.__name__)
    def test_a_run_on_the_dataset_is_a_run_on_the_source(self, place, source):
        path = source(place)
        pushed = push(path, "kept")
        found = documents_of("dataset://ada/kept", place / "again")
        assert found == documents_of(path, place / "direct")
        assert pushed.layout == read_manifest(place / "direct" / "train").layout

    @pytest.mark.parametrize("source", [labelled, scored, matches, plain, beir], ids=lambda source: source.__name__)
    def test_the_rows_are_the_same(self, place, source):
        path = source(place)
        push(path, "kept")
        assert rows_of("dataset://ada/kept", place / "again") == rows_of(path, place / "direct")

    def test_spellings_of_pairs_are_one(self, place):
        push(pairs(place), "kept")
        found, rows = rows_of("dataset://ada/kept", place / "again")
        assert (found[0], len(rows)) == (Layout.PAIRS, 61)
        assert {("query 3", "document 1"), ("query 3", "more")} <= rows

    def test_meshes(self, place):
        box = "OFF\n4 4 0\n0 0 0\n1 0 0\n0 1 0\n0 0 {}\n3 0 1 2\n3 0 1 3\n3 0 2 3\n3 1 2 3\n"
        for name in ("chair", "desk"):
            (place / "shapes" / name).mkdir(parents=True)
            for n in range(5):
                (place / "shapes" / name / f"{n}.off").write_text(box.format(n + (10 if name == "desk" else 1)))
        push(place / "shapes", "kept")
        assert rows_of("dataset://ada/kept", place / "again") == rows_of(place / "shapes", place / "direct")

    def test_beir_keeps_its_splits_grades_and_what_nobody_judged(self, place):
        push(beir(place), "kept")
        rows = rows_of("dataset://ada/kept", place / "again")[1]
        assert len(rows) == 130
        assert {row[3] for row in rows} == {"train", "dev", "test", ""}
        assert ("queries text 59", "corpus text 59", 3.0, "test") in rows
        assert {row for row in rows if row[0] is None} == {(None, f"corpus text {n}", 0.0, "") for n in range(60, 70)}

    def test_all_rows_are_there_and_pull_has_them(self, place):
        pushed = push(labelled(place), "kept")
        documents = pull("kept")
        assert (pushed.rows, len(documents)) == (60, 60)
        assert {document.tags["finetuner_label"] for document in documents} == {f"topic {n}" for n in range(4)}

    def test_the_same_rows_are_the_same_version(self, place):
        first, second = push(pairs(place), "kept"), push(str(pairs(place)), "kept")
        assert first.version == second.version
        assert second.created != second.pushed


class TestTrouble:
    def test_what_is_left_out_is_told(self, place, capsys):
        rows = [(f"text {n}", f"topic {n % 4}") for n in range(300)]
        path = table(place / "data.csv", ("text", "label"), *rows, ("", "topic 1"), ("text 0", "topic 0"), ("b", "x"))
        assert push(path, "kept").rows == 301
        told = capsys.readouterr().err.splitlines()
        assert "1 of 303 rows are left out: the content is empty; the first one: ,topic 1" in told
        assert "1 rows are stored once with an earlier one of the same content" in told

    def test_a_footer_counts_among_the_rows(self, place, capsys):
        rows = [(f"text {n}", f"topic {n % 4}") for n in range(60)]
        assert push(table(place / "data.csv", ("text", "label"), *rows, ("Total", "60")), "kept").rows == 60
        assert "1 of 61 rows are left out: a footer; the first one: Total,60" in capsys.readouterr().err.splitlines()

    def test_too_much_that_is_left_out(self, place):
        path = table(place / "data.csv", ("text", "label"), *((f"text {n % 10}", f"topic {n % 3}") for n in range(30)))
        with pytest.raises(InputError, match=r"30 of 30 rows \(100.00%\) cannot be used") as caught:
            push(path, "kept")
        assert "All of them are in" not in str(caught.value)
        assert not (place / "kept").exists()

    def test_the_share_that_may_be_left_out(self, place):
        rows = [(f"text {n}", f"topic {n % 3}") for n in range(96)]
        path = table(place / "data.csv", ("text", "label"), *rows, ("", "x"), ("", "y"), ("twice", "a"), ("twice", "b"))
        for share in (0.01, 0.0199, 0.0203):
            with pytest.raises(InputError, match=rf"max_bad_share\D+{share}"):
                push(path, "kept", max_bad_share=share)
        assert push(path, "kept", max_bad_share=0.0205).rows == 96

    def test_options(self, place):
        path = table(place / "data.csv", *((f"text;{n}", f"topic {n % 4}") for n in range(40)))
        pushed = push(path, "kept", csv_options='{"dialect": "excel", "header": "no"}', layout="labelled")
        assert (pushed.rows, pull("kept")[0].text) == (40, "text;0")
        with pytest.raises(ConfigError, match="dialect"):
            push(path, "kept", csv_options='{"dialect": "x"}')

    def test_rows_without_anything_to_learn_from_are_kept_all_the_same(self, place):
        path = table(place / "data.csv", ("text", "label"), *((f"text {n}", "the one topic") for n in range(5)))
        assert push(path, "kept").rows == 5
        assert {row["label"] for row in read_rows_of(place)} == {"the one topic"}


def read_rows_of(place):
    config = IngestCSVConfig("dataset://ada/kept", whole=False)
    ingest_csv(config, place / "rows.parquet", place / "bad.csv")
    return read_rows(place / "rows.parquet")[1].to_pylist()

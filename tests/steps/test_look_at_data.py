"""Looking at data by the steps of a run."""

import csv
import json
import re
import shutil

import pytest
from docarray import Document, DocumentArray
from PIL import Image

from embedtune.documents.build import BuildOptions
from embedtune.errors import ConfigError, EmbedtuneError, InputError, StorageError
from embedtune.reports.data import data_html
from embedtune.steps.build_documents import build_documents
from embedtune.steps.ingest_csv import IngestCSVConfig, ingest_csv
from embedtune.steps.look_at_data import LookConfig, look_at_data
from embedtune.steps.merge_documents import MergeDocumentsConfig, merge_documents
from embedtune.steps.plan_documents import plan_documents


def write_csv(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


def labelled_rows(labels=6, texts=15):
    return [
        ("text", "label"),
        *((f"text {n} of {label}", f"topic {label}") for label in range(labels) for n in range(texts)),
    ]


def image_folder(folder, classes=3, images=20):
    for number in range(classes * images):
        place = folder / f"class-{number % classes}"
        place.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (30, 20), (number, 100, 200)).save(place / f"{number}.png")
    return folder


@pytest.fixture
def built(tmp_path):
    """A build of 90 texts, or of what is given."""

    def run(source=None):
        source = source or write_csv(tmp_path / "data.csv", labelled_rows())
        ingest_csv(IngestCSVConfig(str(source)), tmp_path / "rows.parquet", tmp_path / "q.csv")
        folders = tmp_path / "out" / "train", tmp_path / "out" / "evaluation"
        pages = tmp_path / "page.html", tmp_path / "page.md"
        build_documents(BuildOptions(), tmp_path / "rows.parquet", *folders, tmp_path / "aside.csv", *pages)
        return tmp_path / "out"

    return run


class TestSources:
    def test_csv(self, tmp_path):
        report = look_at_data(LookConfig(str(write_csv(tmp_path / "data.csv", labelled_rows()))))
        assert report.is_trial
        assert report.gallery is None
        assert (report.summary.rows, report.summary.train.documents) == (90, 72)
        assert (report.summary.compared_contents, report.summary.shared_contents) == (18, 0)
        assert report.summary.label_histogram[0] == ("topic 0", 15)

    def test_nothing_is_left_behind(self, tmp_path, monkeypatch):
        (tmp_path / "scratch").mkdir()
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
        source = write_csv(tmp_path / "data" / "data.csv", labelled_rows())
        look_at_data(LookConfig(str(source)))
        look_at_data(LookConfig(str(image_folder(tmp_path / "images"))))
        assert list((tmp_path / "scratch").iterdir()) == []
        assert list(source.parent.iterdir()) == [source]

    def test_rows_file(self, tmp_path, built):
        built()
        assert look_at_data(LookConfig(str(tmp_path / "rows.parquet"))).summary.rows == 90

    def test_class_folder_has_pictures(self, tmp_path):
        report = look_at_data(LookConfig(str(image_folder(tmp_path / "images"))))
        assert [group.title for group in report.gallery.groups] == ["class-0", "class-1", "class-2"]
        assert report.summary.media[0].shapes == (("30 × 20", 60),)

    def test_document_array(self, tmp_path):
        documents = DocumentArray(
            Document(text=f"text {n}", tags={"finetuner_label": f"topic {n % 5}"}) for n in range(100)
        )
        documents.save_binary(str(tmp_path / "train.da"), protocol="protobuf", compress="gzip")
        summary = look_at_data(LookConfig(str(tmp_path / "train.da"))).summary
        assert (summary.rows, len(summary.label_histogram)) == (100, 5)

    def test_beir(self, tmp_path):
        folder = tmp_path / "beir"
        (folder / "qrels").mkdir(parents=True)
        for name in ("corpus", "queries"):
            lines = (json.dumps({"_id": f"{name[0]}{n}", "title": "", "text": f"{name} text {n}"}) for n in range(60))
            (folder / f"{name}.jsonl").write_text("\n".join(lines))
        pairs = "\n".join(f"q{n}\tc{n}\t{n % 2 + 1}" for n in range(60))
        (folder / "qrels" / "test.tsv").write_text(f"query-id\tcorpus-id\tscore\n{pairs}\n")
        summary = look_at_data(LookConfig(str(folder))).summary
        assert (summary.layout, summary.rows) == ("beir", 60)

    def test_several_csv_files(self, tmp_path):
        rows = labelled_rows()
        for number in range(2):
            write_csv(tmp_path / "many" / f"{number}.csv", [rows[0], *rows[1 + number :: 2]])
        assert look_at_data(LookConfig(str(tmp_path / "many"))).summary.rows == 90

    def test_contents_that_stay_addresses_have_no_pictures(self, tmp_path):
        image_folder(tmp_path / "images")
        rows = [(str(path.relative_to(tmp_path)), path.parent.name) for path in (tmp_path / "images").rglob("*.png")]
        source = write_csv(tmp_path / "data.csv", [("content", "label"), *rows])
        report = look_at_data(LookConfig(str(source), csv_options='{"convert_to_blob": false}'))
        assert report.gallery is None
        assert report.summary.media == ()
        assert report.summary.modalities == ("image",)


class TestTrouble:
    def test_every_reason_is_told(self, tmp_path):
        rows = [*labelled_rows(), ("no label", ""), ("none either", ""), ("twice", "topic 1"), ("twice", "topic 2")]
        report = look_at_data(LookConfig(str(write_csv(tmp_path / "data.csv", rows))))
        ((_, without_label, first),) = report.rejected
        assert (without_label, first) == (2, "no label,")
        assert report.summary.set_aside == (("the same content has several labels", 2, "'twice', 'topic 1'"),)
        assert ": 2 of 94 rows (2.13%) cannot be used, max_bad_share allows 0.01." in str(report.refusal)

    def test_the_share_is_that_of_the_run(self, tmp_path):
        rows = [*labelled_rows(), ("no label", ""), ("none either", ""), ("twice", "topic 1"), ("twice", "topic 2")]
        source = str(write_csv(tmp_path / "data.csv", rows))
        # 2 of 94 rows while reading, then 2 of the 92 that are left.
        for share, allowed in ((0.0212, False), (0.0215, False), (0.0218, True)):
            assert (look_at_data(LookConfig(source, max_bad_share=share)).refusal is None) == allowed
        with pytest.raises(ConfigError, match="max_bad_share"):
            LookConfig(source, max_bad_share=1.5).build_options()

    def test_too_little_to_split_is_still_shown(self, tmp_path):
        source = write_csv(tmp_path / "data.csv", [("text", "label"), ("a", "x"), ("b", "x"), ("c", "y"), ("d", "y")])
        report = look_at_data(LookConfig(str(source)))
        assert str(report.refusal).startswith(
            "0 labels have at least two different contents among the 0 of 4 documents"
        )
        assert (report.summary.train.documents, report.summary.query.documents) == (4, 0)
        assert report.summary.split_rule == "none"

    @pytest.mark.parametrize("layout", ["pairs", "scored", "matches"])
    def test_one_row_of_each_layout(self, tmp_path, layout):
        rows = {
            "pairs": [("query", "document"), ("one text", "another text")],
            "scored": [("first", "second", "score"), ("one text", "another text", "0.5")],
            "matches": [("query", "answer", "wrong_answer"), ("a question", "an answer", "a wrong one")],
        }
        report = look_at_data(LookConfig(str(write_csv(tmp_path / "data.csv", rows[layout])), layout=layout))
        assert report.summary.train.documents >= 1
        assert report.summary.query.documents == 0

    def test_one_giant_label(self, tmp_path):
        rows = [*labelled_rows(2, 5), *((f"giant {n}", "giant") for n in range(500))]
        summary = look_at_data(LookConfig(str(write_csv(tmp_path / "data.csv", rows)))).summary
        assert summary.label_histogram[0] == ("giant", 500)
        assert any("One group of connected rows holds 98%" in warning for warning in summary.warnings)

    def test_one_label_only(self, tmp_path):
        rows = [("text", "label"), *((f"text {n}", "same") for n in range(50))]
        report = look_at_data(LookConfig(str(write_csv(tmp_path / "data.csv", rows))))
        assert ": all rows have the same label 'same', so nothing is told apart." in str(report.refusal)
        assert report.summary.label_histogram == (("same", 50),)

    def test_as_many_labels_as_rows(self, tmp_path):
        rows = [("text", "label"), *((f"text {n}", f"label {n}") for n in range(20_000))]
        summary = look_at_data(LookConfig(str(write_csv(tmp_path / "data.csv", rows)))).summary
        assert (summary.train.labels, len(summary.label_histogram)) == (20_000, 20)

    def test_images_of_which_some_are_broken(self, tmp_path):
        folder = image_folder(tmp_path / "images")
        (folder / "class-0" / "0.png").write_bytes(b"nothing")
        report = look_at_data(LookConfig(str(folder)))
        assert report.summary.rows == 59
        assert sum(rows for _, rows, _ in report.rejected) == 1

    @pytest.mark.parametrize(
        ("data", "error"),
        [
            ("missing.csv", StorageError),
            ("s3://bucket name/x", StorageError),
            ("https://user:secret@example.org/x.csv", StorageError),
            ("empty", EmbedtuneError),
            ("empty.csv", InputError),
        ],
    )
    def test_nothing_to_look_at(self, tmp_path, monkeypatch, data, error):
        monkeypatch.setenv("EMBEDTUNE_DATASETS", str(tmp_path / "datasets"))
        monkeypatch.chdir(tmp_path)
        (tmp_path / "empty").mkdir()
        (tmp_path / "empty.csv").touch()
        with pytest.raises(error) as caught:
            look_at_data(LookConfig(data))
        assert "secret" not in str(caught.value)

    def test_a_name_is_looked_for_among_the_datasets(self, tmp_path, monkeypatch):
        monkeypatch.setenv("EMBEDTUNE_DATASETS", str(tmp_path / "datasets"))
        monkeypatch.setenv("EMBEDTUNE_USER", "ada")
        with pytest.raises(StorageError, match=r"'tickets' is neither a file or folder here nor a dataset"):
            look_at_data(LookConfig("tickets"))

    def test_values_are_checked_first(self):
        with pytest.raises(ConfigError, match=r"eval_share=2.0"):
            look_at_data(LookConfig("missing.csv", eval_share=2.0))


def of_a_run(source, folder):
    """Return the message of the first two steps of a run, '' where they refuse nothing."""
    outputs = folder / "train", folder / "evaluation", folder / "aside.csv", folder / "page.html", folder / "page.md"
    try:
        ingest_csv(IngestCSVConfig(str(source)), folder / "rows.parquet", folder / "bad.csv")
        build_documents(BuildOptions(), folder / "rows.parquet", *outputs)
    except EmbedtuneError as error:
        return re.sub(r" All of them are in \S+\.(?= )", "", str(error))
    return ""


class TestRefusal:
    @pytest.mark.parametrize(
        "rows",
        [
            [("only one column", "of data")],
            [*labelled_rows(), *(("", "topic 1") for _ in range(3))],
            [*labelled_rows(), ("twice", "topic 1"), ("twice", "topic 2")],
            [*labelled_rows(), ("", "topic 1"), ("", "topic 2"), ("twice", "topic 1"), ("twice", "topic 2")],
            [("text", "label"), ("a", "x"), ("b", "x"), ("c", "y"), ("d", "y")],
            [("text", "label"), ("a", "x"), ("b", "x")],
            [("image", "label"), *((f"missing-{n}.png", f"topic {n % 3}") for n in range(30))],
            [("query", "document"), *((f"query {n}", "the one document") for n in range(30))],
            [("query", "document"), *((f"query {n}", f"a document {n // 25}") for n in range(50))],
            [("query", "document"), *((f"query {n}", f"query {n}") for n in range(30))],
        ],
    )
    def test_is_that_of_a_run(self, tmp_path, rows):
        source = write_csv(tmp_path / "data.csv", rows)
        expected = of_a_run(source, tmp_path / "run")
        assert expected
        try:
            found = look_at_data(LookConfig(str(source))).refusal
        except InputError as error:
            found = error
        assert str(found) == expected

    def test_no_refusal(self, tmp_path):
        source = write_csv(tmp_path / "data.csv", labelled_rows())
        assert (of_a_run(source, tmp_path / "run"), look_at_data(LookConfig(str(source))).refusal) == ("", None)

    def test_what_nothing_can_be_learned_from_is_shown(self, tmp_path):
        source = write_csv(tmp_path / "data.csv", [(f"text {n}",) for n in range(30)])
        report = look_at_data(LookConfig(str(source)))
        assert "data.csv: of the layout 'plain', which is texts without labels, pairs or scores" in str(report.refusal)
        assert "A run refuses these data: " in data_html(report)
        assert report.summary.train.documents > 0

    @pytest.mark.parametrize("what", ["scores", "images"])
    def test_none_of_scores_and_images(self, tmp_path, what):
        rows = [("first", "second", "score"), *((f"a {n}", f"b {n}", str(n / 60)) for n in range(60))]
        scored = what == "scores"
        source = write_csv(tmp_path / "data.csv", rows) if scored else image_folder(tmp_path / "images")
        assert look_at_data(LookConfig(str(source))).refusal is None


class TestBuilt:
    @pytest.mark.parametrize("part", ["", "train", "evaluation"])
    def test_either_folder_or_the_one_of_both(self, built, part):
        report = look_at_data(LookConfig(str(built() / part)))
        assert not report.is_trial
        assert (report.summary.rows, report.summary.train.documents) == (90, 72)
        assert (report.summary.compared_contents, report.summary.shared_contents) == (18, 0)

    def test_leaks_are_looked_for_again(self, built):
        out = built()
        manifest = json.loads((out / "evaluation" / "manifest.json").read_text())
        (shard,) = json.loads((out / "train" / "manifest.json").read_text())["shards"]
        shutil.copy(out / "train" / shard["name"], out / "evaluation" / "index-00009.protobuf-array.gzip")
        manifest["shards"].append({**shard, "name": "index-00009.protobuf-array.gzip", "split": "index"})
        (out / "evaluation" / "manifest.json").write_text(json.dumps(manifest))
        summary = look_at_data(LookConfig(str(out))).summary
        assert (summary.compared_contents, summary.shared_contents) == (90, 72)

    def test_evaluation_alone(self, built):
        out = built()
        shutil.rmtree(out / "train")
        report = look_at_data(LookConfig(str(out / "evaluation")))
        assert (report.summary.rows, report.summary.shared_contents) == (90, 0)

    def test_training_alone_is_data_like_any_other(self, built):
        out = built()
        shutil.rmtree(out / "evaluation")
        report = look_at_data(LookConfig(str(out / "train")))
        assert report.is_trial
        assert report.summary.rows == 72

    def test_pictures(self, tmp_path, built):
        report = look_at_data(LookConfig(str(built(image_folder(tmp_path / "images")))))
        assert len(report.gallery.groups) == 3

    def test_a_damaged_shard_is_named(self, built):
        out = built()
        (path,) = (out / "train").glob("train-*")
        path.write_bytes(path.read_bytes()[:100])
        with pytest.raises(StorageError, match=r"train-00000.*was changed or cut off"):
            look_at_data(LookConfig(str(out)))

    def test_a_damaged_summary_is_named(self, built):
        out = built()
        (out / "evaluation" / "summary.json").write_text("{}")
        with pytest.raises(InputError, match=r"summary.json cannot be read"):
            look_at_data(LookConfig(str(out)))


class TestPages:
    def test_of_a_build_with_images(self, tmp_path, built):
        built(image_folder(tmp_path / "images"))
        html = (tmp_path / "page.html").read_text()
        assert html.count("data:image/jpeg;base64,") == 1
        assert "class-2" in html
        assert "Trial" not in html
        assert "| class-2 | 20 |".replace("-", "\\-") in (tmp_path / "page.md").read_text()

    def test_of_merged_shards(self, tmp_path, built):
        from embedtune.steps.build_shard import BuildShardConfig, build_shard

        built(image_folder(tmp_path / "images"))
        rows, parts = tmp_path / "rows.parquet", (tmp_path / "part-train", tmp_path / "part-evaluation")
        plan_documents(BuildOptions(), (rows,), tmp_path / "plan", tmp_path / "aside.csv")
        build_shard(BuildShardConfig(str(rows), "0"), tmp_path / "plan", *parts)
        config = MergeDocumentsConfig((str(parts[0]),), (str(parts[1]),))
        pages = tmp_path / "merged.html", tmp_path / "merged.md"
        merge_documents(config, tmp_path / "plan", tmp_path / "train", tmp_path / "evaluation", *pages)
        assert pages[0].read_text() == (tmp_path / "page.html").read_text()
        assert pages[1].read_text() == (tmp_path / "page.md").read_text()

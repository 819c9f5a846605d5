"""What becomes of images, meshes and plain texts."""

import csv
import hashlib

import pytest

from embedtune.documents.build import BuildOptions
from embedtune.documents.schema import Split
from embedtune.documents.shards.folder import read_manifest
from embedtune.documents.summary import SUMMARY_FILE, DataSummary
from embedtune.errors import ConfigError, InputError
from embedtune.records.layouts import Layout, Modality

IMAGES = (Modality.IMAGE, Modality.IMAGE)
TEXT_IMAGE = (Modality.TEXT, Modality.IMAGE)


def identity(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


class TestTextImage:
    def test_parents_queries_and_index(self, build):
        rows = [(f"a picture of {number}", f"{number}.png") for number in range(50)]
        built = build(Layout.TEXT_IMAGE, rows, BuildOptions(), TEXT_IMAGE)
        train = built.rows(Split.TRAIN)
        assert len(train) == 40
        for row in train:
            assert row["second_uri"] == row["first"].split()[-1] + ".png"
            assert row["id"] == identity(row["first_id"] + hashlib.sha256(row["second"]).hexdigest()[:32])
        assert len(built.rows(Split.QUERY)) == len(built.rows(Split.INDEX)) == 10
        assert {row["uri"] for row in built.rows(Split.INDEX)} == {
            row["text"].split()[-1] + ".png" for row in built.rows(Split.QUERY)
        }
        assert built.gains(built.evaluation) == {
            (row["text"], row["text"].split()[-1] + ".png"): 1.0 for row in built.rows(Split.QUERY)
        }
        assert built.summary.modalities == ("text", "image")
        assert built.summary.train.words_median == 4

    def test_a_text_that_spells_a_digest_is_no_image(self, build):
        content = b"\x89PNG\r\n\x1a\n" + hashlib.sha256(b"0.png").digest()
        rows = [(f"a picture of {number}", f"{number}.png") for number in range(1, 50)]
        rows += [(hashlib.sha256(content).hexdigest(), "1.png"), ("a picture of 0", "0.png")]
        built = build(Layout.TEXT_IMAGE, rows, BuildOptions(), TEXT_IMAGE)
        assert built.summary.largest_groups == (("image '1.png' in 2 pairs", 3), *built.summary.largest_groups[1:])
        assert built.summary.quarantined == 0

    def test_one_image_with_several_texts_is_one_group(self, build):
        rows = [(f"text {number} {place}", f"{number}.png#{place}") for number in range(30) for place in range(3)]
        built = build(Layout.TEXT_IMAGE, rows, BuildOptions(), TEXT_IMAGE)
        assert len(built.rows(Split.INDEX)) == 6
        assert len(built.rows(Split.QUERY)) == 18
        assert built.summary.relevant_per_query == 1.0


class TestMedia:
    @pytest.mark.parametrize("modality", [Modality.IMAGE, Modality.MESH])
    def test_labelled(self, build, modality):
        rows = [(f"{label}-{number}.bin", f"label {label}") for label in range(6) for number in range(10)]
        rows += [("0-0.bin#copy", "label 0"), ("x.bin", "label 1"), ("x.bin#copy", "label 2")]
        built = build(Layout.LABELLED, rows, BuildOptions(max_bad_share=0.05), (modality,))
        assert (built.summary.duplicates, built.summary.quarantined) == (1, 2)
        documents = [row for split in Split for row in built.rows(split)]
        assert {(row["uri"], row["label"]) for row in documents} == set(rows[:60])
        assert all(row["id"] == _content_id(row[modality.value]) for row in documents)
        with built.quarantine.open(encoding="utf-8", newline="") as file:
            assert list(csv.reader(file))[1:] == [
                ["63", "the same content has several labels", "x.bin,label 1"],
                ["64", "the same content has several labels", "x.bin#copy,label 2"],
            ]
        assert built.summary.train.words_median == 0
        assert built.summary.length_histogram == ()

    def test_pairs_of_images(self, build):
        rows = [(f"front {number}", f"back {number}") for number in range(40)]
        built = build(Layout.PAIRS, [*rows, ("one#a", "one#b")], BuildOptions(max_bad_share=0.05), IMAGES)
        assert built.summary.quarantined == 1
        assert built.pairs(built.train) | built.pairs(built.evaluation) == set(rows)
        assert "are the same content" in built.quarantine.read_text(encoding="utf-8")

    def test_addresses_of_contents_that_are_not_loaded(self, build):
        rows = [(f"{label}/{number}.png", f"label {label}") for label in range(6) for number in range(10)]
        built = build(Layout.LABELLED, rows, BuildOptions(), (Modality.IMAGE,), False)
        documents = [row for split in Split for row in built.rows(split)]
        assert {row["id"] for row in documents} == {identity(uri) for uri, _ in rows}
        assert read_manifest(built.train).loaded is False

    def test_addresses_that_differ_in_case_are_different(self, build):
        rows = [(f"{name}/{number}.png", name) for name in ("a", "A", "b", "B") for number in range(10)]
        built = build(Layout.LABELLED, rows, BuildOptions(), (Modality.IMAGE,), False)
        assert sum(len(built.rows(split)) for split in Split) == 40


def _content_id(content: object) -> str:
    data = content if isinstance(content, bytes) else content.tobytes()
    return hashlib.sha256(data).hexdigest()[:32]


class TestPlain:
    def test_everything_is_in_the_corpus(self, build):
        rows = [(f"text {number % 30}",) for number in range(40)]
        built = build(Layout.PLAIN, rows, BuildOptions())
        assert [row["text"] for row in built.rows(Split.CORPUS)] == [f"text {number}" for number in range(30)]
        assert [row["id"] for row in built.rows(Split.CORPUS)] == [identity(f"text {number}") for number in range(30)]
        assert read_manifest(built.evaluation).shards == ()
        assert read_manifest(built.evaluation).train_digest == read_manifest(built.train).digest
        summary = built.summary
        assert (summary.split_rule, summary.duplicates, summary.warnings) == ("none", 10, ())
        assert (summary.train.documents, summary.train.labels, summary.query.documents) == (30, 0, 0)
        assert summary.length_histogram == ((1, 0), (2, 30))
        assert summary.examples[0] == ("text 0", "")
        assert DataSummary.load(built.evaluation / SUMMARY_FILE) == summary

    def test_one_text_is_enough(self, build):
        assert len(build(Layout.PLAIN, [("only",)], BuildOptions()).rows(Split.CORPUS)) == 1

    @pytest.mark.parametrize("split", ["group", "stratified"])
    def test_no_rule_can_be_applied(self, build, split):
        with pytest.raises(ConfigError, match=rf"split='{split}' cannot be applied to plain texts"):
            build(Layout.PLAIN, [("a",), ("b",)], BuildOptions(split=split))

    def test_no_rows(self, build):
        with pytest.raises(InputError, match="holds no rows"):
            build(Layout.PLAIN, [], BuildOptions())

"""Whole builds: merging, setting aside, outputs that appear whole, and the summary."""

import csv
import hashlib
import os
import stat
from pathlib import Path

import pytest

from embedtune.documents.build import BuildOptions, build_documents
from embedtune.documents.distinct_contents import content_key
from embedtune.documents.schema import Split
from embedtune.documents.shards.folder import read_manifest
from embedtune.documents.shards.tables import write_shards
from embedtune.documents.summary import SUMMARY_FILE, DataSummary
from embedtune.errors import ConfigError, InputError, StorageError
from embedtune.records.layouts import Layout


def labelled(labels: int, each: int) -> list[tuple[str, str]]:
    return [(f"text {label} {number}", f"label {label}") for label in range(labels) for number in range(each)]


def pairs(count: int) -> list[tuple[str, str]]:
    return [(f"query {number}", f"document {number}") for number in range(count)]


class TestOptions:
    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("eval_share", 0.0),
            ("eval_share", 1.0),
            ("eval_share", float("nan")),
            ("split", "random"),
            ("seed", -1),
            ("seed", 2**63),
            ("max_bad_share", -0.1),
            ("max_bad_share", 1.5),
        ],
    )
    def test_out_of_range(self, field, value):
        with pytest.raises(ConfigError, match=f"{field}={value!r}; give"):
            BuildOptions(**{field: value})

    def test_split_names_are_listed(self):
        with pytest.raises(ConfigError, match="one of 'auto', 'stratified', 'group'"):
            BuildOptions(split="x")


class TestMerging:
    def test_duplicate_rows_become_one_document(self, build):
        built = build(Layout.LABELLED, labelled(10, 8) + labelled(2, 8) + [("text 0 0", "label 0")], BuildOptions())
        summary = built.summary
        assert (summary.rows, summary.quarantined, summary.duplicates) == (97, 0, 17)
        assert sum(part.documents for part in (summary.train, summary.query, summary.index)) == 80

    def test_equal_content_has_the_equal_id_in_every_build(self, build):
        first = build(Layout.LABELLED, labelled(10, 8), BuildOptions(seed=1))
        second = build(Layout.PAIRS, [("text 0 0", "text 1 0"), *pairs(20)], BuildOptions(seed=2))
        ids = [{row["text"]: row["id"] for split in Split for row in built.rows(split)} for built in (first, second)]
        for text in ("text 0 0", "text 1 0"):
            assert ids[0][text] == ids[1][text]

    def test_duplicate_pairs_are_judged_once(self, build):
        built = build(Layout.PAIRS, pairs(20) + pairs(5), BuildOptions())
        assert built.summary.duplicates == 5
        assert built.pairs(built.train) | built.pairs(built.evaluation) == set(pairs(20))
        assert read_manifest(built.train).relevance.rows + read_manifest(built.evaluation).relevance.rows == 20

    def test_spellings_of_pairs_are_one_document(self, build):
        rows = [*pairs(40), *((f"QUERY {number}", f"document  {number}") for number in range(40)), ("query 0", "other")]
        rows += [(f"Document {number}", f"DOCUMENT {number} too") for number in range(40)]
        built = build(Layout.PAIRS, rows, BuildOptions())
        assert built.summary.duplicates == 40
        documents = {row["id"]: row["text"] for split in Split for row in built.rows(split)}
        assert len({text.casefold() for text in documents.values()}) == len(documents) == 121
        expected = {(content_key(query), content_key(document)) for query, document in rows}
        judged = [*built.pairs(built.train), *built.pairs(built.evaluation)]
        assert {(content_key(query), content_key(document)) for query, document in judged} == expected
        assert len(judged) == len(expected) == 81
        spellings = ("query 7", "QUERY 7")
        kept = [one for one in documents if documents[one] in spellings]
        assert kept == [min(hashlib.sha256(text.encode()).hexdigest()[:32] for text in spellings)]
        assert hashlib.sha256(documents[kept[0]].encode()).hexdigest()[:32] == kept[0]


class TestQuarantine:
    def test_text_with_several_labels(self, build):
        rows = [*labelled(10, 8), ("=what, now", "a"), ("=what, now", "b"), ("=what, now", "a")]
        built = build(Layout.LABELLED, rows, BuildOptions(max_bad_share=0.05))
        reason = "the same content has several labels"
        with built.quarantine.open(encoding="utf-8", newline="") as file:
            assert list(csv.reader(file)) == [
                ["line", "reason", "row"],
                ["82", reason, '"=what, now",a'],
                ["83", reason, '"=what, now",b'],
                ["84", reason, '"=what, now",a'],
            ]
        assert built.summary.quarantined == 3
        assert "3 of 83 rows were set aside; see the quarantine file." in built.summary.warnings
        assert "=what, now" not in built.texts(Split.TRAIN) | built.held_out()

    def test_pair_of_one_text(self, build):
        built = build(Layout.PAIRS, [*pairs(20), ("Same Text", "same  text")], BuildOptions(max_bad_share=0.05))
        reason = "query and document are the same content up to case, Unicode form and white space"
        assert built.quarantine.read_text(encoding="utf-8").splitlines()[1:] == [
            f'22,"{reason}","Same Text,same  text"'
        ]

    def test_nothing_set_aside_gives_a_header_only(self, build):
        built = build(Layout.PAIRS, pairs(20), BuildOptions())
        assert built.quarantine.read_text(encoding="utf-8") == "line,reason,row\n"

    def test_too_many(self, write_rows, tmp_path):
        rows = write_rows(tmp_path / "rows", Layout.LABELLED, [*labelled(10, 8), ("twice", "a"), ("twice", "b")])
        outputs = [tmp_path / name for name in ("train", "evaluation", "quarantine.csv")]
        message = (
            r"2 of 82 rows \(2\.44%\) cannot be used, max_bad_share allows 0\.01\. First ones: line 82: the same "
            r"content has several labels: 'twice,a'; line 83: the same content has several labels: 'twice,b'\. All of"
        )
        with pytest.raises(InputError, match=message):
            build_documents(rows, *outputs, BuildOptions())
        assert sorted(path.name for path in tmp_path.iterdir()) == ["quarantine.csv", "rows"]

    def test_all_rows(self, write_rows, tmp_path):
        rows = write_rows(tmp_path / "rows", Layout.PAIRS, [("a", "A")])
        with pytest.raises(InputError, match=r"1 of 1 rows \(100\.00%\) cannot be used"):
            build_documents(rows, tmp_path / "t", tmp_path / "e", tmp_path / "q", BuildOptions(max_bad_share=1))


class TestOutputs:
    def test_same_rows_give_the_same_bytes(self, build):
        first, second = (build(Layout.PAIRS, pairs(40), BuildOptions()) for _ in range(2))
        for name in ("train", "evaluation"):
            assert read_manifest(first.folder / name).digest == read_manifest(second.folder / name).digest

    def test_evaluation_folder_names_its_training_folder(self, build):
        first, other = (build(Layout.PAIRS, pairs(40), BuildOptions(seed=seed)) for seed in (1, 2))
        for built in (first, other):
            assert read_manifest(built.evaluation).train_digest == read_manifest(built.train).digest
            assert read_manifest(built.train).train_digest == ""
        assert read_manifest(first.evaluation).train_digest != read_manifest(other.evaluation).train_digest

    def test_evaluation_folder_appears_with_its_summary_after_the_training_folder(
        self, write_rows, tmp_path, monkeypatch
    ):
        appeared, rename = [], Path.rename

        def noted(path: Path, target: Path) -> Path:
            appeared.append((target.name, (path / SUMMARY_FILE).exists()))
            return rename(path, target)

        monkeypatch.setattr(Path, "rename", noted)
        rows = write_rows(tmp_path / "rows", Layout.PAIRS, pairs(20))
        outputs = [tmp_path / name for name in ("train", "evaluation", "q")]
        summary = build_documents(rows, *outputs, BuildOptions())
        assert appeared == [("train", False), ("evaluation", True)]
        assert DataSummary.load(tmp_path / "evaluation" / SUMMARY_FILE) == summary

    def test_many_shards(self, build, monkeypatch):
        monkeypatch.setattr("embedtune.documents.shards.writer.DOCUMENTS_PER_SHARD", 10)
        built = build(Layout.LABELLED, labelled(6, 20), BuildOptions(split="group"))
        assert [shard.rows for shard in read_manifest(built.train).shards] == [10] * 8
        assert len(built.rows(Split.TRAIN)) == 80

    def test_earlier_outputs_are_replaced(self, write_rows, tmp_path):
        outputs = [tmp_path / name for name in ("train", "evaluation", "quarantine.csv")]
        for count in (60, 20):
            build_documents(write_rows(tmp_path / "rows", Layout.PAIRS, pairs(count)), *outputs, BuildOptions())
        assert read_manifest(tmp_path / "train").relevance.rows == 16
        assert len(list(tmp_path.iterdir())) == 4

    def test_a_failure_under_way_leaves_nothing(self, write_rows, tmp_path, monkeypatch):
        def fails_at_the_second_folder(rows, assignment, folder, *arguments):
            if "evaluation" in folder.name:
                raise StorageError("disk full")
            return write_shards(rows, assignment, folder, *arguments)

        monkeypatch.setattr("embedtune.documents.build.write_shards", fails_at_the_second_folder)
        rows = write_rows(tmp_path / "rows", Layout.PAIRS, pairs(20))
        with pytest.raises(StorageError, match="disk full"):
            build_documents(rows, tmp_path / "train", tmp_path / "evaluation", tmp_path / "q", BuildOptions())
        assert sorted(path.name for path in tmp_path.iterdir()) == ["q", "rows"]

    def test_folders_are_readable_for_others(self, build):
        built = build(Layout.PAIRS, pairs(20), BuildOptions())
        mask = os.umask(0)
        os.umask(mask)
        assert stat.S_IMODE(built.train.stat().st_mode) == 0o777 & ~mask

    def test_a_place_that_cannot_be_written_is_named(self, write_rows, tmp_path):
        rows = write_rows(tmp_path / "rows", Layout.PAIRS, pairs(20))
        with pytest.raises(StorageError, match=r"rows/train cannot be written: .*(Not a directory|File exists)"):
            build_documents(rows, rows / "train", tmp_path / "evaluation", tmp_path / "q", BuildOptions())
        assert not (tmp_path / "evaluation").exists()

    def test_no_rows(self, write_rows, tmp_path):
        write_rows(tmp_path / "rows", Layout.PAIRS, [])
        with pytest.raises(InputError, match="holds no rows"):
            build_documents(tmp_path / "rows", tmp_path / "t", tmp_path / "e", tmp_path / "q", BuildOptions())


class TestSummary:
    def test_labelled(self, build, tmp_path):
        rows = labelled(10, 10) + [(f"more {number}", "label 9") for number in range(5)]
        summary = build(Layout.LABELLED, rows, BuildOptions(split="group", seed=3)).summary
        assert summary.label_histogram[:2] == (("label 9", 15), ("label 0", 10))
        assert len(summary.label_histogram) == 10
        assert summary.largest_group_share == 15 / 105
        assert summary.examples == tuple(rows[:5])
        assert (summary.eval_share, summary.seed, summary.layout) == (0.2, 3, "labelled")
        assert any(f"Only {summary.query.documents} queries" in warning for warning in summary.warnings)
        summary.save(tmp_path / "summary.json")
        assert DataSummary.load(tmp_path / "summary.json") == summary

    def test_a_file_that_is_no_summary(self, build, tmp_path):
        path = tmp_path / "summary.json"
        with pytest.raises(InputError, match=r"summary\.json cannot be read as a data summary"):
            DataSummary.load(path)
        build(Layout.PAIRS, pairs(20), BuildOptions()).summary.save(path)
        whole = path.read_text(encoding="utf-8")
        for damaged in (whole[:-9], whole.replace('"seed"', '"grain"'), "[]", "\udcff", "{}"):
            path.write_text(damaged, encoding="utf-8", errors="surrogateescape")
            with pytest.raises(InputError, match="Build the documents again"):
                DataSummary.load(path)

    def test_word_lengths(self, build):
        rows = [(f"q{number}", f"d{number}" + " word" * number) for number in range(100)]
        built = build(Layout.PAIRS, rows, BuildOptions())
        lengths = sorted(len(text.split()) for text in built.texts(Split.INDEX))
        assert len(lengths) == 20
        assert (built.summary.index.words_median, built.summary.index.words_p95) == (lengths[9], lengths[18])
        assert (built.summary.query.words_median, built.summary.query.words_p95) == (1, 1)

    def test_relevant_per_query_is_recounted(self, build):
        rows = [
            (f"query {number}", f"document {number} {place}") for number in range(60) for place in range(number % 3 + 1)
        ]
        built = build(Layout.PAIRS, rows, BuildOptions())
        expected = len(built.pairs(built.evaluation)) / len(built.texts(Split.QUERY))
        assert built.summary.relevant_per_query == pytest.approx(expected)

    def test_lone_training_labels_are_pointed_out(self, build):
        rows = labelled(30, 4) + [(f"lone {number}", f"lone {number}") for number in range(60)]
        warnings = build(Layout.LABELLED, rows, BuildOptions()).summary.warnings
        assert any("of the training documents are alone with their label" in warning for warning in warnings)

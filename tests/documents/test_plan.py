"""Plans and building by parts: the same documents however the rows are divided, and parts that do not belong."""

import json
import random
import shutil
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from embedtune.documents.build import BuildOptions, build_shard, merge_documents, plan_documents
from embedtune.documents.plan import PLAN_FILE, read_assignment, rows_fingerprint
from embedtune.documents.schema import ASSIGNMENT_SCHEMA, Split
from embedtune.documents.shards.folder import BuiltFolder, read_manifest
from embedtune.documents.summary import SPLIT_FILE, SUMMARY_FILE, DataSummary
from embedtune.errors import InputError, StorageError
from embedtune.records.layouts import Layout, Modality
from embedtune.records.rows import RowsFormat, open_rows, read_rows
from embedtune.storage.ownership import INVENTORY

IMAGE = (Modality.IMAGE,)


def labelled() -> list[tuple]:
    rows = [(f"text {label} {number}", f"label {label}") for label in range(20) for number in range(9)]
    rows += [("Text 3 1", "label 3"), ("twice", "label 1"), *rows[:40], ("twice", "label 2"), ("x", "alone")]
    return rows


def pairs() -> list[tuple]:
    rows = [(f"query {number}", f"document {number}") for number in range(120)]
    rows += [("QUERY 7", "Document 7"), ("Same", "same"), ("query 9", "document 10"), *rows[:30]]
    return rows


def matches() -> list[tuple]:
    rows = [(f"q {number}", f"a {(number + step) % 90}", float(step == 0)) for number in range(90) for step in range(3)]
    return [*rows, *rows[::7], ("Q 4", "a 4", 0.0), ("lost", "w", 0.0)]


def beir() -> list[tuple]:
    rows = [(f"q {number}", f"p {number}", 1.0, "test" if number % 5 == 0 else "train") for number in range(90)]
    return [*rows, *((None, f"p {number}", 0.0, "") for number in range(150)), ("Q 5", "p 3", 1.0, "train")]


def images() -> list[tuple]:
    rows = [(f"{label}-{number}.png", f"label {label}") for label in range(12) for number in range(9)]
    return [*rows, *((f"{uri}#copy", label) for uri, label in rows[:20]), ("x", "label 1"), ("x#2", "label 2")]


def captions() -> list[tuple]:
    rows = [(f"text {number}", f"{number}.png") for number in range(70)]
    return [*rows, *((f"other {number}", f"{number}.png#2") for number in range(20)), *rows[:9]]


def scored() -> list[tuple]:
    return [(f"a {number % 90}", f"b {number % 90}", number % 90 % 5 / 4) for number in range(120)]


CASES = [
    (Layout.LABELLED, labelled, ()),
    (Layout.PAIRS, pairs, ()),
    (Layout.MATCHES, matches, ()),
    (Layout.BEIR, beir, ()),
    (Layout.SCORED, scored, ()),
    (Layout.TEXT_IMAGE, captions, ((Modality.TEXT, Modality.IMAGE),)),
    (Layout.LABELLED, images, (IMAGE,)),
    (Layout.PLAIN, lambda: [(f"text {number % 50}",) for number in range(80)], ()),
]
OPTIONS = BuildOptions(max_bad_share=0.1)


def fan_out(files: list[Path], folder: Path, options: BuildOptions = OPTIONS) -> tuple[Path, Path, DataSummary]:
    plan_documents(files, folder / "plan", folder / "parts.csv", options)
    parts = [(folder / f"train-{number}", folder / f"evaluation-{number}") for number in range(len(files))]
    for number, (rows, part) in enumerate(zip(files, parts, strict=True)):
        build_shard(rows, folder / "plan", number, *part)
    trains, evaluations = ([str(part) for part in side] for side in zip(*parts, strict=True))
    outputs = folder / "train", folder / "evaluation"
    return *outputs, merge_documents(folder / "plan", trains, evaluations, *outputs)


def contents(folder: Path) -> dict[Split, list[str]]:
    splits = {shard.split for shard in read_manifest(folder).shards}
    return {split: [str(row) for row in BuiltFolder.open(folder).table(split).to_pylist()] for split in splits}


@pytest.fixture
def divided(write_rows, tmp_path):
    """Write rows in eight files of different lengths, one of them empty."""

    def write(layout: Layout, rows: list[tuple], *kind) -> list[Path]:
        generator = random.Random(5)
        cuts = [0, *sorted(generator.sample(range(1, len(rows)), 6)), len(rows)]
        cuts.insert(4, cuts[3])
        return [
            write_rows(tmp_path / f"rows-{number}", layout, rows[start:end], *kind)
            for number, (start, end) in enumerate(pairwise(cuts))
        ]

    return write


class TestSameDocuments:
    @pytest.mark.parametrize(("layout", "rows", "kind"), CASES, ids=lambda value: getattr(value, "__name__", None))
    def test_as_from_one_file(self, build, divided, tmp_path, layout, rows, kind):
        rows = rows()
        random.Random(3).shuffle(rows)
        built = build(layout, rows, OPTIONS, *kind)
        files = divided(layout, rows, *kind)
        assert len(files) == 8
        train, evaluation, summary = fan_out(files, tmp_path)
        assert summary == built.summary
        assert DataSummary.load(evaluation / SUMMARY_FILE) == summary
        for one, other in ((built.train, train), (built.evaluation, evaluation)):
            assert contents(one) == contents(other)
            relevance = [BuiltFolder.open(folder).relevance() for folder in (one, other)]
            assert relevance[0] == relevance[1]
        assert read_manifest(evaluation).train_digest == read_manifest(train).digest
        counts = [path.read_text(encoding="utf-8").count("\n") for path in (built.quarantine, tmp_path / "parts.csv")]
        assert counts[0] == counts[1] == summary.quarantined + 1

    def test_no_shard_is_copied(self, divided, tmp_path):
        train, evaluation, _ = fan_out(divided(Layout.PAIRS, pairs()), tmp_path)
        assert sorted(path.name for path in train.iterdir()) == [
            INVENTORY,
            "manifest.json",
            "relevance.parquet",
            SPLIT_FILE,
        ]
        names = [INVENTORY, "manifest.json", "relevance.parquet", SUMMARY_FILE]
        assert sorted(path.name for path in evaluation.iterdir()) == sorted(names)
        assert all(str(tmp_path / "train-") in shard.uri for shard in read_manifest(train).shards)

    def test_the_quarantine_names_the_file_of_a_row(self, divided, tmp_path):
        files = divided(Layout.PAIRS, pairs())
        plan_documents(files, tmp_path / "plan", tmp_path / "q.csv", OPTIONS)
        header, row = (tmp_path / "q.csv").read_text(encoding="utf-8").splitlines()
        assert header == "line,reason,row,source"
        queries = [read_rows(path, ["query"])[1]["query"].to_pylist() for path in files]
        (number,) = (number for number, found in enumerate(queries) if "Same" in found)
        assert row.endswith(f'"Same,same",rows file {number}')

    def test_sources_are_named_as_the_rows_name_them(self, tmp_path):
        rows_format = RowsFormat(Layout.PAIRS, (Modality.TEXT, Modality.TEXT), several_sources=True)
        rows = [*pairs()[:40], ("Same", "same")]
        with open_rows(tmp_path / "rows", rows_format) as file:
            sources = ["a.csv"] * 40 + ["b.csv"]
            file.write([range(41), sources, *zip(*rows, strict=True)])
        plan_documents([tmp_path / "rows"], tmp_path / "plan", tmp_path / "q.csv", OPTIONS)
        assert (tmp_path / "q.csv").read_text(encoding="utf-8").splitlines()[1].endswith('"Same,same",b.csv')
        with pytest.raises(InputError, match=r"First ones: b\.csv line 40: .*'Same,same'"):
            plan_documents([tmp_path / "rows"], tmp_path / "plan", tmp_path / "q.csv", BuildOptions())

    def test_the_merged_digest_does_not_depend_on_the_place_of_the_parts(self, divided, tmp_path):
        files = divided(Layout.PAIRS, pairs())
        (tmp_path / "a").mkdir()
        (tmp_path / "b").mkdir()
        first, second = (fan_out(files, tmp_path / name)[0] for name in "ab")
        assert read_manifest(first).digest == read_manifest(second).digest


class TestAssignment:
    def test_every_document_is_in_one_file_and_sorted(self, divided, tmp_path):
        files = divided(Layout.MATCHES, matches())
        plan_documents(files, tmp_path / "plan", tmp_path / "q", OPTIONS)
        tables = [read_assignment(tmp_path / "plan", number) for number in range(8)]
        assert all(table.schema == ASSIGNMENT_SCHEMA for table in tables)
        for table in tables:
            keys = [tuple(row.values()) for row in table.select(["split", "row", "side"]).to_pylist()]
            assert keys == sorted(set(keys))
        whole = pa.concat_tables(tables)
        for split in ("train", "query", "index"):
            ids = whole.filter(pc.equal(whole["split"], split))["id"].to_pylist()
            assert len(ids) == len(set(ids)) > 0

    def test_a_file_that_adds_nothing_has_an_empty_assignment(self, write_rows, tmp_path):
        rows = pairs()
        files = [write_rows(tmp_path / name, Layout.PAIRS, rows) for name in ("one", "again")]
        _, _, summary = fan_out(files, tmp_path, BuildOptions(max_bad_share=0.1))
        assert len(read_assignment(tmp_path / "plan", 1)) == 0
        assert json.loads((tmp_path / "plan" / PLAN_FILE).read_text())["files"][1]["documents"] == {}
        assert summary.duplicates > len(rows) - 2


class TestWhatDoesNotBelong:
    @pytest.fixture
    def planned(self, divided, tmp_path):
        files = divided(Layout.PAIRS, pairs())
        fan_out(files, tmp_path)
        return files

    def test_rows_of_another_number(self, planned, tmp_path):
        with pytest.raises(InputError, match=r"rows-1 is not the rows file that .*plan was made for as number 0"):
            build_shard(planned[1], tmp_path / "plan", 0, tmp_path / "t", tmp_path / "e")

    @pytest.mark.parametrize("number", [-1, 8])
    def test_a_number_beyond(self, planned, tmp_path, number):
        with pytest.raises(InputError, match=rf"number={number}; the plan .* has the rows files 0 to 7"):
            build_shard(planned[0], tmp_path / "plan", number, tmp_path / "t", tmp_path / "e")

    @pytest.mark.parametrize(
        ("parts", "message"),
        [
            ([0, 1, 2, 3, 4, 5, 6], "has 8 rows files, but there are 7 parts"),
            ([1, 0, 2, 3, 4, 5, 6, 7], "train-1 is not the part of rows file 0"),
            ([0, 0, 2, 3, 4, 5, 6, 7], "train-0 is not the part of rows file 1"),
        ],
    )
    def test_other_parts(self, planned, tmp_path, parts, message):
        trains, evaluations = (
            [str(tmp_path / f"{name}-{number}") for number in parts] for name in ("train", "evaluation")
        )
        before = (tmp_path / "train" / "manifest.json").read_bytes()
        with pytest.raises(InputError, match=message):
            merge_documents(tmp_path / "plan", trains, evaluations, tmp_path / "train", tmp_path / "evaluation")
        assert (tmp_path / "train" / "manifest.json").read_bytes() == before

    def test_a_part_that_was_not_finished(self, planned, tmp_path):
        shutil.rmtree(tmp_path / "evaluation-3")
        parts = [[str(tmp_path / f"{name}-{number}") for number in range(8)] for name in ("train", "evaluation")]
        with pytest.raises(StorageError, match="evaluation-3"):
            merge_documents(tmp_path / "plan", *parts, tmp_path / "t", tmp_path / "e")
        assert not (tmp_path / "t").exists()

    def test_evaluation_parts_are_no_training_parts(self, planned, tmp_path):
        parts = [str(tmp_path / f"evaluation-{number}") for number in range(8)]
        with pytest.raises(InputError, match="is not the part of rows file 0"):
            merge_documents(tmp_path / "plan", parts, parts, tmp_path / "t", tmp_path / "e")

    @pytest.mark.parametrize("content", ["", "{", "[]", '{"format": "embedtune.plan", "version": 99}', "\udcff"])
    def test_a_damaged_plan(self, planned, tmp_path, content):
        (tmp_path / "plan" / PLAN_FILE).write_text(content, encoding="utf-8", errors="surrogateescape")
        with pytest.raises(StorageError, match=r"plan\.json cannot be read as a plan.*Plan the documents again"):
            build_shard(planned[0], tmp_path / "plan", 0, tmp_path / "t", tmp_path / "e")

    def test_a_damaged_assignment(self, planned, tmp_path):
        (tmp_path / "plan" / "assignment-00000.parquet").write_bytes(b"PAR1")
        with pytest.raises(StorageError, match=r"assignment-00000\.parquet is missing or damaged"):
            build_shard(planned[0], tmp_path / "plan", 0, tmp_path / "t", tmp_path / "e")

    def test_files_of_different_layouts(self, write_rows, tmp_path):
        files = [
            write_rows(tmp_path / "a", Layout.PAIRS, pairs()),
            write_rows(tmp_path / "b", Layout.LABELLED, labelled()),
        ]
        message = r"b holds rows of another kind than .*a: labelled \(text\) instead of pairs \(text and text\)"
        with pytest.raises(InputError, match=message):
            plan_documents(files, tmp_path / "plan", tmp_path / "q", OPTIONS)

    def test_files_of_which_one_is_not_loaded(self, write_rows, tmp_path):
        files = [write_rows(tmp_path / name, Layout.LABELLED, images(), IMAGE, name == "a") for name in "ab"]
        with pytest.raises(InputError, match=r"labelled \(image, addresses only\) instead of labelled \(image\)"):
            plan_documents(files, tmp_path / "plan", tmp_path / "q", OPTIONS)

    def test_a_missing_rows_file(self, tmp_path):
        with pytest.raises(StorageError, match="does not exist"):
            plan_documents([tmp_path / "none"], tmp_path / "plan", tmp_path / "q", OPTIONS)


class TestRowsFingerprint:
    def test_differs_with_the_contents(self, write_rows, tmp_path):
        found = {
            rows_fingerprint(write_rows(tmp_path / "rows", Layout.PAIRS, [("a", text)])) for text in ("b", "c", "bb")
        }
        assert len(found) == 3

    @pytest.mark.parametrize("content", [b"", b"PAR1", b"\xff" * 100])
    def test_of_something_else(self, tmp_path, content):
        (tmp_path / "x").write_bytes(content)
        assert len(rows_fingerprint(tmp_path / "x")) == 64


def test_the_bytes_of_images_are_not_read_for_a_plan(write_rows, tmp_path, monkeypatch):
    images = [(f"{label}-{number}.png", f"label {label}") for label in range(12) for number in range(9)]
    rows = write_rows(tmp_path / "rows", Layout.LABELLED, images, (Modality.IMAGE,))
    read = []
    whole = pq.ParquetFile.read

    def noted(self, columns=None, **options):
        read.append(columns)
        return whole(self, columns, **options)

    monkeypatch.setattr(pq.ParquetFile, "read", noted)
    plan_documents([rows], tmp_path / "plan", tmp_path / "q", BuildOptions())
    assert ["line", "content_digest", "content_uri", "label"] in read
    assert all("content" not in columns for columns in read if columns is not None)

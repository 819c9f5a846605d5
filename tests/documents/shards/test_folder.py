"""Folders of Documents: what the manifest vouches for is read, wherever it is, and nothing else is accepted."""

import dataclasses
import gzip
import hashlib
import json
from pathlib import Path

import pyarrow as pa
import pytest
from docarray import DocumentArray

from embedtune.documents.schema import RELEVANCE_SCHEMA, Split, SplitColumns
from embedtune.documents.shards.codec import encode_documents
from embedtune.documents.shards.folder import (
    FORMAT,
    BuiltFolder,
    Manifest,
    Shard,
    read_manifest,
)
from embedtune.documents.shards.tables import write_manifest
from embedtune.documents.shards.writer import open_shards
from embedtune.errors import StorageError
from embedtune.records.layouts import Layout, Modality
from embedtune.records.rows import RowsFormat

LABELLED = RowsFormat(Layout.LABELLED, (Modality.TEXT,))
PAIRS = RowsFormat(Layout.PAIRS, (Modality.TEXT, Modality.TEXT))


def documents(start: int, count: int, role: str | None = None) -> pa.Table:
    columns = {
        "id": [f"{number:032x}" for number in range(start, start + count)],
        "text": [f"tëxt {number} 文" for number in range(start, start + count)],
        "label": [f"{number % 3}" for number in range(start, start + count)],
    }
    if role is not None:
        columns["role"] = [role] * count
    return pa.table({name: pa.array(values, pa.large_string()) for name, values in columns.items()})


def write_documents(folder: Path, rows_format: RowsFormat, splits: dict, relevance: pa.Table | None = None) -> Path:
    """Write each table to a shard of its own."""
    folder.mkdir()
    shards: list[Shard] = []
    for split, tables in splits.items():
        for number, table in enumerate(tables):
            with open_shards(folder, SplitColumns(rows_format, split), f"{number}-") as writer:
                writer.write(table)
                shards += writer.finish()
    write_manifest(folder, rows_format, shards, relevance, "")
    return folder


def labelled(folder: Path) -> Path:
    return write_documents(
        folder, LABELLED, {Split.QUERY: [documents(0, 3)], Split.INDEX: [documents(3, 4), documents(7, 2)]}
    )


def paired(folder: Path) -> Path:
    relevance = pa.table({"query_id": ["a", "b"], "document_id": ["c", "c"], "relevance": [1.0, 0.0]})
    return write_documents(folder, PAIRS, {Split.TRAIN: [documents(0, 3, "query"), documents(3, 3, "both")]}, relevance)


def edit_manifest(folder: Path, change) -> None:
    path = folder / "manifest.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    change(data)
    path.write_text(json.dumps(data), encoding="utf-8")


def replace_shard(folder: Path, content: bytes) -> Path:
    """Put other bytes in the place of the first shard and let the manifest vouch for them."""
    first = read_manifest(folder).shards[0]
    path = folder / first.name
    path.write_bytes(content)
    edit_manifest(folder, lambda data: data["shards"][0].update(sha256=hashlib.sha256(content).hexdigest()))
    return path


def move_shards(folder: Path, target: Path) -> None:
    """Leave the manifest where it is and name the shards by their new addresses."""
    target.mkdir()

    def place(data: dict) -> None:
        for shard in data["shards"]:
            (folder / shard["name"]).rename(target / shard["name"])
            shard["uri"] = f"{target}/{shard['name']}"

    edit_manifest(folder, place)


class TestRoundTrip:
    def test_splits(self, tmp_path):
        folder = labelled(tmp_path / "documents")
        assert BuiltFolder.open(folder).table(Split.QUERY).equals(documents(0, 3))
        assert BuiltFolder.open(folder).table(Split.INDEX).equals(documents(3, 6))
        empty = BuiltFolder.open(folder).table(Split.TRAIN)
        assert (len(empty), empty.column_names) == (0, ["id", "text", "label"])
        assert BuiltFolder.open(folder).relevance() is None

    def test_training_pairs_have_roles_and_relevance(self, tmp_path):
        folder = paired(tmp_path / "documents")
        assert BuiltFolder.open(folder).table(Split.TRAIN)["role"].to_pylist() == ["query"] * 3 + ["both"] * 3
        relevance = BuiltFolder.open(folder).relevance()
        assert relevance.schema.equals(RELEVANCE_SCHEMA)
        assert relevance["relevance"].to_pylist() == [1.0, 0.0]

    def test_a_path_with_our_ending_is_protobuf_for_docarray_too(self, tmp_path):
        folder = labelled(tmp_path / "documents")
        loaded = DocumentArray.load_binary(str(folder / "query-0-00000.protobuf-array.gzip"))
        assert loaded[:, "text"] == documents(0, 3)["text"].to_pylist()


class TestManifest:
    def test_content(self, tmp_path):
        manifest = read_manifest(paired(tmp_path / "documents"))
        assert (manifest.layout, manifest.modalities, manifest.loaded) == (Layout.PAIRS, ("text", "text"), True)
        assert manifest.rows_format == PAIRS
        assert [(shard.name, shard.split, shard.rows) for shard in manifest.shards] == [
            ("train-0-00000.protobuf-array.gzip", Split.TRAIN, 3),
            ("train-1-00000.protobuf-array.gzip", Split.TRAIN, 3),
        ]
        assert (manifest.relevance.name, manifest.relevance.rows) == ("relevance.parquet", 2)

    def test_digest_is_that_of_the_content(self, tmp_path):
        first, second = labelled(tmp_path / "first"), labelled(tmp_path / "second")
        assert read_manifest(first).digest == read_manifest(second).digest
        assert {path.name: path.read_bytes() for path in first.iterdir()} == {
            path.name: path.read_bytes() for path in second.iterdir()
        }
        assert read_manifest(first).digest != read_manifest(paired(tmp_path / "third")).digest
        assert read_manifest(first).digest.startswith("sha256:")

    def test_no_manifest_means_not_finished(self, tmp_path):
        with pytest.raises(StorageError, match=r"Cannot read .*manifest\.json: No such file.*not finished"):
            read_manifest(tmp_path)

    @pytest.mark.parametrize("text", ["", "{", "\x00", '{"format": "embedtune.documents", "version": 2}'])
    def test_damaged(self, tmp_path, text):
        (tmp_path / "manifest.json").write_text(text, encoding="utf-8")
        with pytest.raises(StorageError, match=r"manifest\.json is damaged"):
            read_manifest(tmp_path)

    def test_not_text_at_all(self, tmp_path):
        (tmp_path / "manifest.json").write_bytes(b"\xff\xfe\xff")
        with pytest.raises(StorageError, match=r"manifest\.json is damaged"):
            read_manifest(tmp_path)

    @pytest.mark.parametrize("change", [{"version": 1}, {"format": "other"}])
    def test_other_formats_are_refused(self, tmp_path, change):
        folder = labelled(tmp_path / "documents")
        edit_manifest(folder, lambda data: data.update(change))
        with pytest.raises(StorageError, match=f"reads '{FORMAT}' version 2"):
            read_manifest(folder)

    @pytest.mark.parametrize(
        "change",
        [
            {"name": "../secret"},
            {"size": 3},
            {"rows": 0},
            {"rows": -1},
            {"name": "/etc/passwd"},
            {"name": ".."},
            {"name": ""},
            {"name": ".hidden"},
            {"name": "*"},
            {"name": "index-0-00000.protobuf-array.gzip"},
            {"rows": "3"},
            {"sha256": None},
            {"split": "test"},
        ],
    )
    def test_bad_entries_are_refused(self, tmp_path, change):
        folder = labelled(tmp_path / "documents")
        edit_manifest(folder, lambda data: data["shards"][0].update(change))
        with pytest.raises(StorageError, match=r"manifest\.json is damaged"):
            read_manifest(folder)

    @pytest.mark.parametrize(
        "change",
        [
            {"layout": "scores"},
            {"licence": "CC0"},
            {"layout": "pairs"},
            {"modalities": ["sound"]},
            {"modalities": "text"},
            {"loaded": 1},
            {"shards": {}},
            {"shards": [1]},
            {"relevance": 1},
            {"relevance": {"name": "../secret", "rows": 1, "sha256": ""}},
            {"train_digest": 1},
        ],
    )
    def test_bad_fields_are_refused(self, tmp_path, change):
        folder = labelled(tmp_path / "documents")
        edit_manifest(folder, lambda data: data.update(change))
        with pytest.raises(StorageError, match=r"manifest\.json is damaged"):
            read_manifest(folder)

    def test_json_survives(self, tmp_path):
        manifest = Manifest(
            Layout.LABELLED, (Modality.TEXT,), True, (Shard("a", Split.TRAIN, 1, "00"),), None, "sha256:11"
        )
        manifest.save(tmp_path)
        assert read_manifest(tmp_path) == manifest
        assert set(dataclasses.asdict(manifest)) < set(json.loads(manifest.to_json()))


class TestDamage:
    @pytest.mark.parametrize("name", ["index-0-00000.protobuf-array.gzip", "index-1-00000.protobuf-array.gzip"])
    def test_every_shard_is_checked(self, tmp_path, name):
        folder = labelled(tmp_path / "documents")
        whole = (folder / name).read_bytes()
        for damaged in (whole[:-1], whole + b"\0", whole[:20] + b"\xff" + whole[21:], b""):
            (folder / name).write_bytes(damaged)
            with pytest.raises(StorageError, match=f"{name} was changed or cut off"):
                BuiltFolder.open(folder).table(Split.INDEX)
        (folder / name).unlink()
        with pytest.raises(StorageError, match=rf"Cannot read .*{name}: No such file"):
            BuiltFolder.open(folder).table(Split.INDEX)

    def test_relevance_is_checked(self, tmp_path):
        folder = paired(tmp_path / "documents")
        path = folder / "relevance.parquet"
        path.write_bytes(path.read_bytes()[:-4])
        with pytest.raises(StorageError, match=r"relevance\.parquet was changed or cut off"):
            BuiltFolder.open(folder).relevance()
        path.unlink()
        with pytest.raises(StorageError, match=r"Cannot read .*relevance\.parquet"):
            BuiltFolder.open(folder).relevance()

    def test_row_count_must_match(self, tmp_path):
        folder = labelled(tmp_path / "documents")
        edit_manifest(folder, lambda data: data["shards"][0].update(rows=4))
        with pytest.raises(StorageError, match=r"query-0-00000.* holds 3 rows, its manifest says 4"):
            BuiltFolder.open(folder).table(Split.QUERY)

    def test_wrong_content_with_the_right_checksum(self, tmp_path):
        folder = labelled(tmp_path / "documents")
        replace_shard(folder, gzip.compress(b"\x80\x04."))
        with pytest.raises(StorageError, match=r"query-0-00000.*pickled DocumentArrays are refused"):
            BuiltFolder.open(folder).table(Split.QUERY)

    def test_documents_without_a_label_are_refused(self, tmp_path):
        folder = labelled(tmp_path / "documents")
        table = documents(0, 3).set_column(2, "label", pa.array(["a", "", "c"]))
        replace_shard(folder, gzip.compress(encode_documents(table, SplitColumns(LABELLED, Split.QUERY))))
        with pytest.raises(StorageError, match=r"Document 1 of .*query-0-00000.* has no label"):
            BuiltFolder.open(folder).table(Split.QUERY)

    def test_shards_are_checked_as_they_are_read(self, tmp_path):
        folder = labelled(tmp_path / "documents")
        (folder / "index-1-00000.protobuf-array.gzip").unlink()
        tables = BuiltFolder.open(folder).tables(Split.INDEX)
        assert next(tables).equals(documents(3, 4))
        with pytest.raises(StorageError, match="index-1-00000"):
            next(tables)


class TestShardsElsewhere:
    def test_are_read_and_change_no_digest(self, tmp_path):
        folder = labelled(tmp_path / "documents")
        digest = read_manifest(folder).digest
        move_shards(folder, tmp_path / "a place [1]")
        assert [path.name for path in folder.iterdir()] == ["manifest.json"]
        assert BuiltFolder.open(folder).table(Split.INDEX).equals(documents(3, 6))
        assert read_manifest(folder).digest == digest
        edit_manifest(folder, lambda data: [shard.update(uri=f"file://{shard['uri']}") for shard in data["shards"]])
        assert BuiltFolder.open(folder).table(Split.QUERY).equals(documents(0, 3))

    def test_missing_or_changed(self, tmp_path):
        folder = labelled(tmp_path / "documents")
        move_shards(folder, tmp_path / "part")
        path = tmp_path / "part" / "query-0-00000.protobuf-array.gzip"
        path.write_bytes(path.read_bytes() + b"\0")
        with pytest.raises(StorageError, match=f"{path} was changed or cut off"):
            BuiltFolder.open(folder).table(Split.QUERY)
        path.unlink()
        with pytest.raises(StorageError, match=f"Cannot read {path}: No such file"):
            BuiltFolder.open(folder).table(Split.QUERY)

    @pytest.mark.parametrize(
        "uri",
        [
            "/etc/passwd",
            "https://host/query-0-00000.protobuf-array.gzip",
            "dataset://user/query-0-00000.protobuf-array.gzip",
            "s3://bucket/*",
            "query-0-00000.protobuf-array.gzip",
            1,
            None,
        ],
    )
    def test_addresses_that_no_shard_can_have(self, tmp_path, uri):
        folder = labelled(tmp_path / "documents")
        edit_manifest(folder, lambda data: data["shards"][0].update(uri=uri))
        with pytest.raises(StorageError, match=r"manifest\.json is damaged"):
            read_manifest(folder)

    def test_credentials_in_an_address_are_refused(self, tmp_path):
        folder = labelled(tmp_path / "documents")
        uri = "s3://key:secret@bucket/query-0-00000.protobuf-array.gzip"
        edit_manifest(folder, lambda data: data["shards"][0].update(uri=uri))
        with pytest.raises(StorageError) as raised:
            read_manifest(folder)
        assert "secret" not in str(raised.value)

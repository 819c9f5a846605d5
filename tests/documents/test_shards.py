"""Folders of Documents: what is written is what plain docarray and we read, and nothing else is accepted."""

import dataclasses
import gzip
import hashlib
import json
import pickle
from pathlib import Path

import pyarrow as pa
import pytest
from docarray import DocumentArray
from hypothesis import given, settings
from hypothesis import strategies as st

from embedtune.documents.codec import decode_documents, encode_documents
from embedtune.documents.manifest import FORMAT, Manifest, Shard
from embedtune.documents.schema import LABEL_TAG, ROLE_TAG, Split
from embedtune.documents.shards import (
    RELEVANCE_SCHEMA,
    documents_digest,
    read_manifest,
    read_relevance,
    read_table,
    write_documents,
)
from embedtune.errors import StorageError
from embedtune.records.layouts import Layout

unicode_text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


def documents(start: int, count: int, role: str | None = None) -> pa.Table:
    columns = {
        "id": [f"{number:032x}" for number in range(start, start + count)],
        "text": [f"tëxt {number} 文" for number in range(start, start + count)],
        "label": [f"{number % 3}" for number in range(start, start + count)],
    }
    if role is not None:
        columns["role"] = [role] * count
    return pa.table({name: pa.array(values, pa.large_string()) for name, values in columns.items()})


def labelled(folder: Path) -> Path:
    splits = {Split.QUERY: [documents(0, 3)], Split.INDEX: [documents(3, 4), documents(7, 2)]}
    write_documents(folder, Layout.LABELLED, splits, None, lambda done: None)
    return folder


def paired(folder: Path) -> Path:
    relevance = pa.table({"query_id": ["a", "b"], "document_id": ["c", "c"], "relevance": [1.0, 0.5]})
    splits = {Split.TRAIN: [documents(0, 3, "query"), documents(3, 3, "both")]}
    write_documents(folder, Layout.PAIRS, splits, relevance, lambda done: None)
    return folder


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


class TestRoundTrip:
    @settings(max_examples=50, deadline=None)
    @given(st.lists(st.tuples(unicode_text, unicode_text, unicode_text, unicode_text), min_size=1, max_size=8))
    def test_arbitrary_unicode(self, rows):
        names = ("id", "text", "label", "role")
        table = pa.table(
            {
                name: pa.array(column, pa.large_string())
                for name, column in zip(names, zip(*rows, strict=True), strict=True)
            }
        )
        data = encode_documents(table)
        assert decode_documents(data, True, "shard").equals(table)
        loaded = DocumentArray.load_binary(data, protocol="protobuf-array", compress="gzip")
        expected = [(identifier, text, {LABEL_TAG: label, ROLE_TAG: role}) for identifier, text, label, role in rows]
        assert [(document.id, document.text, document.tags) for document in loaded] == expected

    def test_bytes_are_those_of_docarray(self):
        data = encode_documents(documents(0, 20))
        loaded = DocumentArray.load_binary(data, protocol="protobuf-array", compress="gzip")
        assert gzip.decompress(data) == loaded.to_bytes(protocol="protobuf-array")

    def test_splits(self, tmp_path):
        folder = labelled(tmp_path / "documents")
        assert read_table(folder, Split.QUERY).equals(documents(0, 3))
        assert read_table(folder, Split.INDEX).equals(documents(3, 6))
        empty = read_table(folder, Split.TRAIN)
        assert (len(empty), empty.column_names) == (0, ["id", "text", "label"])
        assert read_relevance(folder) is None

    def test_training_pairs_have_roles_and_relevance(self, tmp_path):
        folder = paired(tmp_path / "documents")
        assert read_table(folder, Split.TRAIN)["role"].to_pylist() == ["query"] * 3 + ["both"] * 3
        relevance = read_relevance(folder)
        assert relevance.schema.equals(RELEVANCE_SCHEMA)
        assert relevance["relevance"].to_pylist() == [1.0, 0.5]

    def test_a_path_with_our_ending_is_protobuf_for_docarray_too(self, tmp_path):
        folder = labelled(tmp_path / "documents")
        loaded = DocumentArray.load_binary(str(folder / "query-00000.protobuf-array.gzip"))
        assert loaded[:, "text"] == documents(0, 3)["text"].to_pylist()


class TestManifest:
    def test_content(self, tmp_path):
        manifest = read_manifest(paired(tmp_path / "documents"))
        assert (manifest.layout, manifest.modality) == (Layout.PAIRS, "text")
        assert [(shard.name, shard.split, shard.rows) for shard in manifest.shards] == [
            ("train-00000.protobuf-array.gzip", Split.TRAIN, 3),
            ("train-00001.protobuf-array.gzip", Split.TRAIN, 3),
        ]
        assert (manifest.relevance.name, manifest.relevance.rows) == ("relevance.parquet", 2)

    def test_digest_is_that_of_the_content(self, tmp_path):
        first, second = labelled(tmp_path / "first"), labelled(tmp_path / "second")
        assert documents_digest(first) == documents_digest(second)
        assert {path.name: path.read_bytes() for path in first.iterdir()} == {
            path.name: path.read_bytes() for path in second.iterdir()
        }
        assert documents_digest(first) != documents_digest(paired(tmp_path / "third"))
        assert documents_digest(first).startswith("sha256:")

    def test_no_manifest_means_not_finished(self, tmp_path):
        with pytest.raises(StorageError, match=r"Cannot read .*manifest\.json: No such file.*not finished"):
            read_manifest(tmp_path)

    @pytest.mark.parametrize("text", ["", "{", "\x00", '{"format": "embedtune.documents", "version": 1}'])
    def test_damaged(self, tmp_path, text):
        (tmp_path / "manifest.json").write_text(text, encoding="utf-8")
        with pytest.raises(StorageError, match=r"manifest\.json is damaged"):
            read_manifest(tmp_path)

    def test_not_text_at_all(self, tmp_path):
        (tmp_path / "manifest.json").write_bytes(b"\xff\xfe\xff")
        with pytest.raises(StorageError, match=r"manifest\.json is damaged"):
            read_manifest(tmp_path)

    @pytest.mark.parametrize("change", [{"version": 2}, {"format": "other"}])
    def test_other_formats_are_refused(self, tmp_path, change):
        folder = labelled(tmp_path / "documents")
        edit_manifest(folder, lambda data: data.update(change))
        with pytest.raises(StorageError, match=f"reads '{FORMAT}' version 1"):
            read_manifest(folder)

    @pytest.mark.parametrize(
        "change",
        [
            {"name": "../secret"},
            {"name": "/etc/passwd"},
            {"name": ".."},
            {"name": ""},
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
        "change", [{"layout": "scores"}, {"modality": "image"}, {"shards": {}}, {"relevance": 1}, {"train_digest": 1}]
    )
    def test_bad_fields_are_refused(self, tmp_path, change):
        folder = labelled(tmp_path / "documents")
        edit_manifest(folder, lambda data: data.update(change))
        with pytest.raises(StorageError, match=r"manifest\.json is damaged"):
            read_manifest(folder)

    def test_json_survives(self, tmp_path):
        manifest = Manifest(Layout.LABELLED, "text", (Shard("a", Split.TRAIN, 1, "00"),), None, "sha256:11")
        manifest.save(tmp_path)
        assert read_manifest(tmp_path) == manifest
        assert set(dataclasses.asdict(manifest)) < set(json.loads(manifest.to_json()))


class TestDamage:
    @pytest.mark.parametrize("name", ["index-00000.protobuf-array.gzip", "index-00001.protobuf-array.gzip"])
    def test_every_shard_is_checked(self, tmp_path, name):
        folder = labelled(tmp_path / "documents")
        whole = (folder / name).read_bytes()
        for damaged in (whole[:-1], whole + b"\0", whole[:20] + b"\xff" + whole[21:], b""):
            (folder / name).write_bytes(damaged)
            with pytest.raises(StorageError, match=f"{name} was changed or cut off"):
                read_table(folder, Split.INDEX)
        (folder / name).unlink()
        with pytest.raises(StorageError, match=rf"Cannot read .*{name}: No such file"):
            read_table(folder, Split.INDEX)

    def test_relevance_is_checked(self, tmp_path):
        folder = paired(tmp_path / "documents")
        path = folder / "relevance.parquet"
        path.write_bytes(path.read_bytes()[:-4])
        with pytest.raises(StorageError, match=r"relevance\.parquet was changed or cut off"):
            read_relevance(folder)
        path.unlink()
        with pytest.raises(StorageError, match=r"Cannot read .*relevance\.parquet"):
            read_relevance(folder)

    def test_row_count_must_match(self, tmp_path):
        folder = labelled(tmp_path / "documents")
        edit_manifest(folder, lambda data: data["shards"][0].update(rows=4))
        with pytest.raises(StorageError, match=r"query-00000.* holds 3 rows, its manifest says 4"):
            read_table(folder, Split.QUERY)

    def test_pickles_are_never_loaded(self, tmp_path):
        folder = labelled(tmp_path / "documents")
        marker = tmp_path / "executed"
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            replace_shard(folder, gzip.compress(pickle.dumps(_TouchesWhenLoaded(marker), protocol)))
            with pytest.raises(StorageError, match="pickled DocumentArrays are refused"):
                read_table(folder, Split.QUERY)
            replace_shard(folder, pickle.dumps(_TouchesWhenLoaded(marker), protocol))
            with pytest.raises(StorageError, match="is not a complete gzip file"):
                read_table(folder, Split.QUERY)
        assert not marker.exists()

    def test_other_protobuf_is_refused(self, tmp_path):
        folder = labelled(tmp_path / "documents")
        replace_shard(folder, gzip.compress(b"\x0a\xff\xff\xff\xff\x0f"))
        with pytest.raises(StorageError, match="is no DocumentArray in protobuf"):
            read_table(folder, Split.QUERY)

    def test_documents_without_a_label_are_refused(self, tmp_path):
        folder = labelled(tmp_path / "documents")
        table = documents(0, 3).set_column(2, "label", pa.array(["a", "", "c"]))
        replace_shard(folder, encode_documents(table))
        with pytest.raises(StorageError, match=r"Document 1 of .*query-00000.* has no label"):
            read_table(folder, Split.QUERY)


class _TouchesWhenLoaded:
    """A pickle that creates a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self):
        return Path.touch, (self._path,)

"""A manifest on a disk that names shards on the object store."""

from pathlib import Path

import pyarrow as pa
import pytest

from embedtune.documents.schema import Split, SplitColumns
from embedtune.documents.shards.folder import BuiltFolder, read_part
from embedtune.documents.shards.tables import write_manifest, write_part
from embedtune.documents.shards.writer import open_shards
from embedtune.errors import StorageError
from embedtune.records.layouts import Layout, Modality
from embedtune.records.rows import RowsFormat

PLAIN = RowsFormat(Layout.PLAIN, (Modality.TEXT,))
FORM = SplitColumns(PLAIN, Split.CORPUS)


def part(folder: Path, number: int) -> Path:
    folder.mkdir()
    texts = pa.array([f"text {number} {row}" for row in range(3)], pa.large_string())
    with open_shards(folder, FORM, f"{number:05}-") as writer:
        writer.write(pa.table([texts, texts], schema=FORM.schema))
        write_part(folder, writer.finish())
    return folder


def store_parts(store, tmp_path: Path) -> Path:
    shards = []
    for number in range(2):
        for path in part(tmp_path / str(number), number).iterdir():
            store.client.fput_object(store.bucket, f"parts/{number}/{path.name}", str(path))
        shards += read_part(f"{store.uri}/parts/{number}")
    write_manifest(tmp_path / "whole", PLAIN, shards, None, "")
    return tmp_path / "whole"


def test_shards_are_fetched_one_by_one(store, tmp_path):
    folder = store_parts(store, tmp_path)
    assert [path.name for path in folder.iterdir()] == ["manifest.json"]
    assert [len(table) for table in BuiltFolder.open(folder).tables(Split.CORPUS)] == [3, 3]
    texts = BuiltFolder.open(folder).table(Split.CORPUS)["text"].to_pylist()
    assert texts == [f"text {number} {row}" for number in range(2) for row in range(3)]


def test_a_shard_that_was_replaced_or_removed(store, tmp_path):
    folder = store_parts(store, tmp_path)
    key = "parts/1/corpus-00001-00000.protobuf-array.gzip"
    store.client.fput_object(store.bucket, key, str(tmp_path / "0" / "corpus-00000-00000.protobuf-array.gzip"))
    tables = BuiltFolder.open(folder).tables(Split.CORPUS)
    assert next(tables).num_rows == 3
    with pytest.raises(StorageError, match=f"{store.uri}/{key} was changed or cut off"):
        next(tables)
    store.client.remove_object(store.bucket, key)
    with pytest.raises(StorageError, match=key):
        BuiltFolder.open(folder).table(Split.CORPUS)


def test_a_part_that_is_not_there(store):
    with pytest.raises(StorageError, match=r"parts/1/part\.json"):
        read_part(f"{store.uri}/parts/1")

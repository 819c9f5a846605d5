"""Files of Documents: the same bytes for the same Documents, compressed where that is worth it."""

import gzip
import hashlib
from contextlib import closing

import numpy as np
import pyarrow as pa
import pytest

from embedtune.documents.schema import Split, SplitColumns
from embedtune.documents.shards.codec import encode_documents
from embedtune.documents.shards.writer import ShardFiles, open_shards
from embedtune.records.layouts import Layout, Modality
from embedtune.records.rows import RowsFormat

NOISE = np.random.default_rng(0).bytes(3 << 20)
WORDS = b"the same words again" * 100_000
PNG = b"\x89PNG\r\n\x1a\n" + b"pixels" * 99
POINTS = np.ones((50, 3), "<f4").tobytes()


def written(folder, portions, **options):
    """Write files of two portions each."""
    with closing(ShardFiles(folder, "a-", **options)) as files:
        for number, data in enumerate(portions):
            files.write(data, 2, number)
            if number % 2:
                files.finish()
        return files.finish(), [(folder / f"a-{number:05}.protobuf-array.gzip").read_bytes() for number in range(2)]


def test_what_is_told_is_what_was_written(tmp_path):
    files, contents = written(tmp_path, [b"ab", b"cd", b"ef"])
    assert [gzip.decompress(content) for content in contents] == [b"abcd", b"ef"]
    assert [(file.name, file.rows, file.size, file.sha256) for file in files] == [
        (f"a-{number:05}.protobuf-array.gzip", rows, len(content), hashlib.sha256(content).hexdigest())
        for number, rows, content in zip(range(2), (4, 2), contents, strict=True)
    ]


def test_a_file_tells_how_full_it_is(tmp_path):
    with closing(ShardFiles(tmp_path, "")) as files:
        files.write(b"ab", 2, 7)
        files.write(b"c", 1, 5)
        assert (files.rows, files.size) == (3, 12)
        files.finish()
        assert (files.rows, files.size) == (0, 0)


@pytest.mark.parametrize("portion", [0, 5 << 20])
@pytest.mark.parametrize(
    ("is_text", "compressed"), [(None, (False, True)), (True, (True, True)), (False, (False,) * 2)]
)
def test_each_file_is_compressed_or_not(tmp_path, portion, is_text, compressed):
    """A beginning of noise tells that a file is stored, unless it is told; zeros behind it show which it was."""
    portions = [NOISE + bytes(1 << 20), b"", WORDS]
    _, contents = written(tmp_path, portions, is_text=is_text, portion=portion)
    sizes = [len(NOISE) + (100_000 if compressed[0] else 1 << 20), 100_000 if compressed[1] else len(WORDS)]
    assert [gzip.decompress(content) for content in contents] == [NOISE + bytes(1 << 20), WORDS]
    assert [len(content) < size for content, size in zip(contents, sizes, strict=True)] == list(compressed)


def test_exact_bytes(tmp_path):
    form = SplitColumns(RowsFormat(Layout.LABELLED, (Modality.TEXT,)), Split.TRAIN)
    table = pa.table([["1" * 32], ["a text " * 50], ["label"]], schema=form.schema)
    with open_shards(tmp_path, form) as writer:
        writer.write(table)
        (shard,) = writer.finish()
    content = (tmp_path / shard.name).read_bytes()
    assert content[:10] == bytes([31, 139, 8, 0, 0, 0, 0, 0, 0, 3])
    assert gzip.decompress(content) == encode_documents(table, form)
    assert len(content) < 200
    assert shard.sha256 == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize(("modality", "data"), [(Modality.IMAGE, PNG), (Modality.MESH, POINTS)])
def test_media_are_stored_as_they_are(tmp_path, modality, data):
    form = SplitColumns(RowsFormat(Layout.LABELLED, (modality,)), Split.TRAIN)
    table = pa.table([["1" * 32], [data], [""], ["label"]], schema=form.schema)
    with open_shards(tmp_path, form) as writer:
        writer.write(table)
        (shard,) = writer.finish()
    assert data in (tmp_path / shard.name).read_bytes()

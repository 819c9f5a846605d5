"""Rows become shards: the assigned contents, in bounded memory, and nothing half-done."""

import hashlib
import json
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from embedtune.documents.schema import ASSIGNMENT_SCHEMA, Role, Side, Split, content_id
from embedtune.documents.shards import writer as shard_writer
from embedtune.documents.shards.folder import BuiltFolder, read_part
from embedtune.documents.shards.tables import write_manifest, write_part, write_shards
from embedtune.errors import InputError, StorageError
from embedtune.records.layouts import Layout, Modality
from embedtune.records.rows import RowsFormat, open_rows

TEXT, IMAGE, MESH = Modality.TEXT, Modality.IMAGE, Modality.MESH
PNG_START = b"\x89PNG\r\n\x1a\n"


def nothing(done: int) -> None:
    pass


def write_rows(path: Path, rows_format: RowsFormat, *columns: list[object], batches: int = 1) -> Path:
    """Rows whose contents are `columns`; digests and addresses are made of the contents, lines are 1, 2, ..."""
    count = len(columns[0])
    lines = list(range(1, count + 1))
    names = rows_format.schema.names
    values = dict(zip([name for name in names[1:] if not name.endswith(("_digest", "_uri"))], columns, strict=True))
    for name in names:
        if name.endswith("_digest"):
            values[name] = [hashlib.sha256(data).hexdigest() for data in values[name.removesuffix("_digest")]]
        elif name.endswith("_uri"):
            values[name] = [f"s3://bucket/{line}" for line in lines]
    whole = [lines, *(values[name] for name in names[1:])]
    step = -(-count // batches)
    with open_rows(path, rows_format) as file:
        for start in range(0, count, step):
            file.write([column[start : start + step] for column in whole])
    return path


def assign(*entries: tuple[Split, int, Side, str | None]) -> pa.Table:
    """(split, row, side, role); ids are made of split, row and side, labels of the row."""
    rows = [
        {
            "split": split,
            "row": row,
            "side": side,
            "id": f"{split}-{row}-{int(side)}",
            "label": None if split is Split.CORPUS else f"l{row}",
            "role": role,
        }
        for split, row, side, role in entries
    ]
    return pa.Table.from_pylist(rows, ASSIGNMENT_SCHEMA)


def build(folder: Path, rows: Path, rows_format: RowsFormat, assignment: pa.Table, *splits: Split) -> Path:
    write_manifest(folder, rows_format, write_shards(rows, assignment, folder, splits, "", nothing), None, "")
    return folder


class TestContents:
    def test_labelled(self, tmp_path):
        rows_format = RowsFormat(Layout.LABELLED, (TEXT,))
        rows = write_rows(tmp_path / "rows", rows_format, ["a", "b", "c", "d"], ["x", "x", "y", "y"], batches=2)
        entries = [(Split.INDEX, 1), (Split.QUERY, 0), (Split.QUERY, 3), (Split.TRAIN, 2)]
        assignment = assign(*((split, row, Side.FIRST, None) for split, row in entries))
        done: list[int] = []
        shards = write_shards(rows, assignment, tmp_path / "out", (Split.QUERY, Split.INDEX), "", done.append)
        assert [(shard.name, shard.rows) for shard in shards] == [
            ("query-00000.protobuf-array.gzip", 2),
            ("index-00000.protobuf-array.gzip", 1),
        ]
        assert sum(done) == 3
        write_manifest(tmp_path / "out", rows_format, shards, None, "")
        assert BuiltFolder.open(tmp_path / "out").table(Split.QUERY).to_pylist() == [
            {"id": "query-0-0", "text": "a", "label": "l0"},
            {"id": "query-3-0", "text": "d", "label": "l3"},
        ]
        assert BuiltFolder.open(tmp_path / "out").table(Split.INDEX)["text"].to_pylist() == ["b"]
        assert BuiltFolder.open(tmp_path / "out").table(Split.TRAIN).num_rows == 0

    def test_both_sides_of_pairs_in_order(self, tmp_path):
        rows_format = RowsFormat(Layout.PAIRS, (TEXT, TEXT))
        rows = write_rows(tmp_path / "rows", rows_format, ["q0", "q1", "q2"], ["d0", "d1", "d2"])
        train = assign(
            (Split.TRAIN, 0, Side.SECOND, Role.DOCUMENT),
            (Split.TRAIN, 1, Side.FIRST, Role.QUERY),
            (Split.TRAIN, 1, Side.SECOND, Role.BOTH),
            (Split.TRAIN, 2, Side.FIRST, Role.QUERY),
        )
        table = BuiltFolder.open(build(tmp_path / "out", rows, rows_format, train, Split.TRAIN)).table(Split.TRAIN)
        assert table["text"].to_pylist() == ["d0", "q1", "d1", "q2"]
        assert table["role"].to_pylist() == ["document", "query", "both", "query"]
        assert table["id"].to_pylist() == ["train-0-1", "train-1-0", "train-1-1", "train-2-0"]

    def test_documents_of_beir_that_nobody_judged(self, tmp_path):
        rows_format = RowsFormat(Layout.BEIR, (TEXT, TEXT))
        columns = (["q", None], ["d", "e"], [2.0, 0.0], ["test", ""])
        rows = write_rows(tmp_path / "rows", rows_format, *columns)
        entries = [(Split.INDEX, 0, Side.SECOND), (Split.INDEX, 1, Side.SECOND), (Split.QUERY, 0, Side.FIRST)]
        folder = build(
            tmp_path / "out",
            rows,
            rows_format,
            assign(*((*entry, None) for entry in entries)),
            Split.QUERY,
            Split.INDEX,
        )
        assert BuiltFolder.open(folder).table(Split.INDEX)["text"].to_pylist() == ["d", "e"]
        assert BuiltFolder.open(folder).table(Split.QUERY)["text"].to_pylist() == ["q"]

    def test_plain(self, tmp_path):
        rows_format = RowsFormat(Layout.PLAIN, (TEXT,))
        rows = write_rows(tmp_path / "rows", rows_format, ["a", "b"])
        assignment = assign((Split.CORPUS, 1, Side.FIRST, None))
        folder = build(tmp_path / "out", rows, rows_format, assignment, Split.CORPUS)
        assert BuiltFolder.open(folder).table(Split.CORPUS).to_pylist() == [{"id": "corpus-1-0", "text": "b"}]

    def test_scored(self, tmp_path):
        rows_format = RowsFormat(Layout.SCORED, (TEXT, TEXT))
        rows = write_rows(tmp_path / "rows", rows_format, ["a", "b", "é"], ["c", "d", "f"], [0.5, 1.0, 0.0])
        train = assign((Split.TRAIN, 0, Side.PARENT, None), (Split.TRAIN, 2, Side.PARENT, None))
        table = BuiltFolder.open(build(tmp_path / "out", rows, rows_format, train, Split.TRAIN)).table(Split.TRAIN)
        assert table.to_pylist()[1] == {
            "id": "train-2-2",
            "first_id": hashlib.sha256("é".encode()).hexdigest()[:32],
            "first": "é",
            "second_id": content_id(b"f"),
            "second": "f",
            "label": "l2",
            "score": 0.0,
        }

    def test_text_image(self, tmp_path):
        rows_format = RowsFormat(Layout.TEXT_IMAGE, (TEXT, IMAGE))
        images = [PNG_START + b"0", PNG_START + b"1"]
        rows = write_rows(tmp_path / "rows", rows_format, ["a", "b"], images)
        assignment = assign(
            (Split.INDEX, 1, Side.SECOND, None),
            (Split.QUERY, 1, Side.FIRST, None),
            (Split.TRAIN, 0, Side.PARENT, None),
        )
        folder = build(tmp_path / "out", rows, rows_format, assignment, Split.TRAIN, Split.QUERY, Split.INDEX)
        assert BuiltFolder.open(folder).table(Split.TRAIN).to_pylist() == [
            {
                "id": "train-0-2",
                "first_id": content_id(b"a"),
                "first": "a",
                "second_id": content_id(images[0]),
                "second": images[0],
                "second_uri": "s3://bucket/1",
                "label": "l0",
            }
        ]
        assert BuiltFolder.open(folder).table(Split.QUERY)["text"].to_pylist() == ["b"]
        assert BuiltFolder.open(folder).table(Split.INDEX).to_pylist() == [
            {"id": "index-1-1", "image": images[1], "uri": "s3://bucket/2", "label": "l1"}
        ]

    def test_meshes(self, tmp_path):
        rows_format = RowsFormat(Layout.PAIRS, (MESH, MESH))
        points = [np.full((4, 3), number, "<f4").tobytes() for number in range(4)]
        rows = write_rows(tmp_path / "rows", rows_format, points[:2], points[2:])
        train = assign((Split.TRAIN, 0, Side.FIRST, Role.QUERY), (Split.TRAIN, 1, Side.SECOND, Role.DOCUMENT))
        table = BuiltFolder.open(build(tmp_path / "out", rows, rows_format, train, Split.TRAIN)).table(Split.TRAIN)
        assert table["mesh"].to_pylist() == [points[0], points[3]]
        assert table["uri"].to_pylist() == ["s3://bucket/1", "s3://bucket/2"]

    def test_addresses_that_were_not_loaded(self, tmp_path):
        rows_format = RowsFormat(Layout.TEXT_IMAGE, (TEXT, IMAGE), loaded=False)
        rows = write_rows(tmp_path / "rows", rows_format, ["a", "b"], ["1.png", "2.png"])
        assignment = assign((Split.INDEX, 0, Side.SECOND, None), (Split.TRAIN, 1, Side.PARENT, None))
        folder = build(tmp_path / "out", rows, rows_format, assignment, Split.TRAIN, Split.INDEX)
        assert BuiltFolder.open(folder).table(Split.INDEX).to_pylist() == [
            {"id": "index-0-1", "uri": "1.png", "label": "l0"}
        ]
        parent = BuiltFolder.open(folder).table(Split.TRAIN).to_pylist()[0]
        assert (parent["second_id"], parent["second_uri"]) == (content_id(b"2.png"), "2.png")


class TestShards:
    rows_format = RowsFormat(Layout.LABELLED, (TEXT,))

    @pytest.fixture
    def rows(self, tmp_path):
        texts = ["x" * size for size in (1, 1, 1, 1, 4, 6, 10, 11, 1, 9, 1)]
        return write_rows(tmp_path / "rows", self.rows_format, texts, ["l"] * 11, batches=4)

    everything = assign(*((Split.TRAIN, row, Side.FIRST, None) for row in range(11)))

    def test_bounds(self, rows, tmp_path, monkeypatch):
        monkeypatch.setattr(shard_writer, "DOCUMENTS_PER_SHARD", 3)
        monkeypatch.setattr(shard_writer, "BYTES_PER_SHARD", 10)
        folder = build(tmp_path / "out", rows, self.rows_format, self.everything, Split.TRAIN)
        sizes = [
            [len(text) for text in table["text"].to_pylist()] for table in BuiltFolder.open(folder).tables(Split.TRAIN)
        ]
        assert sizes == [[1, 1, 1], [1, 4], [6], [10], [11], [1, 9], [1]]
        assert BuiltFolder.open(folder).table(Split.TRAIN)["id"].to_pylist() == [f"train-{row}-0" for row in range(11)]

    def test_equal_data_give_equal_bytes(self, rows, tmp_path):
        first, second = (
            build(tmp_path / name, rows, self.rows_format, self.everything, Split.TRAIN) for name in ("a", "b")
        )
        assert {path.name: path.read_bytes() for path in first.iterdir()} == {
            path.name: path.read_bytes() for path in second.iterdir()
        }

    def test_how_the_rows_file_is_cut_does_not_matter(self, rows, tmp_path):
        texts = ["x" * size for size in (1, 1, 1, 1, 4, 6, 10, 11, 1, 9, 1)]
        other = write_rows(tmp_path / "other", self.rows_format, texts, ["l"] * 11, batches=1)
        first, second = (
            build(tmp_path / file.stem, file, self.rows_format, self.everything, Split.TRAIN)
            for file in (rows.rename(tmp_path / "one.parquet"), other.rename(tmp_path / "two.parquet"))
        )
        name = "train-00000.protobuf-array.gzip"
        assert (first / name).read_bytes() == (second / name).read_bytes()

    def test_nothing_assigned(self, rows, tmp_path):
        shards = write_shards(rows, assign(), tmp_path / "out", (Split.QUERY, Split.INDEX), "", nothing)
        assert shards == ()
        assert list((tmp_path / "out").iterdir()) == []

    def test_parts_have_names_of_their_own(self, rows, tmp_path):
        shards = write_shards(rows, self.everything, tmp_path / "part", (Split.TRAIN,), "00007-", nothing)
        assert [shard.name for shard in shards] == ["train-00007-00000.protobuf-array.gzip"]
        write_part(tmp_path / "part", shards)
        found = read_part(f"{tmp_path / 'part'}/")
        assert [shard.uri for shard in found] == [str(tmp_path / "part" / shards[0].name)]
        assert write_manifest(tmp_path / "whole", self.rows_format, found, None, "").shards == found
        assert BuiltFolder.open(tmp_path / "whole").table(Split.TRAIN).num_rows == 11
        with pytest.raises(StorageError, match="one without a manifest was not finished"):
            BuiltFolder.open(tmp_path / "part").table(Split.TRAIN)

    def test_a_part_keeps_its_place_when_the_working_folder_changes(self, rows, tmp_path, monkeypatch):
        shards = write_shards(rows, self.everything, tmp_path / "part", (Split.TRAIN,), "", nothing)
        write_part(tmp_path / "part", shards)
        monkeypatch.chdir(tmp_path)
        for uri in ("part", "./part/", f"file://{tmp_path}/part"):
            assert [shard.uri for shard in read_part(uri)] == [str(tmp_path / "part" / shards[0].name)]

    def test_a_part_that_names_a_shard_twice(self, rows, tmp_path):
        shards = write_shards(rows, self.everything, tmp_path / "part", (Split.TRAIN,), "", nothing)
        write_part(tmp_path / "part", shards * 2)
        with pytest.raises(StorageError, match=r"part\.json is damaged \(.*is named twice\)"):
            read_part(str(tmp_path / "part"))

    @pytest.mark.parametrize("damage", ["", "{", '{"format": "embedtune.documents", "version": 2}', "[]"])
    def test_a_damaged_list_of_parts(self, tmp_path, damage):
        (tmp_path / "part.json").write_text(damage)
        with pytest.raises(StorageError, match=r"part\.json is (damaged|of format)"):
            read_part(str(tmp_path))

    def test_a_part_without_its_list(self, tmp_path):
        with pytest.raises(StorageError, match=r"part\.json"):
            read_part(str(tmp_path))


class TestRefused:
    rows_format = RowsFormat(Layout.LABELLED, (TEXT,))

    def test_an_assignment_of_other_rows(self, tmp_path):
        rows = write_rows(tmp_path / "rows", self.rows_format, ["a"], ["x"])
        assignment = assign((Split.TRAIN, 0, Side.FIRST, None), (Split.TRAIN, 1, Side.FIRST, None))
        with pytest.raises(InputError, match="has 1 rows, but 1 documents of the split train"):
            write_shards(rows, assignment, tmp_path / "out", (Split.TRAIN,), "", nothing)

    def test_no_rows(self, tmp_path):
        with pytest.raises(StorageError, match="does not exist"):
            write_shards(tmp_path / "rows", assign(), tmp_path / "out", (Split.TRAIN,), "", nothing)

    def test_a_place_that_cannot_be_written(self, tmp_path):
        rows = write_rows(tmp_path / "rows", self.rows_format, ["a"], ["x"])
        (tmp_path / "out").touch()
        with pytest.raises(StorageError, match=r"The folder of documents .* cannot be written: "):
            write_shards(rows, assign(), tmp_path / "out", (Split.TRAIN,), "", nothing)
        with pytest.raises(StorageError, match=r"The folder of documents .* cannot be written: "):
            write_manifest(tmp_path / "out", self.rows_format, (), None, "")

    def test_a_full_disk(self, tmp_path):
        """A limit on the size of a file stands for it: the error is the same kind."""
        texts = [hashlib.sha512(str(number).encode()).hexdigest() for number in range(2_000)]
        rows = write_rows(tmp_path / "rows", self.rows_format, texts, ["x"] * 2_000)
        assignment = assign(*((Split.TRAIN, row, Side.FIRST, None) for row in range(2_000)))
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
        try:
            with pytest.raises(
                StorageError,
                match=r"The folder of documents .* cannot be written: .*Free space or choose another place",
            ):
                write_shards(rows, assignment, tmp_path / "out", (Split.TRAIN,), "", nothing)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    def test_a_content_of_another_kind_closes_what_was_open(self, tmp_path):
        rows_format = RowsFormat(Layout.LABELLED, (IMAGE,))
        rows = write_rows(tmp_path / "rows", rows_format, [PNG_START, b"GIF89a"], ["x", "y"])
        assignment = assign(*((Split.TRAIN, row, Side.FIRST, None) for row in range(2)))
        with pytest.raises(InputError, match=r"'s3://bucket/2' starts with b'GIF89a'"):
            write_shards(rows, assignment, tmp_path / "out", (Split.TRAIN,), "", nothing)


MEASURED = """
import json, re, sys
from pathlib import Path
import pyarrow as pa
from embedtune.documents.schema import ASSIGNMENT_SCHEMA
from embedtune.documents.schema import Split
from embedtune.documents.shards.folder import BuiltFolder
from embedtune.documents.shards.tables import write_manifest, write_shards
from embedtune.records.rows import read_format

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) // 1024

rows, out, count = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
splits = [Split.QUERY] * (count // 2) + [Split.TRAIN] * (count - count // 2)
columns = {"split": splits, "row": [*range(0, count, 2), *range(1, count, 2)], "side": [0] * count,
           "id": [f"{n:032x}" for n in range(count)], "label": ["l"] * count, "role": [None] * count}
assignment = pa.table(columns).cast(ASSIGNMENT_SCHEMA)
start = peak()
shards = write_shards(rows, assignment, out, (Split.TRAIN, Split.QUERY), "", lambda done: None)
written = peak()
write_manifest(out, read_format(rows), shards, None, "")
read = sum(len(table) for split in (Split.TRAIN, Split.QUERY) for table in BuiltFolder.open(out).tables(split))
print(json.dumps([start, written, peak(), read, len(shards)]))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak of its memory from Linux")
def test_memory_does_not_grow_with_the_images(tmp_path):
    """2,000 images of 100 kB: 200 MB of rows pass through 100 MB of memory, and shards of 32 MB come back."""
    rows_format = RowsFormat(Layout.LABELLED, (IMAGE,))
    noise = np.random.default_rng(0)
    with open_rows(tmp_path / "rows", rows_format) as file:
        for start in range(0, 2_000, 50):
            images = [PNG_START + noise.bytes(100_000) for _ in range(50)]
            digests = [hashlib.sha256(image).hexdigest() for image in images]
            file.write([list(range(start, start + 50)), images, digests, ["a.png"] * 50, ["l"] * 50])
    command = [sys.executable, "-c", MEASURED, str(tmp_path / "rows"), str(tmp_path / "out"), "2000"]
    result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    start, written, read_back, rows, shards = json.loads(result.stdout)
    assert (rows, shards) == (2_000, 6)
    assert written - start < 150
    assert read_back - start < 400

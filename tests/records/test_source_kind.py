import bz2
import gzip
import os
import pickle
from pathlib import Path

import pytest
from docarray import Document, DocumentArray

from embedtune.errors import InputError, StorageError
from embedtune.records.source_kind import (
    SourceKind,
    common_folder,
    file_kind,
    names_kind,
    passed_over,
    source_kind,
    table_names,
)

DATA = Path(__file__).parents[2].parent / "shared" / "data"
BEIR = ["corpus.jsonl", "queries.jsonl", "qrels/train.tsv", "qrels/test.tsv"]


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (["part-0.csv", "part-1.CSV", "README.md"], SourceKind.CSV),
        (["a.tsv", "b.txt", "README.txt"], SourceKind.CSV),
        (BEIR, SourceKind.BEIR),
        (["scifact/corpus.jsonl.gz", "scifact/queries.jsonl", "scifact/qrels/test.tsv"], SourceKind.BEIR),
        (["corpus.jsonl", "queries.jsonl"], SourceKind.BEIR),
        (["cat/1.png", "dog/2.JPG", "notes.md"], SourceKind.CLASS_FOLDERS),
        (["ModelNet10/bed/train/bed_1.off", "ModelNet10/desk/test/desk_1.off"], SourceKind.CLASS_FOLDERS),
        (["a.png", "b.png"], SourceKind.CLASS_FOLDERS),
        (
            [
                "train-00000.protobuf-array.gzip",
                "train-00001.protobuf-array.gzip",
                "manifest.json",
                "relevance.parquet",
            ],
            SourceKind.DOCUMENTS,
        ),
        (["a.da", "b.da"], SourceKind.DOCUMENTS),
        (["a.protobuf", "b.pickle-array.gzip"], SourceKind.DOCUMENTS),
    ],
)
def test_kind_by_names(names, kind):
    assert names_kind(names) is kind


@pytest.mark.parametrize(
    ("names", "kind", "tables", "notes"),
    [
        (["cat/1.png", "dog/1.png", "classes.txt"], SourceKind.CLASS_FOLDERS, None, None),
        (["a/train.csv", "a/labels.txt", "a/README.txt"], SourceKind.CSV, ["a/train.csv"], "a/labels.txt"),
        (["a.txt", "b.TXT", "notes.log"], SourceKind.CSV, ["a.txt", "b.TXT"], "notes.log"),
        (["a.json", "b.JSON"], SourceKind.CSV, ["a.json", "b.JSON"], None),
        (["a/part-0.parquet", "a/part-1.parquet", "a/info.json"], SourceKind.CSV, None, None),
        (["a.jsonl", "b.ndjson", "labels.txt"], SourceKind.CSV, ["a.jsonl", "b.ndjson"], "labels.txt"),
        (["a.csv", "datasets.json"], SourceKind.CSV, ["a.csv"], "datasets.json"),
        ([*BEIR, "more.jsonl", "x.parquet", "info.json"], SourceKind.BEIR, None, None),
        (["cat/1.png", "dog/1.png", "info.json"], SourceKind.CLASS_FOLDERS, None, None),
        (["train.da", "notes.txt"], SourceKind.DOCUMENTS, None, None),
    ],
)
def test_texts_beside_better_known_files(names, kind, tables, notes):
    assert names_kind(names) is kind
    if tables is not None:
        assert table_names(names) == tables
        told = f"Not read, for they are no tables by their names: {notes}. To read one, give it by itself."
        assert passed_over(names, tables) == ((told,) if notes else ())
        assert passed_over(tables, tables) == ()


def test_tables_of_several_formats():
    with pytest.raises(InputError, match=r"tables of several formats \(CSV: 'a.csv', Parquet: 'b.parquet'\)"):
        names_kind(["a.csv", "b.parquet", "c.txt"])
    with pytest.raises(InputError, match=r"several kinds \(csv: 'metadata.jsonl'; class-folders: 'cats/1.png'"):
        names_kind(["metadata.jsonl", "cats/1.png"])
    with pytest.raises(InputError, match="a Delta Lake table"):
        names_kind(["part-0.parquet", "part-1.parquet", "_delta_log/0.json"])


def test_csv_that_names_images_beside_it_is_several_kinds():
    with pytest.raises(
        InputError, match=r"several kinds \(csv: 'train.csv'; class-folders: 'cats/1.png'\).*the CSV it"
    ):
        names_kind(["train.csv", "cats/1.png"])


def test_csv_beside_a_beir_folder_is_several_kinds():
    with pytest.raises(InputError, match="several kinds"):
        names_kind([*BEIR, "extra.csv"])


@pytest.mark.parametrize("names", [["a.xml", "b.orc"], ["manifest.json", "relevance.parquet"], ["README.txt", "b"]])
def test_no_known_kind(names):
    with pytest.raises(InputError, match="None of the 2 files is of a known kind"):
        names_kind(names)


@pytest.mark.parametrize(
    ("names", "folder"),
    [
        ([], ""),
        (["a.csv"], ""),
        (["x/a", "x/b"], "x/"),
        (["x/y/a", "x/y/b"], "x/y/"),
        (["x/y/a", "x/z/b"], "x/"),
        (["x/a", "xy/b"], ""),
        (["x/a", "b"], ""),
    ],
)
def test_common_folder(names, folder):
    assert common_folder(names) == folder


class Evil:
    def __reduce__(self):
        return (os.system, ("touch should-not-be-here",))


def _saved(path: Path, protocol: str, compress: str | None) -> bytes:
    with path.open("wb") as file:
        DocumentArray([Document(text="hello"), Document(text="you")]).save_binary(file, protocol, compress)
    return path.read_bytes()


@pytest.mark.parametrize("protocol", ["protobuf", "protobuf-array", "pickle-array", "pickle"])
@pytest.mark.parametrize("compress", [None, "gzip", "bz2"])
def test_saved_array_by_its_bytes(tmp_path, protocol, compress):
    _saved(tmp_path / "data.csv", protocol, compress)
    assert file_kind(tmp_path / "data.csv") is SourceKind.DOCUMENTS


@pytest.mark.parametrize("protocol", range(2, 6))
def test_pickle_goes_to_the_reader_that_refuses_it(tmp_path, protocol):
    (tmp_path / "data.csv").write_bytes(pickle.dumps(Evil(), protocol))
    assert file_kind(tmp_path / "data.csv") is SourceKind.DOCUMENTS


@pytest.mark.parametrize(
    "text",
    [
        "a,b\n",
        "",
        "\n\n\na,b\n",
        "\nhello,there\nhello,you\n",
        "\n \nab,c\n",
        "\r\na,b\r\n",
        "BZh is a text,b\n",
        "\x01,b\n",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_csv_by_its_bytes(tmp_path, text, encoding):
    (tmp_path / "data").write_bytes(text.encode(encoding))
    assert source_kind(["data"], tmp_path) is SourceKind.CSV


def test_name_of_an_array_goes_to_the_reader_that_says_what_is_wrong(tmp_path):
    (tmp_path / "train.da").write_text("a,b\n")
    assert file_kind(tmp_path / "train.da") is SourceKind.DOCUMENTS


def test_several_names_are_not_opened(tmp_path):
    assert source_kind(["a.csv", "b.csv"], tmp_path) is SourceKind.CSV


@pytest.mark.parametrize(("pack", "name"), [(gzip.compress, "gzip"), (bz2.compress, "bz2")])
def test_compressed_csv(tmp_path, pack, name):
    (tmp_path / "a.csv.packed").write_bytes(pack(b"text,label\n" * 100))
    with pytest.raises(InputError, match=f"compressed with {name} and holds no DocumentArray"):
        file_kind(tmp_path / "a.csv.packed")


@pytest.mark.parametrize(
    "damaged", [b"\x1f\x8b", b"\x1f\x8bnothing of the kind", gzip.compress(bytes(range(99)), mtime=0)[:15]]
)
def test_damaged_gzip(tmp_path, damaged):
    (tmp_path / "a").write_bytes(damaged)
    with pytest.raises(InputError, match="damaged or cut off"):
        file_kind(tmp_path / "a")


def test_single_image_and_single_beir_file(tmp_path):
    with pytest.raises(InputError, match="single image or mesh"):
        file_kind(tmp_path / "a.png")
    with pytest.raises(InputError, match="one file of a BEIR folder"):
        file_kind(tmp_path / "queries.jsonl.gz")


def test_missing_file(tmp_path):
    with pytest.raises(StorageError, match="does not exist"):
        file_kind(tmp_path / "a.csv")
    (tmp_path / "folder").mkdir()
    with pytest.raises(StorageError, match="cannot be read"):
        file_kind(tmp_path / "folder")


@pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data beside the repository is absent")
def test_real_csvs_are_csvs():
    found = sorted(DATA.glob("*/*.csv"))
    assert found
    assert {file_kind(path) for path in found} == {SourceKind.CSV}


def test_table_names():
    assert table_names(["b.csv", "README.txt", "x/a.TSV", "c.png", "LICENSE.txt"]) == ["b.csv", "x/a.TSV"]

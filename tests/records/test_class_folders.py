import csv

import pytest

from embedtune.errors import InputError
from embedtune.records.class_folders import ingest_class_folders
from embedtune.records.layouts import Layout, Modality
from embedtune.records.report import IngestReport
from embedtune.records.rows import RowsFormat, read_rows


@pytest.fixture
def ingest(tmp_path):
    def run(names, share=0.01) -> tuple[IngestReport, list[tuple[object, ...]]]:
        report = ingest_class_folders(names, "s3://bucket/set/", tmp_path / "rows", tmp_path / "bad.csv", share)
        found, table = read_rows(tmp_path / "rows")
        assert found == RowsFormat(Layout.LABELLED, tuple(map(Modality, report.modalities)), loaded=False)
        return report, list(zip(*table.to_pydict().values(), strict=True))

    return run


def test_folder_per_class(ingest):
    report, rows = ingest(["cat/1.png", "cat/2.JPEG", "dog/1.webp", "dog/deep/er/2.tif", "dog/notes.txt", "README.md"])
    assert rows == [
        (1, "cat/1.png", "cat"),
        (2, "cat/2.JPEG", "cat"),
        (3, "dog/1.webp", "dog"),
        (4, "dog/deep/er/2.tif", "dog"),
    ]
    assert report == IngestReport(
        4, 0, "labelled", ("image",), 4, "a folder per class, 2 classes, 2 other files ignored"
    )


def test_modelnet(ingest):
    names = ["bed/test/bed_2.off", "bed/train/bed_1.off", "desk/test/desk_2.off", "desk/train/desk_1.off"]
    report, rows = ingest(names)
    assert [row[2] for row in rows] == ["bed", "bed", "desk", "desk"]
    assert report.modalities == ("mesh",)
    assert report.read_as == "a folder per class, 2 classes, its folders train and test taken together"
    around = [f"ModelNet10/{name}" for name in names]
    assert [row[1:] for row in ingest(around)[1]] == list(zip(around, ["bed", "bed", "desk", "desk"], strict=True))


@pytest.mark.parametrize(
    "names",
    [
        ["train/cat/1.png", "train/dog/2.png", "test/cat/3.png", "val/dog/4.png"],
        ["set/train/cat/1.png", "set/valid/dog/2.png", "set/train/cat/3.png", "set/train/dog/4.png"],
        ["train/cat/1.png", "train/dog/2.png", "train/cat/3.png"],
    ],
)
def test_image_folder(ingest, names):
    assert {row[2] for row in ingest(names)[1]} == {"cat", "dog"}


def test_classes_called_train_beside_others_are_classes(ingest):
    names = ["train/1.png", "train/2.png", "plane/1.png"]
    assert [row[2] for row in ingest(names)[1]] == ["train", "train", "plane"]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "no images and no meshes"),
        (["cat/a.txt", "dog/b.xml"], "no images and no meshes"),
        (
            ["cat/1.png", "dog/1.off"],
            "images and meshes: 'cat/1.png' is a file of kind image and 'dog/1.off' is a file",
        ),
        (["1.png", "2.png"], "'1.png' is in no folder of a class"),
        (["cat/1.png", "dog/2.png", "3.png"], "'3.png' is in no folder of a class"),
        (["set/cat/1.png", "set/dog/2.png", "set/3.png"], "'set/3.png' is in no folder of a class"),
        (["train/1.png", "test/2.png"], "'train/1.png' is in no folder of a class"),
        (["cat/1.png", "cat/2.png"], "the single class 'cat'"),
        (["bed/train/1.off", "bed/test/2.off"], "the single class 'bed'"),
        (["bed/train/1.off", "bed/train/2.off"], "the single class 'bed'"),
        (["train/cat/1.png", "test/cat/2.png"], "the single class 'cat'"),
        (["cat/1.png", "dog/2.png"], "one file in each of 2 classes"),
    ],
)
def test_folder_that_cannot_be_used(ingest, tmp_path, names, message):
    with pytest.raises(InputError, match=message):
        ingest(names)
    assert not (tmp_path / "rows").exists()


def test_names_that_cannot_be_used(ingest, tmp_path):
    names = ["cat/1.png", "cat/2.png", "dog/1.png", "dog/\udcff.png", " dog/3.png", "  /4.png"]
    report, rows = ingest(names, share=0.5)
    assert len(rows) == 3
    with (tmp_path / "bad.csv").open(encoding="utf-8", newline="") as file:
        found = list(csv.DictReader(file))
    assert [(row["line"], row["reason"]) for row in found] == [
        ("4", "the name is not in UTF-8"),
        ("5", "the name begins or ends with white space"),
        ("6", "the name begins or ends with white space"),
    ]
    assert found[0]["row"] == "dog/\\udcff.png"
    assert report.bad_rows == 3
    with pytest.raises(InputError, match=r"3 of 6 names of files .50.00%. cannot be used, max_bad_share allows 0.25"):
        ingest(names, share=0.25)


def test_all_names_are_bad(ingest):
    with pytest.raises(InputError, match="2 of 2 names of files"):
        ingest([" a/1.png", " b/1.png"], share=1.0)

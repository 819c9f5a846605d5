import csv

import pytest

from embedtune.errors import InputError
from embedtune.records.class_folders import ingest_class_folders
from embedtune.records.layouts import Layout, Modality
from embedtune.records.output import open_output
from embedtune.records.rows import IngestReport, RowsFormat, read_rows


@pytest.fixture
def ingest(tmp_path):
    def run(names, share=0.01) -> tuple[IngestReport, list[tuple[object, ...]]]:
        with open_output(tmp_path / "rows", tmp_path / "bad.csv", share) as output:
            report = ingest_class_folders(names, "s3://bucket/set/", output)
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
        4, 0, "labelled", ("image",), 4, "a folder per class, 2 classes, 2 of 6 files ignored: .txt 1, .md 1"
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
        (["cat/a.txt", "dog/b.xml"], r"no images and no meshes of a kind that is read, its files are \.txt 1, \.xml 1"),
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
    with pytest.raises(InputError, match=r"3 of 6 files .50.00%. cannot be used, max_bad_share allows 0.25"):
        ingest(names, share=0.25)


def test_all_names_are_bad(ingest):
    with pytest.raises(InputError, match="2 of 2 files"):
        ingest([" a/1.png", " b/1.png"], share=1.0)


PICTURES = [f"{kind}/{n}.png" for kind in ("cat", "dog") for n in range(8)]


def test_files_of_unknown_kinds_count_as_bad_rows(ingest, tmp_path):
    names = sorted([*PICTURES, *(f"cat/x{n}.HEIC" for n in range(3)), "dog/y.svg", "dog/noending", "dog/notes.txt"])
    with pytest.raises(InputError) as caught:
        ingest(names)
    assert str(caught.value).startswith(
        "s3://bucket/set/ (not read: .heic 3, no ending 1, .svg 1): 5 of 21 files (23.81%) cannot be used, "
        "max_bad_share allows 0.01. First ones: line 9: a file of a kind that is not read: 'cat/x0.HEIC'; "
    )
    assert "Mend the files, convert images to .jpg or .png and meshes to .off, .stl or .glb, or" in str(caught.value)
    report, rows = ingest(names, share=0.25)
    assert ([row[1] for row in rows], report.bad_rows) == (PICTURES, 5)
    assert report.read_as == "a folder per class, 2 classes, 1 of 22 files ignored: .txt 1"
    with (tmp_path / "bad.csv").open(encoding="utf-8", newline="") as file:
        assert [row["row"] for row in csv.DictReader(file)][2:] == ["cat/x2.HEIC", "dog/noending", "dog/y.svg"]


def test_what_accompanies_images_is_ignored_and_told_by_ending(ingest):
    clutter = [
        "cat/Thumbs.db",
        "cat/desktop.ini",
        "cat/0.xml",
        "dog/Desktop.INI",
        "dog/LICENSE",
        "weights.bin",
        "m.heic",
    ]
    report, rows = ingest([*PICTURES, *clutter])
    assert (len(rows), report.bad_rows) == (16, 0)
    assert report.read_as == (
        "a folder per class, 2 classes, 7 of 23 files ignored: .ini 2, .db 1, .xml 1, no ending 1, .bin 1 and others"
    )


@pytest.mark.parametrize(
    ("names", "lost"),
    [
        (
            [*PICTURES, "fox/1.heic", "fox/2.avif"],
            r"the class 'fox' can be used \(\.heic 1, \.avif 1\)\. Convert images",
        ),
        ([f"set/{name}" for name in [*PICTURES, "fox/1.heic"]], "the class 'fox'"),
        ([f"train/{name}" for name in [*PICTURES[:8], "dog/1.heic"]], "the class 'dog'"),
        ([*(f"train/{name}" for name in PICTURES), "test/fox/1.jxl", "test/cat/9.png"], "the class 'fox'"),
        ([*PICTURES, "gr\udcfcn/1.png", "gr\udcfcn/2.png"], r"the class .* can be used \(the name is not in UTF-8\)"),
        (
            [*PICTURES, "fox/1.heic", "owl/1.heic"],
            r"the class 'fox' can be used \(\.heic 1\)\. 1 more classes are lost",
        ),
        (["bed/train/1.off", "bed/test/2.off", "desk/train/1.step"], "the class 'desk'"),
    ],
)
def test_a_class_that_is_lost_is_named(ingest, names, lost):
    with pytest.raises(InputError, match=f"no file of {lost}"):
        ingest(names, share=1.0)


@pytest.mark.parametrize("ending", [".PNG", ".Jpg", ".jfif", ".JPE", ".TIF"])
def test_endings_in_any_case(ingest, ending):
    names = [f"{kind}/{n}{ending}" for kind in ("cat", "dog") for n in range(3)]
    assert len(ingest(names)[1]) == 6

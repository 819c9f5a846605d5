import pytest

from embedtune.records.csv.column_contents import is_address, modality_of_cells
from embedtune.records.layouts import Modality, media_suffix

TEXT, IMAGE, MESH = Modality.TEXT, Modality.IMAGE, Modality.MESH


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a.jpg", IMAGE),
        ("A.JPEG", IMAGE),
        ("a.JFIF", IMAGE),
        ("https://x.org/a.webp?size=3#top", IMAGE),
        ("odd#name?.png", IMAGE),
        ("s3://bucket/a.off", MESH),
        ("chair.glb", MESH),
        ("data:image/png;base64,AAAA", IMAGE),
        ("a.txt", None),
        ("https://x.org/image.png/", None),
        ("jpg", None),
        ("", None),
    ],
)
def test_endings(value, expected):
    assert media_suffix(value) is expected


@pytest.mark.parametrize(
    "value", ["a.jpg", "red apple.jpg", "img/0001", "C:\\a\\b", "http://x.org", "S3://b/k", "data:image/png;base64,AA"]
)
def test_addresses(value):
    assert is_address(value)


@pytest.mark.parametrize("value", ["apple", "a photo of an apple.", "and / or", "a b/c", "data: x", "N/A !"])
def test_no_addresses(value):
    assert not is_address(value)


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["a.jpg", "b.png"], IMAGE),
        (["/a b.jpg", "./c d.png", "C:/my photo.png"], IMAGE),
        (["my photo.jpg", "your photo.png"], None),
        (["Where is logo.png?.png", "Can you, please, open logo.png", "I did not find the file a.png"], TEXT),
        (["Open logo.png", "See https://x.org/a.png now"], TEXT),
        (["a.jpg"] * 9 + ["no picture"], IMAGE),
        (["a.jpg"] * 8 + ["no picture"] * 2, None),
        (["a.jpg"] * 4 + ["no picture"] * 6, TEXT),
        (["a.jpg", "b.off"], None),
        (["a.off", "b.stl"], MESH),
        (["https://x.org/1", "https://x.org/2"], None),
        (["https://x.org/1", "https://x.org/2.jpg"], IMAGE),
        ([], TEXT),
    ],
)
def test_modality_of_a_column(cells, expected):
    assert modality_of_cells(cells) is expected


def test_a_telling_name_spares_the_ending():
    assert modality_of_cells(["https://x.org/1", "https://x.org/2"], named=True) is IMAGE

import gzip
import struct
import time
import tracemalloc

import numpy as np
import pytest
from docarray import DocumentArray

from embedtune.errors import ConfigError, InputError, StorageError
from embedtune.samples.fashion_mnist import (
    FASHION_MNIST_CLASSES,
    SIZE_LIMIT,
    fashion_mnist,
    fashion_mnist_documents,
    read_fashion_mnist,
    read_idx,
)

IMAGES_MAGIC = bytes((0, 0, 8, 3))


def label_of(document):
    return document.tags["finetuner"]["label"]


@pytest.fixture
def write(tmp_path):
    def write(content):
        path = tmp_path / "file.gz"
        path.write_bytes(content)
        return path

    return write


def test_idx_values_are_exact(public, write):
    images = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
    found = read_idx(write(public.idx_bytes(images)), 3)
    assert found.dtype == np.uint8
    assert found.tolist() == images.tolist()
    assert read_idx(write(public.idx_bytes(images[0, 0])), 1).tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            gzip.compress(b"PNG?" + bytes(20), mtime=0),
            "starts with the bytes '50 4e 47 3f'; an IDX file .* '00 00 08 03'",
        ),
        (gzip.compress(bytes((0, 0, 8, 1)) + bytes(20), mtime=0), "starts with the bytes '00 00 08 01'"),
        (gzip.compress(bytes((0, 0, 13, 3)) + bytes(20), mtime=0), "starts with the bytes '00 00 0d 03'"),
        (gzip.compress(b"", mtime=0), "starts with the bytes ''"),
        (gzip.compress(IMAGES_MAGIC + bytes(5), mtime=0), "holds 0 x 0 x 0 values, and has 0"),
        (
            gzip.compress(IMAGES_MAGIC + struct.pack(">3I", 0, 28, 28), mtime=0),
            "holds 0 x 28 x 28 values, and has 0;",
        ),
        (
            gzip.compress(IMAGES_MAGIC + struct.pack(">3I", 2, 1, 4) + bytes(7), mtime=0),
            "holds 2 x 1 x 4 values, and has 7",
        ),
        (
            gzip.compress(IMAGES_MAGIC + struct.pack(">3I", 2, 1, 4) + bytes(9), mtime=0),
            "holds 2 x 1 x 4 values, and has 9",
        ),
        (b"no gzip at all", "not a complete gzip file"),
        (b"", "starts with the bytes ''"),
    ],
)
def test_idx_files_that_are_none(content, message, write):
    with pytest.raises(InputError, match=message):
        read_idx(write(content), 3)


@pytest.mark.parametrize("cut", [5, 12, 40, -9, -4, -1])
def test_idx_file_cut_short_or_damaged(cut, public, write):
    whole = public.idx_bytes(np.random.default_rng(0).integers(0, 256, (3, 28, 28), np.uint8))
    with pytest.raises(InputError, match=r"file\.gz"):
        read_idx(write(whole[:cut]), 3)
    place = cut if cut > 12 else len(whole) - 6
    with pytest.raises(InputError, match="not a complete gzip file"):
        read_idx(write(whole[:place] + bytes((whole[place] ^ 255,)) + whole[place + 1 :]), 3)


def test_idx_file_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match=r"none\.gz"):
        read_idx(tmp_path / "none.gz", 1)


@pytest.mark.parametrize("shape", [(2**32 - 1,) * 3, (SIZE_LIMIT // 784, 28, 28), (SIZE_LIMIT, 2, 1)])
def test_a_lying_header_takes_neither_memory_nor_time(shape, write):
    path = write(gzip.compress(IMAGES_MAGIC + struct.pack(">3I", *shape) + bytes(1000)))
    tracemalloc.start()
    start = time.monotonic()
    with pytest.raises(InputError, match="and has 1000; as many as it says are expected"):
        read_idx(path, 3)
    assert time.monotonic() - start < 1
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()


@pytest.mark.parametrize("is_testset", [False, True])
def test_every_match_is_what_its_label_says(is_testset, at_hand):
    part = read_fashion_mnist(is_testset, at_hand)
    documents = list(fashion_mnist(num_pos=1, num_neg=5, is_testset=is_testset, mirror=at_hand))
    assert len(documents) == len(part.labels)
    for number, document in enumerate(documents):
        assert document.id == f"fashion-mnist-{part.name}-{number:05}"
        assert document.modality == "image"
        assert np.array_equal(document.tensor, part.images[number])
        others = [int(match.id.rpartition("-")[2]) for match in document.matches]
        assert number not in others
        assert len(set(others)) == 6
        assert [label_of(match) for match in document.matches] == [1] + [-1] * 5
        assert [part.labels[other] == part.labels[number] for other in others] == [True] + [False] * 5
        assert all(np.array_equal(m.tensor, part.images[o]) for m, o in zip(document.matches, others, strict=True))


def test_all_of_a_class_and_all_others(tiny):
    for number, document in enumerate(fashion_mnist(num_pos=3, num_neg=36, mirror=tiny)):
        others = [int(match.id.rpartition("-")[2]) for match in document.matches]
        assert sorted(others) == [other for other in range(40) if other != number]
        assert {other % 10 for other in others[:3]} == {number % 10}


def test_seeded(tiny):
    def ids(seed):
        return [
            match.id for document in fashion_mnist(None, 2, 3, seed=seed, mirror=tiny) for match in document.matches
        ]

    assert ids(1) == ids(1)
    assert ids(1) != ids(2)


def test_fewer_documents_are_the_first_ones_with_the_same_matches(tiny):
    few = fashion_mnist_documents(7, 2, 2, mirror=tiny)
    many = fashion_mnist_documents(20, 2, 2, mirror=tiny)
    assert isinstance(few, DocumentArray)
    assert [(d.id, [m.id for m in d.matches]) for d in few] == [(d.id, [m.id for m in d.matches]) for d in many[:7]]


def test_labels_of_ones_own(tiny):
    (document,) = fashion_mnist(1, 1, 2, pos_value=5, neg_value=0, mirror=tiny)
    assert [label_of(match) for match in document.matches] == [5, 0, 0]


def test_without_matches_the_class_is_the_label(tiny):
    documents = fashion_mnist_documents(num_pos=0, num_neg=0, mirror=tiny)
    assert [document.tags for document in documents[:10]] == [
        {"finetuner_label": name} for name in FASHION_MNIST_CLASSES
    ]
    assert not any(document.matches for document in documents)


def test_matches_survive_the_protobuf_form(tiny):
    documents = fashion_mnist_documents(3, 1, 1, mirror=tiny)
    data = documents.to_bytes(protocol="protobuf-array", compress="gzip")
    again = DocumentArray.from_bytes(data, protocol="protobuf-array", compress="gzip")
    assert [[label_of(match) for match in document.matches] for document in again] == [[1.0, -1.0]] * 3
    assert np.array_equal(again[2].matches[0].tensor, documents[2].matches[0].tensor)


@pytest.mark.parametrize(
    ("channels", "axis", "shape"),
    [
        (0, -1, (28, 28)),
        (1, -1, (28, 28, 1)),
        (3, -1, (28, 28, 3)),
        (3, 3, (28, 28, 3)),
        (3, 1, (3, 28, 28)),
        (1, -3, (1, 28, 28)),
    ],
)
def test_channels(channels, axis, shape, tiny):
    (document,) = fashion_mnist(1, 1, 1, channels=channels, channel_axis=axis, mirror=tiny)
    assert document.tensor.dtype == np.uint8
    assert document.tensor.shape == document.matches[1].tensor.shape == shape
    if channels:
        place = {-1: 2, 3: 2}.get(axis, 0)
        (plain,) = fashion_mnist(1, 1, 1, mirror=tiny)
        for channel in range(channels):
            assert np.array_equal(document.tensor.take(channel, place), plain.tensor)


def test_upsampling_makes_squares_of_pixels(tiny):
    (small,) = fashion_mnist(1, 1, 0, mirror=tiny)
    (large,) = fashion_mnist(1, 1, 0, upsampling=3, channels=3, channel_axis=1, mirror=tiny)
    assert large.tensor.shape == (3, 84, 84)
    assert np.array_equal(large.tensor[1], np.kron(small.tensor, np.ones((3, 3), np.uint8)))
    assert large.matches[0].tensor.shape == (3, 84, 84)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_total": 41}, "num_total is 41; the train part of Fashion-MNIST has 40, so give 1 to 40"),
        ({"num_total": 21, "is_testset": True, "num_pos": 1}, "the test part of Fashion-MNIST has 20"),
        ({"num_total": 0}, "num_total is 0"),
        ({"num_total": -1}, "num_total is -1"),
        ({"num_pos": 4}, "num_pos is 4; 0 to 3 are accepted, because the smallest class has 4 images"),
        ({"num_pos": -1}, "num_pos is -1"),
        ({"num_neg": 37}, "num_neg is 37; 0 to 36 are accepted"),
        ({"num_neg": -1}, "num_neg is -1"),
        ({"pos_value": -1}, "both -1"),
        ({"channels": 2}, "channels is 2; 0 .no channel axis., 1 and 3"),
        ({"channel_axis": 0}, "give 1 or -3 for channels before rows"),
        ({"channel_axis": 2}, "channel_axis is 2"),
        ({"upsampling": 0}, "upsampling is 0; 1 to 64"),
        ({"upsampling": 65}, "upsampling is 65"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_options_out_of_range_are_refused_at_the_call(options, message, tiny):
    with pytest.raises(ConfigError, match=message):
        fashion_mnist(**{"num_pos": 1, "num_neg": 1} | options, mirror=tiny)


def test_wrong_options_cost_no_download(tiny_server, tiny):
    with pytest.raises(ConfigError):
        fashion_mnist(channels=2, mirror=tiny)
    assert tiny_server.requests == []


def test_only_the_files_of_the_part_are_fetched(tiny_server, tiny):
    fashion_mnist(1, 1, 1, is_testset=True, mirror=tiny)
    assert {path.rpartition("/")[2] for path, _ in tiny_server.requests} == {
        "t10k-images-idx3-ubyte.gz",
        "t10k-labels-idx1-ubyte.gz",
    }


def spoil(public, server, tiny, name, content):
    server.files[name] = content
    public.write_checksums(tiny.checksums, server.files)


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("labels-idx1", np.zeros(39, np.uint8), "40 images, .* 39 labels: they do not belong together"),
        ("labels-idx1", np.full(40, 10, np.uint8), "holds the label 10; Fashion-MNIST's are 0 to 9"),
        ("images-idx3", np.zeros((40, 28, 27), np.uint8), "images of 28 x 27"),
        ("images-idx3", np.zeros(40, np.uint8), "starts with the bytes '00 00 08 01'"),
    ],
)
def test_files_that_are_not_fashion_mnist(name, values, message, public, tiny_server, tiny):
    spoil(public, tiny_server, tiny, f"train-{name}-ubyte.gz", public.idx_bytes(values))
    with pytest.raises(InputError, match=message):
        fashion_mnist(mirror=tiny)


def test_a_class_with_one_image_has_no_positives(public, tiny_server, tiny):
    labels = np.array([0] * 39 + [1], np.uint8)
    spoil(public, tiny_server, tiny, "train-labels-idx1-ubyte.gz", public.idx_bytes(labels))
    with pytest.raises(ConfigError, match="num_pos is 1; 0 to 0 are accepted, because the smallest class has 1 images"):
        fashion_mnist(num_pos=1, num_neg=1, mirror=tiny)
    documents = fashion_mnist_documents(num_pos=0, num_neg=1, mirror=tiny)
    assert {match.id for document in documents[:39] for match in document.matches} == {"fashion-mnist-train-00039"}


@pytest.mark.parametrize("cut", [10, -20, -1])
def test_a_file_cut_short_on_the_way_never_gets_through(cut, tiny_server, tiny):
    name = "train-images-idx3-ubyte.gz"
    tiny_server.files[name] = tiny_server.files[name][:cut]
    with pytest.raises(StorageError, match="it is damaged, or another file"):
        fashion_mnist(mirror=tiny)


def test_the_published_checksums_are_expected_of_every_place(tiny_server):
    from embedtune.samples.fetch import Mirror

    with pytest.raises(
        StorageError, match="expected is 3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"
    ):
        fashion_mnist(mirror=Mirror(tiny_server.url))

"""Fashion-MNIST: its files, as images with a CSV file, and as Documents with matches."""

import csv
import gzip
import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
from docarray import Document

from embedtune.errors import ConfigError, InputError
from embedtune.progress import progress
from embedtune.records.layouts import LABEL_TAG
from embedtune.samples.fetch import Mirror, PublicSource, fetch_file
from embedtune.samples.matches import check_num_total, check_range, check_seed, check_values, collected, match_tags
from embedtune.samples.writing import encode_png, new_folder

_SOURCE = PublicSource(
    "fashion-mnist",
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    "EMBEDTUNE_FASHION_MNIST_URL",
    64 << 20,
    "Another address with the same files, such as "
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/, can be given as --base-url "
    "or in the variable EMBEDTUNE_FASHION_MNIST_URL.",
)
"""Where https://github.com/zalandoresearch/fashion-mnist says that its files are."""

# The sha256 that TensorFlow Datasets records for these addresses (url_checksums/fashion_mnist.txt).
_FILES = {
    "train": (
        ("train-images-idx3-ubyte.gz", "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
        ("train-labels-idx1-ubyte.gz", "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
    ),
    "test": (
        ("t10k-images-idx3-ubyte.gz", "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
        ("t10k-labels-idx1-ubyte.gz", "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
    ),
}
"""Part -> name and sha256 of its images, and of its labels."""

FASHION_MNIST_CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
"""Names of the classes 0 to 9."""

SIZE_LIMIT = 256 << 20
"""Most bytes read from one file; the largest file of MNIST and Fashion-MNIST has 47 million."""

_PIECE_BYTES = 1 << 20
_SIDE = 28
_LARGEST_UPSAMPLING = 64
_CHANNELS = (0, 1, 3)
_CHANNEL_AXES = {1: 0, -3: 0, 3: 2, -1: 2}
"""Axis in a batch (N, …) -> axis in one image."""


@dataclass(frozen=True)
class FashionPart:
    """The training or the test part of Fashion-MNIST."""

    name: str
    """'train' or 'test'."""
    images: np.ndarray
    """uint8 (N, 28, 28): 0 is the background."""
    labels: np.ndarray
    """uint8 (N,): positions in FASHION_MNIST_CLASSES."""


@dataclass(frozen=True)
class _Form:
    """How a Document holds an image."""

    channels: int
    """Length of the channel axis; 0 for none."""
    channel_axis: int
    """Its place, counted in a batch (N, …)."""
    upsampling: int
    """Rows and columns per pixel."""

    def __post_init__(self) -> None:
        if self.channels not in _CHANNELS:
            raise ConfigError(f"channels is {self.channels}; 0 (no channel axis), 1 and 3 are accepted.")
        if self.channel_axis not in _CHANNEL_AXES:
            raise ConfigError(
                f"channel_axis is {self.channel_axis}; as in Finetuner, it counts the axes of a batch (N, …): give 1 "
                "or -3 for channels before rows and columns, 3 or -1 for channels behind them."
            )
        check_range("upsampling", self.upsampling, 1, _LARGEST_UPSAMPLING, "larger images would only fill the memory")

    def tensor(self, image: np.ndarray) -> np.ndarray:
        """Return an image (28, 28) in this form."""
        if self.upsampling > 1:
            image = image.repeat(self.upsampling, axis=0).repeat(self.upsampling, axis=1)
        if self.channels:
            image = np.stack([image] * self.channels, axis=_CHANNEL_AXES[self.channel_axis])
        return image


def fashion_mnist(  # noqa: PLR0913 - the options that Finetuner's users know
    num_total: int | None = None,
    num_pos: int = 10,
    num_neg: int = 10,
    pos_value: int = 1,
    neg_value: int = -1,
    channels: int = 0,
    channel_axis: int = -1,
    upsampling: int = 1,
    is_testset: bool = False,
    seed: int = 0,
    mirror: Mirror = Mirror(),  # noqa: B008 - frozen
) -> Iterator[Document]:
    """Give images of Fashion-MNIST, each with matches drawn at random from the same part.

    The files come from the cache or are downloaded now. A Document holds its image as a uint8 tensor with values 0 to
    255 and has modality 'image'. Its id names the part and the position in it, also as a match. With num_pos =
    num_neg = 0, Documents have no matches but their class's name in tags['finetuner_label'].

    Args:
        num_total: Documents to give, the first ones in the order of the file; None gives all.
        num_pos: Matches of the same class per Document, never itself, none twice.
        num_neg: Matches of other classes per Document, none twice.
        pos_value: `tags['finetuner']['label']` of the former matches.
        neg_value: The same of the latter.
        channels: 0 gives tensors (28, 28); 1 and 3 add an axis of that length, with equal channels.
        channel_axis: Where that axis is, counted in a batch (N, …): 1 or -3 gives (3, 28, 28), 3 or -1 (28, 28, 3).
        upsampling: Each pixel becomes a square of this many rows and columns.
        is_testset: Whether to give the test part.
        seed: Equal seeds give equal matches.
        mirror: Where to take the files from.

    Raises:
        ConfigError: an option is out of range, or there are fewer images than asked for.
        InputError: the files are damaged.
        StorageError: they cannot be downloaded or are not the published ones.
    """
    form = _Form(channels, channel_axis, upsampling)
    check_values(pos_value, neg_value)
    check_seed(seed)
    part = read_fashion_mnist(is_testset, mirror)
    total = check_num_total(num_total, len(part.images), f"the {part.name} part of Fashion-MNIST")
    sizes = np.unique_counts(part.labels).counts
    check_range("num_pos", num_pos, 0, sizes.min() - 1, f"the smallest class has {sizes.min()} images")
    fewest = len(part.labels) - sizes.max()
    check_range("num_neg", num_neg, 0, fewest, f"the largest class has {fewest} images of other classes beside it")
    values = [pos_value] * num_pos + [neg_value] * num_neg
    drawn = _draw(part.labels, total, num_pos, num_neg, np.random.default_rng(seed))
    return (_document(part, form, number, others, values) for number, others in enumerate(drawn))


fashion_mnist_documents = collected(fashion_mnist)
"""The same Documents as one DocumentArray; the options are those of `fashion_mnist`."""


def read_fashion_mnist(is_testset: bool, mirror: Mirror) -> FashionPart:
    """Return one part of Fashion-MNIST, downloaded if it is not in the cache.

    Raises:
        InputError: the files are damaged, do not belong together, or hold no 28 x 28 images of 10 classes.
        StorageError: they cannot be downloaded or are not the published ones.
    """
    name = "test" if is_testset else "train"
    images_path, labels_path = (fetch_file(_SOURCE, *file, mirror) for file in _FILES[name])
    images, labels = read_idx(images_path, 3), read_idx(labels_path, 1)
    if images.shape[1:] != (_SIDE, _SIDE):
        raise InputError(
            f"{images_path} holds images of {images.shape[1]} x {images.shape[2]}; Fashion-MNIST's are 28 x 28."
        )
    if len(images) != len(labels):
        raise InputError(
            f"{images_path} holds {len(images)} images, {labels_path} {len(labels)} labels: they do not belong "
            "together. Remove both and fetch them again from one place."
        )
    if labels.max() >= len(FASHION_MNIST_CLASSES):
        raise InputError(f"{labels_path} holds the label {labels.max()}; Fashion-MNIST's are 0 to 9.")
    return FashionPart(name, images, labels)


def read_idx(path: Path, axes: int) -> np.ndarray:
    """Read a file of unsigned bytes in the IDX format of MNIST, compressed with gzip.

    The format: two zero bytes, the type (8 for unsigned bytes), the number of axes, the length of each axis as a 32-bit
    big-endian number, the values in C order (http://yann.lecun.com/exdb/mnist/).

    Args:
        path: The file.
        axes: Number of axes it must have: 1 for labels, 3 for images.

    Returns:
        uint8, (N,) or (N, rows, columns), N at least 1.

    Raises:
        InputError: the file cannot be read, is cut off or damaged, or is not of this format, type or number of axes.
    """
    try:
        with gzip.open(path, "rb") as file:
            pieces = iter(partial(file.read, _PIECE_BYTES), b"")
            content = b"".join(islice(pieces, SIZE_LIMIT // _PIECE_BYTES + 1))
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path} is not a complete gzip file. Remove it and fetch it again.") from error
    magic, start = bytes((0, 0, 8, axes)), 4 + 4 * axes
    if content[:4] != magic:
        raise InputError(
            f"{path} starts with the bytes {content[:4].hex(' ')!r}; an IDX file of unsigned bytes with {axes} "
            f"{'axis' if axes == 1 else 'axes'} starts with {magic.hex(' ')!r}. Check which file this is."
        )
    shape = tuple(np.frombuffer(content[4:start].ljust(4 * axes, b"\0"), ">u4").tolist())
    if len(content) > SIZE_LIMIT or not 0 < math.prod(shape) == len(content) - start:
        raise InputError(
            f"{path} says that it holds {' x '.join(map(str, shape))} values, and has {max(0, len(content) - start)}; "
            f"as many as it says are expected, 1 to {SIZE_LIMIT}. Fetch it again."
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def write_fashion_mnist(output: Path, part: FashionPart, total: int) -> Path:
    """Write images and a CSV file with the columns content (path relative to the file) and label (name of the class).

    Args:
        output: Folder to make; it must not exist or be empty.
        part: The images.
        total: How many to write, the first ones.

    Returns:
        The CSV file.

    Raises:
        StorageError: the folder is not empty or cannot be written.
    """
    name = f"fashion-mnist-{part.name}.csv"
    with new_folder(output) as folder, progress("Writing images", total, "images") as advance:
        (folder / "images").mkdir()
        with (folder / name).open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["content", "label"])
            for number in range(total):
                path = f"images/{part.name}-{number:05}.png"
                (folder / path).write_bytes(encode_png(part.images[number]))
                writer.writerow([path, FASHION_MNIST_CLASSES[part.labels[number]]])
                advance(1)
    return output / name


def _draw(
    labels: np.ndarray, total: int, num_pos: int, num_neg: int, generator: np.random.Generator
) -> Iterator[list[int]]:
    """Give, for each of the first images, the positions of its positives, then those of its negatives."""
    same = {label: np.flatnonzero(labels == label) for label in np.unique(labels)}
    different = {label: np.flatnonzero(labels != label) for label in same}
    for number, label in enumerate(labels[:total]):
        # Drawn among one fewer, and moved up from its own place on, so that an image is never its own match.
        places = generator.choice(len(same[label]) - 1, num_pos, replace=False) if num_pos else np.empty(0, np.int64)
        positives = same[label][places + (places >= np.searchsorted(same[label], number))]
        negatives = generator.choice(different[label], num_neg, replace=False) if num_neg else np.empty(0, np.int64)
        yield [*positives.tolist(), *negatives.tolist()]


def _document(part: FashionPart, form: _Form, number: int, others: list[int], values: list[int]) -> Document:
    document = _bare(part, form, number)
    if not others:
        document.tags[LABEL_TAG] = FASHION_MNIST_CLASSES[part.labels[number]]
        return document
    for other, value in zip(others, values, strict=True):
        match = _bare(part, form, other)
        match.tags = match_tags(value)
        document.matches.append(match)
    return document


def _bare(part: FashionPart, form: _Form, number: int) -> Document:
    return Document(
        id=f"fashion-mnist-{part.name}-{number:05}", modality="image", tensor=form.tensor(part.images[number])
    )

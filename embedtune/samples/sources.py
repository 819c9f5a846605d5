"""The public files behind the samples, read and checked. Needs neither docarray nor Pillow."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from embedtune.errors import ConfigError, InputError
from embedtune.samples.downloads import Mirror, PublicFile, PublicSource, fetch_file
from embedtune.samples.idx import read_idx
from embedtune.text import excerpt

FASHION_MNIST = PublicSource(
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
FASHION_MNIST_FILES = {
    "train": (
        PublicFile("train-images-idx3-ubyte.gz", "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
        PublicFile("train-labels-idx1-ubyte.gz", "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
    ),
    "test": (
        PublicFile("t10k-images-idx3-ubyte.gz", "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
        PublicFile("t10k-labels-idx1-ubyte.gz", "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
    ),
}
"""Part -> its images and its labels."""

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

COVID_QA = PublicSource(
    "covid-qa",
    "https://static.jina.ai/chatbot/",
    "EMBEDTUNE_COVID_QA_URL",
    32 << 20,
    "The host from which Jina Finetuner took the Covid QA file has been shut down. Give an address that has a "
    "dataset.csv with the columns question, answer and wrong_answer as --base-url, or in the variable "
    "EMBEDTUNE_COVID_QA_URL.",
)
COVID_QA_FILE = PublicFile("dataset.csv", "")
"""No checksum of it was ever published; its columns and rows are checked instead."""

_SIDE = 28
_COLUMNS = ("question", "answer", "wrong_answer")


@dataclass(frozen=True)
class FashionPart:
    """The training or the test part of Fashion-MNIST."""

    name: str
    """'train' or 'test'."""
    images: np.ndarray
    """uint8 (N, 28, 28): 0 is the background."""
    labels: np.ndarray
    """uint8 (N,): positions in FASHION_MNIST_CLASSES."""


@dataclass(frozen=True, slots=True)
class QuestionRow:
    """One row of Covid QA."""

    number: int
    """Position in the file, from 0."""
    question: str
    answer: str
    wrong_answer: str


def read_fashion_mnist(is_testset: bool, mirror: Mirror) -> FashionPart:
    """Return one part of Fashion-MNIST, downloaded if it is not in the cache.

    Raises:
        InputError: the files are damaged, do not belong together, or hold no 28 x 28 images of 10 classes.
        StorageError: they cannot be downloaded or are not the published ones.
    """
    name = "test" if is_testset else "train"
    images_path, labels_path = (
        fetch_file(FASHION_MNIST, file, mirror, lambda _: None) for file in FASHION_MNIST_FILES[name]
    )
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


def read_covid_qa(mirror: Mirror) -> list[QuestionRow]:
    """Return the rows of Covid QA, downloaded if they are not in the cache.

    Raises:
        InputError: the file is no CSV file in UTF-8 with the three columns, or a cell is missing or blank.
        StorageError: it cannot be downloaded.
    """
    path = fetch_file(COVID_QA, COVID_QA_FILE, mirror, _check_rows)
    return _read_rows(path, str(path), "Remove it to fetch it again.")


def rows_of_part(rows: list[QuestionRow], is_testset: bool | None) -> list[QuestionRow]:
    """Return the rows of a part, as Finetuner 0.4 divided them.

    Args:
        rows: All rows.
        is_testset: True for the 1st, 3rd, 5th … row, False for the 2nd, 4th …, None for all.
    """
    return rows if is_testset is None else rows[0 if is_testset else 1 :: 2]


def check_num_total(num_total: int | None, available: int, what: str) -> int:
    """Return how many to give: all where None is asked for.

    Raises:
        ConfigError: fewer than 1, or more than there are.
    """
    if num_total is None:
        return available
    if not 1 <= num_total <= available:
        raise ConfigError(
            f"num_total is {num_total}; {what} has {available}, so give 1 to {available}, or nothing for all."
        )
    return num_total


def check_seed(seed: int) -> None:
    """Refuse a seed that numpy does not take.

    Raises:
        ConfigError: it is negative.
    """
    if seed < 0:
        raise ConfigError(f"seed is {seed}; give 0 or more.")


def _check_rows(path: Path) -> None:
    # It does not have its name in the cache yet.
    _read_rows(path, COVID_QA_FILE.name, "It is cut short or another file; check the address.")


def _read_rows(path: Path, name: str, advice: str) -> list[QuestionRow]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            header, table = list(reader.fieldnames or ()), list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{name} is not a complete CSV file in UTF-8: {error}. {advice}") from error
    if any(header.count(column) != 1 for column in _COLUMNS):
        raise InputError(
            f"{name} starts with {excerpt(','.join(header))}; a header with question, answer and wrong_answer, each "
            f"once, is expected. {advice}"
        )
    if not table:
        raise InputError(f"{name} has a header and no rows. {advice}")
    for number, cells in enumerate(table, start=1):
        # csv gives None for a cell that is missing, and None as the name of those that are too many.
        if None in cells or any(not (cells[column] or "").strip() for column in _COLUMNS):
            raise InputError(
                f"Row {number} of {name} has more cells than the header, or none for question, answer or wrong_answer: "
                f"{excerpt(str(list(cells.values())))}. {advice}"
            )
    return [QuestionRow(number, *(cells[column] for column in _COLUMNS)) for number, cells in enumerate(table)]

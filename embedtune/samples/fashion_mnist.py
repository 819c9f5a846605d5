"""Fashion-MNIST as Documents with matches: images of the same class and of others."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from docarray import Document

from embedtune.errors import ConfigError
from embedtune.records.layouts import LABEL_TAG
from embedtune.samples.downloads import Mirror
from embedtune.samples.matches import check_range, check_values, collected, match_tags
from embedtune.samples.sources import (
    FASHION_MNIST_CLASSES,
    FashionPart,
    check_num_total,
    check_seed,
    read_fashion_mnist,
)

_LARGEST_UPSAMPLING = 64
_CHANNELS = (0, 1, 3)
_CHANNEL_AXES = {1: 0, -3: 0, 3: 2, -1: 2}
"""Axis in a batch (N, …) -> axis in one image."""


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

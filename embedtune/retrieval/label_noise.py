"""Labels that seem to be wrong: what a person should look at before the next training.

A content is listed if all of this holds, by the cosines of a model that has not seen the labels:

- Its label fits no better than one drawn by lot: it is less near to the other contents of its label than to those of
  half of the other labels. Near means near to their mean direction (Rocchio's classifier, left one out).
- Another label fits about as well as it fits its own contents: the threshold of confident learning (Northcutt et al.,
  Confident Learning: Estimating Uncertainty in Dataset Labels, 2021, section 3.1, https://arxiv.org/abs/1911.00068),
  which is the average, less half a standard deviation.
- None of its NEIGHBOURS nearest contents has its label: the edited nearest neighbours (Wilson, Asymptotic properties of
  nearest neighbor rules using edited data, 1972, https://doi.org/10.1109/TSMC.1972.4309137), made strict. It keeps what
  is unlike most of its label, but not alone.

This prefers few that are wrong to many that may be: who is sent to look at rows that are right does not look again.
`python -m benchmarks.label_noise` measures it, docs/quality.md has the numbers. Rows that are all wrong in the same way
support each other, and stay unseen.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from embedtune.retrieval.ranking import rank
from embedtune.retrieval.vectors import Embeddings, check_vectors, unit_rows
from embedtune.text import shortened, spreadsheet_cell

NEIGHBOURS = 10
"""Nearest contents that are asked for their label."""

MOST_ROWS = 20_000
"""Contents that are looked at: all are encoded for it, and compared with each other."""

MOST_LISTED = 1000
"""Rows of the list."""

_DEVIATIONS = 0.5
"""Without it precision is the same on all that was tried, and a tenth less is found."""

_EXAMPLES = 3
_BLOCK_ROWS = 512
_CELL_CHARACTERS = 32_000
"""A cell of Excel holds 32,767."""
_COLUMNS = ("content", "label", "suggested_label", "similarity", "suggested_similarity", "neighbours", "part", "id")

Rows = NDArray[np.int64]
Similarities = NDArray[np.float64]


@dataclass(frozen=True)
class Doubt:
    """A content whose label seems to be wrong."""

    row: int
    suggested: str
    """The label that fits best."""
    fit: float
    """Cosine with the other contents of its label."""
    suggested_fit: float
    """Cosine with those of the suggested one."""
    neighbours: int
    """Of the NEIGHBOURS nearest contents, how many have the suggested label."""
    nearest: tuple[int, ...]
    """Rows of the nearest contents with the suggested label, the nearest first."""


def find_doubts(vectors: Embeddings, ids: Sequence[str], labels: Sequence[str]) -> tuple[Doubt, ...]:
    """Return the contents whose label seems to be wrong by the rule above, the surest first.

    The surest is the one that the suggested label fits better by most; equal ones come by id. A label with a single
    content, of which nothing is left to compare that with, is not judged.

    Args:
        vectors: Shape (R, d), of a model that has not seen the labels.
        ids: R different ids.
        labels: R labels.

    Raises:
        InputError: vectors do not fit the ids or are not finite.
    """
    check_vectors(vectors, ids, "labelled")
    names, codes = np.unique(np.array(labels, dtype=object), return_inverse=True)
    if names.size < 2:
        return ()
    units = unit_rows(vectors)
    rows, suggested, fits = _misfits(units, codes, names.size)
    if not rows.size:
        return ()
    ranking = rank(units[rows], [ids[row] for row in rows.tolist()], units, ids, NEIGHBOURS)
    near = np.where(ranking.indices >= 0, codes[ranking.indices], -1)
    found = []
    for place in np.flatnonzero(~(near == codes[rows][:, np.newaxis]).any(axis=1)).tolist():
        row, label = int(rows[place]), int(suggested[place])
        members = np.flatnonzero(codes == label)
        nearest = members[np.argsort(-(units[members] @ units[row]), kind="stable")[:_EXAMPLES]]
        own, other = fits[place].tolist()
        votes = int((near[place] == label).sum())
        found.append(Doubt(row, str(names[label]), own, other, votes, tuple(nearest.tolist())))
    return tuple(sorted(found, key=lambda doubt: (round(doubt.fit - doubt.suggested_fit, 6), ids[doubt.row])))


def _misfits(units: Similarities, codes: Rows, labels: int) -> tuple[Rows, Rows, Similarities]:
    """Return the rows of which the first two conditions are true, their best label, and both similarities (n, 2)."""
    sums, counts = np.zeros((labels, units.shape[1])), np.bincount(codes, minlength=labels)
    np.add.at(sums, codes, units)
    own = _cosines(sums[codes] - units, units)
    mean, squares = (np.bincount(codes, values, minlength=labels) / counts for values in (own, own * own))
    typical = mean - _DEVIATIONS * np.sqrt(np.maximum(squares - mean * mean, 0.0))
    centres = unit_rows(sums)
    found: list[tuple[Rows, Rows, Similarities]] = []
    for start in range(0, codes.size, _BLOCK_ROWS):
        block = slice(start, start + _BLOCK_ROWS)
        others = units[block] @ centres.T
        places = np.arange(others.shape[0])
        others[places, codes[block]] = -np.inf
        half = np.median(np.sort(others, axis=1)[:, 1:], axis=1)
        best = np.where(others >= typical, others, -np.inf).argmax(axis=1)
        fits = np.stack([own[block], others[places, best]], axis=1)
        is_misfit = (fits[:, 0] < half) & (fits[:, 1] >= typical[best]) & (counts[codes[block]] > 1)
        rows = np.flatnonzero(is_misfit)
        found.append((rows + start, best[rows], fits[rows]))
    rows, best, fits = (np.concatenate(part) for part in zip(*found, strict=True))
    return rows, best, fits


def _cosines(directions: Similarities, units: Similarities) -> Similarities:
    """Return the cosine of each direction (R, d) with a unit vector (R, d), 0 where there is none."""
    cosines: Similarities = (unit_rows(directions) * units).sum(axis=1)
    return cosines


@dataclass(frozen=True)
class DoubtfulLabel:
    """A doubt as a person recognises it."""

    id: str
    content: str
    """The text itself; of other contents the name of the file, '' where it is not known."""
    trained: bool
    """Whether the model was trained on it."""
    label: str
    doubt: Doubt
    nearest: tuple[str, ...]
    """The nearest contents with the suggested label, as `content` is."""


@dataclass(frozen=True)
class LabelNoise:
    """What was found among the labelled contents of the data."""

    listed: tuple[DoubtfulLabel, ...]
    """The surest first."""
    found: int
    """How many there are, listed or not."""
    looked_at: int
    contents: int
    """All labelled contents that are at hand."""
    neighbours: int = NEIGHBOURS
    """How many of its nearest contents a content was compared with."""


def write_label_noise(path: Path, noise: LabelNoise) -> None:
    """Write the list as a CSV that Excel opens as it is: UTF-8 with a byte order mark, no formula, no cell too long.

    Raises:
        OSError: the file cannot be written.
    """
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*_COLUMNS, *(f"example_{number + 1}" for number in range(_EXAMPLES))])
        for each in noise.listed:
            doubt, part = each.doubt, "training" if each.trained else "held out"
            content, label, suggested, *nearest = (
                spreadsheet_cell(shortened(text, _CELL_CHARACTERS))
                for text in (each.content, each.label, doubt.suggested, *each.nearest)
            )
            fits = f"{doubt.fit:.3f}", f"{doubt.suggested_fit:.3f}"
            votes = f"{doubt.neighbours} of {NEIGHBOURS}"
            writer.writerow([content, label, suggested, *fits, votes, part, each.id, *nearest])

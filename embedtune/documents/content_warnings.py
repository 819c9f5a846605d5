"""What is conspicuous about the texts and labels of rows: those that stand for nothing, those that look alike."""

import unicodedata
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from embedtune.documents.distinct_contents import NO_CONTENT, DistinctContents
from embedtune.text import excerpt, is_unseen, shortened

_NOTHING = frozenset({
    "nan", "-nan", "na", "n/a", "#n/a", "#na", "null", "(null)", "[null]", "<null>", "none", "(none)", "<na>",
    "nat", "nil", r"\n", "undefined", "-", "--", "#value!", "#ref!", "#div/0!", "#num!", "#name?", "#null!",
    "[deleted]", "[removed]", "k.a.", "-1.#ind", "1.#ind", "-1.#qnan", "1.#qnan",
})  # fmt: skip
"""What programs write for a value that is not there, in lower case: pandas (`na_values` of its `read_csv`), databases
and their clients (`\\N`, `(null)`, `[null]`), JavaScript, and the errors of spreadsheets."""

_MOST_SHOWN = 5
_SPELLINGS_SHOWN = 3
_LABEL_CHARACTERS = 40
_LEAST_LISTS = 3
_LIST_MARKS = "|;,"
_AROUND_PARTS = " []()'\""
_END_SIGNS = " .,:;!?…。、"


def content_warnings(contents: DistinctContents) -> Iterator[str]:
    """Yield what a person should know about contents and labels, one sentence each."""
    standing_for_nothing = np.flatnonzero(_are_nothing(contents.values[: contents.texts]))
    if standing_for_nothing.size:
        yield _about_nothing(contents, standing_for_nothing)
    if contents.layout.has_labels:
        groups = look_alikes(dict(zip(contents.labels.to_pylist(), np.bincount(contents.second).tolist(), strict=True)))
        if groups:
            yield _about_look_alikes(groups)
        several = lists_of_labels(contents.labels.to_pylist())
        if len(several) >= _LEAST_LISTS:
            yield (
                f"{len(several)} labels seem to be lists of several, such as {excerpt(several[0])}. A row has one "
                "label: each list is one of its own, and what has another list is taken as not relevant to it. Write "
                "one label a row."
            )


def look_alikes(labels: dict[str, int]) -> list[list[tuple[str, int]]]:
    """Group labels that differ in nothing but Unicode form, case, white space, unseen signs, or points at the end.

    Args:
        labels: The labels and how many rows have each.

    Returns:
        The groups of two labels and more, and in each the most frequent first; the one with the most rows first.
    """
    groups: dict[str, list[tuple[str, int]]] = {}
    for label, count in labels.items():
        groups.setdefault(_look(label), []).append((label, count))
    found = [sorted(group, key=lambda entry: -entry[1]) for group in groups.values() if len(group) > 1]
    return sorted(found, key=lambda group: -sum(count for _, count in group))


def lists_of_labels(labels: Sequence[str]) -> list[str]:
    """Return labels that read like lists of labels: one of their parts has another place in another label.

    The parts of a path, as in `Home, Garden` and `Home, Kitchen`, have the same place in all of them.
    """
    found: dict[str, None] = {}
    for mark in _LIST_MARKS:
        parts = {label: [part.strip(_AROUND_PARTS) for part in label.split(mark)] for label in labels}
        places: dict[str, set[int]] = {}
        for each in parts.values():
            for place, part in enumerate(each):
                places.setdefault(part, set()).add(place)
        moves = {part for part, at in places.items() if part and len(at) > 1}
        found |= dict.fromkeys(label for label, each in parts.items() if len(each) > 1 and not moves.isdisjoint(each))
    return list(found)


def _look(label: str) -> str:
    """Return what a label has in common with all that look like it."""
    folded = unicodedata.normalize("NFKC", label).casefold()
    if not (folded.isascii() and folded.isprintable()):
        folded = "".join(sign for sign in folded if sign.isspace() or not is_unseen(sign))
    plain = " ".join(folded.split())
    return unicodedata.normalize("NFKC", plain.rstrip(_END_SIGNS) or plain)


def _about_look_alikes(groups: list[list[tuple[str, int]]]) -> str:
    shown = "; ".join(
        " and ".join(f"{_spelt(label)} ({count} rows)" for label, count in group[:_SPELLINGS_SHOWN])
        + (f" and {len(group) - _SPELLINGS_SHOWN} more" if len(group) > _SPELLINGS_SHOWN else "")
        for group in groups[:_MOST_SHOWN]
    )
    more = f"; and {len(groups) - _MOST_SHOWN} more such groups" if len(groups) > _MOST_SHOWN else ""
    return (
        f"{sum(map(len, groups))} labels look like another one. Make them one in the data where they mean the same, "
        f"for what has the one is taken as not relevant to what has the other: {shown}{more}."
    )


def _spelt(label: str) -> str:
    """Return a label so that its spelling can be seen: a letter and its accent as two signs look like one."""
    cut = shortened(label, _LABEL_CHARACTERS)
    return excerpt(cut) if unicodedata.is_normalized("NFC", cut) else ascii(cut)


def _are_nothing(texts: pa.Array) -> npt.NDArray[np.bool_]:
    found: npt.NDArray[np.bool_] = pc.is_in(
        pc.utf8_lower(texts), value_set=pa.array(sorted(_NOTHING), texts.type)
    ).to_numpy(zero_copy_only=False)
    return found


def _about_nothing(contents: DistinctContents, numbers: npt.NDArray[np.int64]) -> str:
    sides = (contents.first, contents.second) if contents.has_pairs else (contents.first,)
    every = np.concatenate(sides)
    counts = np.bincount(every[every != NO_CONTENT], minlength=len(contents.values))[numbers]
    most = np.argsort(-counts, kind="stable")[:_MOST_SHOWN]
    told = ", ".join(
        f"{excerpt(contents.values[int(numbers[place])].as_py())} ({counts[place]})" for place in most.tolist()
    )
    more = " and others" if len(numbers) > _MOST_SHOWN else ""
    columns = " or ".join(contents.layout.contents)
    return (
        f"{counts.sum()} values of {columns} are what programs write where there is nothing: {told}{more}"
        f"{_answering(contents, int(numbers[most[0]]))}. They are kept like any other text; remove these rows, or "
        "leave the cells empty, so that the rows are set aside."
    )


def _answering(contents: DistinctContents, number: int) -> str:
    """Say of how many queries a text is a relevant document, '' if not of several."""
    if not contents.has_pairs:
        return ""
    asked = np.unique(contents.first[(contents.second == number) & (contents.gains() > 0)])
    what = excerpt(contents.values[number].as_py())
    return f"; {what} answers {len(asked)} queries, which makes these alike" if len(asked) > 1 else ""

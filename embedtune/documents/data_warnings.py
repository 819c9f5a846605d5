"""What a person should look at before training on documents."""

import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from embedtune.documents.distinct_contents import NO_CONTENT, DistinctContents, Flags, Numbers, content_key
from embedtune.documents.document_set import DocumentSet
from embedtune.documents.row_uses import LeftOut
from embedtune.documents.schema import OFFICIAL_RULE
from embedtune.documents.split import SplitPlan
from embedtune.documents.split_checks import most_connected
from embedtune.documents.summary import ALIKE_SHARE, CUT_SHARE, READ_WORDS
from embedtune.text import excerpt, is_unseen, shortened

LARGE_GROUP_SHARE = 0.5
"""Share of the documents in one group above which a person is warned."""

FEW_QUERIES = 50
"""Fewer queries than this give a wide confidence interval."""

LONE_LABEL_SHARE = 0.1
"""Share of the training documents that are alone with their label above which a person is warned."""

_HELD_SHARE_TOLERANCE = 0.5

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


def data_warnings(corpus: DocumentSet, plan: SplitPlan, torn: int) -> Iterator[str]:
    """Yield what is conspicuous about the documents and their relations; `torn` judged pairs lie across the split."""
    sizes = np.bincount(corpus.groups)
    largest_share = sizes.max() / len(corpus)
    if largest_share > LARGE_GROUP_SHARE:
        yield (
            f"One group of connected rows holds {largest_share:.0%} of the documents (most connected: "
            f"{most_connected(corpus, int(sizes.argmax()))}). If its rows are unrelated, remove what joins them."
        )
    if torn:
        yield (
            f"{torn} of {len(corpus.pairs)} judged pairs are not used: their wrong answer is in training and their "
            "query in the evaluation, or the other way round."
        )
    contents = corpus.units.per_label(plan.train, len(corpus.label_names))
    lone = float(np.mean(contents[corpus.labels[plan.train]] == 1))
    # A document that is relevant to no query of matches or beir is meant to serve as a negative.
    if lone > LONE_LABEL_SHARE and corpus.layout.has_labels:
        yield (
            f"{lone:.0%} of the training documents are alone with their label: they serve as negatives only. Add "
            f"{corpus.contents.plural} with the same labels."
        )
    named = corpus.contents.split_names
    if len(named) == 1 and not corpus.judgments.official:
        yield (
            f"The source has judgments of one split only ({named[0]}), so a part of them is held out, and the numbers "
            "do not compare with published ones."
        )
    mixed = int(np.count_nonzero(corpus.units.mixed[corpus.units.of_document]))
    if mixed and corpus.layout.has_labels:
        yield (
            f"{mixed} documents have a label that another spelling of the same content contradicts. They stay in "
            "training; mend the labels."
        )


def left_out_warnings(left_out: LeftOut, unanswered: int) -> Iterator[str]:
    """Yield which judgments are not used although nothing is wrong with them."""
    if unanswered:
        yield f"{unanswered} queries are left out, since no document is relevant to them."
    if left_out.overlapping_judgments:
        yield (
            f"{left_out.overlapping_judgments} training judgments are left out, since their query or document is a "
            "query of the evaluation."
        )
    if left_out.other_judgments:
        yield f"{left_out.other_judgments} judgments of the split dev are used for neither side."


def evaluation_warnings(corpus: DocumentSet, plan: SplitPlan, eval_share: float) -> Iterator[str]:
    """Yield what limits the evaluation."""
    queries = int(np.count_nonzero(plan.query))
    if queries < FEW_QUERIES:
        yield (
            f"Only {queries} queries for the evaluation: confidence intervals will be wide. Add rows"
            f"{' or raise eval_share' if eval_share < 1 else ''} to get {FEW_QUERIES} or more."
        )
    held_share = float(np.mean(~plan.train[corpus.judged]))
    if plan.rule != OFFICIAL_RULE and abs(held_share - eval_share) > _HELD_SHARE_TOLERANCE * eval_share:
        yield (
            f"{held_share:.1%} of the documents are held out instead of {eval_share:.1%}: groups are held out whole, "
            "and labels with few texts stay in training."
        )


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

    Given how many rows have each, the most frequent comes first in each group, and the group with the most rows.
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


def _are_nothing(texts: pa.Array) -> Flags:
    found: Flags = pc.is_in(pc.utf8_lower(texts), value_set=pa.array(sorted(_NOTHING), texts.type)).to_numpy(
        zero_copy_only=False
    )
    return found


def _about_nothing(contents: DistinctContents, numbers: Numbers) -> str:
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


def count_long(corpus: DocumentSet) -> tuple[int, int]:
    """Count the texts of more than READ_WORDS words, and those of them that begin like another one for so long."""
    begins: dict[str, set[int]] = defaultdict(set)
    documents = np.flatnonzero(corpus.words > READ_WORDS).tolist()
    beginnings = (corpus.name(document).split(maxsplit=READ_WORDS)[:READ_WORDS] for document in documents)
    starts = [content_key(" ".join(words)) for words in beginnings]
    for document, start in zip(documents, starts, strict=True):
        begins[start].add(int(corpus.keys[document]))
    return len(documents), sum(len(begins[start]) > 1 for start in starts)


def long_warnings(texts: int, long: int, alike: int) -> list[str]:
    """Return what a person should look at, where of these texts so many are long, and so many begin alike."""
    warnings = []
    cure = f"Set model_max_length above its default of {READ_WORDS} if the backbone can read more"
    if long > CUT_SHARE * texts:
        warnings.append(
            f"{long} of {texts} texts ({long / texts:.1%}) have more than {READ_WORDS} words, so a model that reads "
            f"{READ_WORDS} tokens cuts them, and perhaps others. {cure}, or shorten the texts."
        )
    if alike > ALIKE_SHARE * texts:
        warnings.append(
            f"{alike} of {texts} texts ({alike / texts:.1%}) begin with the same {READ_WORDS} words as another one, "
            f"so a model that reads {READ_WORDS} tokens takes them for the same. {cure}, or remove what they have in "
            "common."
        )
    return warnings

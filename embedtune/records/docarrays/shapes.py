"""What rows foreign Documents become, and what most of a source are, which decides what is read of it.

Read are the shapes that Jina Finetuner knew (its docs/walkthrough/create-training-data.md, and the session datasets of
its version 0.4):

- labelled: a content and `tags['finetuner_label']`; plain: a text without a label;
- a parent with two chunks: text-image where they are a text and an image in either order; scored where
  `tags['finetuner_score']` of the parent is a number from 0 to 1 or the text of one; pairs otherwise. A label on parent
  or chunks says no more than that the two belong together, unless the chunks' labels differ;
- matches: a content whose `.matches` have `tags['finetuner']['label']` or `tags['finetuner_label']`.
"""

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from docarray.proto.docarray_pb2 import DocumentProto
from google.protobuf.struct_pb2 import Value

from embedtune.errors import InputError
from embedtune.records.csv.options import CSVOptions
from embedtune.records.docarrays.content import ContentKind, content_kind, stored_content
from embedtune.records.layouts import LABEL_TAG, SCORE_TAG, Layout, Modality
from embedtune.records.rows import RowsFormat
from embedtune.text import excerpt, stripped

_SESSION_TAG, _SESSION_KEY = "finetuner", "label"
_CHUNKS = 2
_MOST_LABELS = 20


@dataclass(frozen=True)
class MatchValues:
    """The labels of matches that mean relevant and not relevant, as texts."""

    positive: str
    negative: str

    def gain(self, label: str) -> float:
        """Return the relevance of a match with this label; raise InputError where it is neither of the two."""
        if label not in (self.positive, self.negative):
            raise InputError(
                f"the label {excerpt(label)} of a match is neither {excerpt(self.positive)} (relevant) nor "
                f"{excerpt(self.negative)} (not relevant)"
            )
        return float(label == self.positive)


DEFAULT_VALUES = MatchValues("1", "-1")
"""What the labels of matches mean where nobody says so."""


def rows_format(document: DocumentProto) -> RowsFormat:
    """Tell what rows a Document becomes; raise InputError where it becomes none."""
    if document.matches and document.chunks:
        raise InputError("it has both matches and chunks")
    if document.matches:
        return _matches_format(document)
    if document.chunks:
        return _parent_format(document)
    kind = content_kind(document)
    if _label(document):
        return RowsFormat(Layout.LABELLED, (kind.modality,), kind.loaded)
    if kind.modality is not Modality.TEXT:
        raise InputError(f"it is of modality {kind.modality} without tags[{LABEL_TAG!r}], matches or chunks")
    return RowsFormat(Layout.PLAIN, (kind.modality,), kind.loaded)


def document_rows(
    document: DocumentProto, found: RowsFormat, values: MatchValues, options: CSVOptions
) -> Iterator[tuple[object, ...]]:
    """Yield the rows of a Document, of which `rows_format` found what they are, without line and source.

    Where a content, label or score raises InputError, nothing of the Document should be kept.
    """
    if found.layout is Layout.MATCHES:
        query = _stored(document, options)
        for match in document.matches:
            yield (*query, *_stored(match, options), values.gain(_match_label(match)))
    elif found.layout is Layout.LABELLED:
        yield (*_stored(document, options), _label(document))
    elif found.layout is Layout.PLAIN:
        yield _stored(document, options)
    else:
        chunks = list(document.chunks)
        if found.layout is Layout.TEXT_IMAGE and content_kind(chunks[0]).modality is Modality.IMAGE:
            chunks.reverse()
        contents = [value for chunk in chunks for value in _stored(chunk, options)]
        yield (*contents, _score(document)) if found.layout is Layout.SCORED else tuple(contents)


@dataclass
class Survey:
    """What the Documents of a source are."""

    total: int = 0
    formats: Counter[RowsFormat] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)
    """Of matches, the first few different ones."""
    problem: str = ""
    """Why the first unusable Document is that."""

    def watch(self, document: DocumentProto | str) -> None:
        """Look at one Document."""
        self.total += 1
        try:
            if isinstance(document, str):
                raise InputError(document)
            found = rows_format(document)
            if found.layout is Layout.MATCHES:
                for match in document.matches:
                    label = _match_label(match)
                    if label in self.labels or len(self.labels) < _MOST_LABELS:
                        self.labels[label] += 1
        except InputError as error:
            self.problem = self.problem or str(error)
            return
        self.formats[found] += 1


def chosen_format(survey: Survey, origin: str) -> RowsFormat:
    """Return what most Documents become; raise InputError where there are none, or none that can be used."""
    if not survey.total:
        raise InputError(f"{origin} holds no Documents. Give an array with at least two.")
    if not survey.formats:
        raise InputError(
            f"{origin}: none of the {survey.total} Documents can be used; the first one because {survey.problem}."
        )
    return survey.formats.most_common(1)[0][0]


def match_values(survey: Survey, positive: str, negative: str, origin: str) -> MatchValues:
    """Return what the labels of the matches mean; raise InputError where it cannot be told.

    `positive` and `negative` are the labels that mean relevant and not relevant, '' if nobody said so.
    """
    told = ", ".join(excerpt(label) for label, _ in survey.labels.most_common(5))
    if not positive and not negative:
        if not {DEFAULT_VALUES.positive, DEFAULT_VALUES.negative} & set(survey.labels):
            raise InputError(
                f"{origin}: the labels of the matches are {told}, expected 1 (relevant) and -1 (not relevant). Say "
                "with pos_value and neg_value which is which; where matches are search results and no judgments, "
                "clear them."
            )
        return DEFAULT_VALUES
    if positive and negative:
        return MatchValues(positive, negative)
    given = positive or negative
    others = [label for label in survey.labels if label != given]
    if len(others) > 1 or given not in survey.labels:
        name, other = ("pos_value", "neg_value") if positive else ("neg_value", "pos_value")
        raise InputError(
            f"{origin}: the labels of the matches are {told}; with {name}={given!r} alone there must be that one and "
            f"one other. Give {other}, too."
        )
    rest = others[0] if others else ""
    return MatchValues(positive or rest, negative or rest)


def _match_label(match: DocumentProto) -> str:
    """Return the label of a match as text; '1' for the number 1."""
    session = match.tags.fields[_SESSION_TAG] if _SESSION_TAG in match.tags.fields else Value()
    if _SESSION_KEY in session.struct_value.fields:
        return _value_text(session.struct_value.fields[_SESSION_KEY], "label of a match")
    label = _label(match)
    if not label:
        raise InputError(
            f"a match has neither tags[{_SESSION_TAG!r}][{_SESSION_KEY!r}] nor tags[{LABEL_TAG!r}]; where matches are "
            "search results and no judgments, clear them before saving"
        )
    return label


def _value_text(value: Value, what: str) -> str:
    """Return a value of `tags` as text, whole numbers without a point: protobuf turns 1 into 1.0."""
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        text = stripped(str(value.string_value))
        if not text or "\0" in text:
            raise InputError(f"the {what} is empty or contains a NUL character")
        return text
    if kind == "bool_value":
        return str(value.bool_value)
    if kind != "number_value" or not math.isfinite(value.number_value):
        raise InputError(f"the {what} is neither a text nor a finite number")
    number = float(value.number_value)
    return str(int(number)) if number.is_integer() else repr(number)


def _stored(document: DocumentProto, options: CSVOptions) -> tuple[object, ...]:
    return stored_content(document, content_kind(document), options)


def _label(document: DocumentProto) -> str:
    """Return the label, '' where there is none."""
    if LABEL_TAG not in document.tags.fields:
        return ""
    return _value_text(document.tags.fields[LABEL_TAG], "label")


def _score(document: DocumentProto) -> float:
    text = _value_text(document.tags.fields[SCORE_TAG], "score")
    try:
        score = float(text)
    except ValueError:
        score = math.nan
    if not 0 <= score <= 1:
        raise InputError(f"the score {excerpt(text)} is no number from 0 to 1")
    return score


def _matches_format(document: DocumentProto) -> RowsFormat:
    query = content_kind(document)
    for match in document.matches:
        kind = content_kind(match)
        if (kind.modality, kind.loaded) != (query.modality, query.loaded):
            raise InputError(f"it is {_told(query)}, a match of it is {_told(kind)}")
    return RowsFormat(Layout.MATCHES, (query.modality, query.modality), query.loaded)


def _parent_format(document: DocumentProto) -> RowsFormat:
    if len(document.chunks) != _CHUNKS:
        raise InputError(f"it has {len(document.chunks)} chunks; two are a pair")
    if document.WhichOneof("content") or document.uri:
        raise InputError("it has both chunks and a content of its own")
    kinds = [content_kind(chunk) for chunk in document.chunks]
    labels = {label for chunk in document.chunks if (label := _label(chunk))}
    if len(labels) > 1:
        raise InputError(f"its two chunks have different labels, {' and '.join(sorted(map(excerpt, labels)))}")
    modalities = tuple(kind.modality for kind in kinds)
    loaded = all(kind.loaded for kind in kinds)
    if not loaded and any(kind.loaded and kind.modality is not Modality.TEXT for kind in kinds):
        raise InputError("one of its chunks holds its content, the other one an address")
    has_score = SCORE_TAG in document.tags.fields
    if set(modalities) == {Modality.TEXT, Modality.IMAGE} and not has_score:
        return RowsFormat(Layout.TEXT_IMAGE, (Modality.TEXT, Modality.IMAGE), loaded)
    if modalities[0] is not modalities[1]:
        raise InputError(f"its chunks are {_told(kinds[0])} and {_told(kinds[1])}{' with a score' * has_score}")
    return RowsFormat(Layout.SCORED if has_score else Layout.PAIRS, modalities, loaded)


def _told(kind: ContentKind) -> str:
    return f"of modality {kind.modality}" + ("" if kind.loaded else ", by address")

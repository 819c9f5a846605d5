"""What rows a foreign Document becomes.

Read are the shapes that Jina Finetuner knew (its docs/walkthrough/create-training-data.md, and the session datasets of
its version 0.4):

- labelled: a content and `tags['finetuner_label']`; plain: a text without a label;
- a parent with two chunks: text-image where they are a text and an image in either order; scored where
  `tags['finetuner_score']` of the parent is a number from 0 to 1 or the text of one; pairs otherwise. A label on parent
  or chunks says no more than that the two belong together, unless the chunks' labels differ;
- matches: a content whose `.matches` have `tags['finetuner']['label']` or `tags['finetuner_label']`.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from docarray.proto.docarray_pb2 import DocumentProto
from google.protobuf.struct_pb2 import Value

from embedtune.errors import InputError
from embedtune.records.docarrays.content import ContentKind, content_kind, stored_content
from embedtune.records.docarrays.request import MeshOptions, number_text
from embedtune.records.layouts import LABEL_TAG, SCORE_TAG, Layout, Modality
from embedtune.records.rows import RowsFormat
from embedtune.text import excerpt, stripped

_SESSION_TAG = "finetuner"
_SESSION_KEY = "label"
_CHUNKS = 2


@dataclass(frozen=True)
class MatchValues:
    """The labels of matches that mean relevant and not relevant, as texts."""

    positive: str
    negative: str

    def gain(self, label: str) -> float:
        """Return the relevance of a match with this label.

        Raises:
            InputError: the label is neither of the two.
        """
        if label not in (self.positive, self.negative):
            raise InputError(
                f"the label {excerpt(label)} of a match is neither {excerpt(self.positive)} (relevant) nor "
                f"{excerpt(self.negative)} (not relevant)"
            )
        return float(label == self.positive)


def rows_format(document: DocumentProto) -> RowsFormat:
    """Tell what rows a Document becomes.

    Raises:
        InputError: it becomes none.
    """
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
    document: DocumentProto, found: RowsFormat, values: MatchValues, options: MeshOptions
) -> Iterator[tuple[object, ...]]:
    """Yield the rows of a Document: the columns of a rows file without line and source.

    Args:
        document: The Document.
        found: What `rows_format` says about it.
        values: What the labels of matches mean.
        options: How point clouds are drawn from mesh files.

    Raises:
        InputError: a content, label or score cannot be used; nothing of the Document should be kept then.
    """
    if found.layout is Layout.MATCHES:
        query = _stored(document, options)
        for match in document.matches:
            yield (*query, *_stored(match, options), values.gain(match_label(match)))
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


def match_label(match: DocumentProto) -> str:
    """Return the label of a match as text; '1' for the number 1.

    Raises:
        InputError: it has none, or one that is neither text nor number.
    """
    session = match.tags.fields[_SESSION_TAG] if _SESSION_TAG in match.tags.fields else Value()
    if _SESSION_KEY in session.struct_value.fields:
        return value_text(session.struct_value.fields[_SESSION_KEY], "label of a match")
    label = _label(match)
    if not label:
        raise InputError(
            f"a match has neither tags[{_SESSION_TAG!r}][{_SESSION_KEY!r}] nor tags[{LABEL_TAG!r}]; where matches are "
            "search results and no judgments, clear them before saving"
        )
    return label


def value_text(value: Value, what: str) -> str:
    """Return a value of `tags` as text, whole numbers without a point: protobuf turns 1 into 1.0.

    Raises:
        InputError: it is neither text, number, true nor false, or it is empty.
    """
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
    return number_text(value.number_value)


def _stored(document: DocumentProto, options: MeshOptions) -> tuple[object, ...]:
    return stored_content(document, content_kind(document), options)


def _label(document: DocumentProto) -> str:
    """Return the label, '' where there is none."""
    if LABEL_TAG not in document.tags.fields:
        return ""
    return value_text(document.tags.fields[LABEL_TAG], "label")


def _score(document: DocumentProto) -> float:
    text = value_text(document.tags.fields[SCORE_TAG], "score")
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

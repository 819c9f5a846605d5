"""The documents that were held out of training, as what a model is judged on."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from embedtune.documents.distinct_contents import content_key
from embedtune.documents.schema import ContentColumns, Split, SplitColumns, SplitRule
from embedtune.documents.shards.folder import BuiltFolder
from embedtune.documents.summary import SUMMARY_FILE, DataSummary
from embedtune.documents.tiles import Tile, draw_tile
from embedtune.errors import InputError
from embedtune.models.contents import Contents, column_of, spool_split
from embedtune.records.layouts import Layout, Modality
from embedtune.records.rows import RowsFormat
from embedtune.retrieval.comparison import QueryExample
from embedtune.retrieval.evaluation_set import EvaluationSet, ScoredPairs
from embedtune.retrieval.judgments import Judgments
from embedtune.retrieval.units import Units, connected_pairs, single_queries, whole_labels


@dataclass(frozen=True, eq=False)
class HeldOut:
    """What a model is judged on."""

    documents: EvaluationSet
    queries: Contents
    """The contents of the N queries."""
    index: Contents
    """The contents of the M documents."""
    index_labels: Sequence[str] | None = None
    """Labels of the M documents; None where judged pairs say what is relevant."""


def read_held_out(folder: Path, scratch: Path) -> HeldOut:
    """Read queries, index and judgments; the contents stay on disk until a batch needs them.

    Where the folder does not say how it was split, which one from a pushed dataset does not, each query was held out by
    itself.

    Args:
        folder: Evaluation documents.
        scratch: Folder for copies of the contents, which must outlive them.

    Raises:
        InputError: there are no queries or no index, or only the addresses of their contents.
        StorageError: the folder cannot be read.
    """
    built = BuiltFolder.open(folder)
    queries, index = (spool_split(built, split, scratch) for split in (Split.QUERY, Split.INDEX))
    if queries.num_rows == 0 or index.num_rows == 0:
        raise InputError(
            f"{folder} holds {queries.num_rows} queries and {index.num_rows} index documents; build it anew."
        )
    return held_out_of(queries, index, built.relevance(), built.manifest.rows_format, _split_rule(folder))


def held_out_of(
    queries: pa.Table, index: pa.Table, relevance: pa.Table | None, rows_format: RowsFormat, rule: str
) -> HeldOut:
    """Return queries, index and judgments as what a model is judged on.

    Args:
        queries: N contents, with the columns of the split QUERY.
        index: M contents, with the columns of the split INDEX.
        relevance: The judged pairs, or None where equal labels make the pairs.
        rows_format: Of the rows that they come from.
        rule: By which they were held out, '' where that is not known.

    Raises:
        InputError: only the addresses of the contents are there.
    """
    forms = [SplitColumns(rows_format, split).contents[0] for split in (Split.QUERY, Split.INDEX)]
    scored = None
    query_ids, index_ids = queries["id"].to_pylist(), index["id"].to_pylist()
    query_labels, index_labels = queries["label"].to_pylist(), index["label"].to_pylist()
    relevant_labels = index_labels if relevance is None else None
    if relevance is None:
        judgments = Judgments.from_labels(query_labels, query_ids, index_labels, index_ids)
    else:
        pairs = [relevance[name].to_pylist() for name in ("query_id", "document_id", "relevance")]
        judgments = Judgments.from_pairs(query_ids, index_ids, *pairs)
        if rows_format.layout is Layout.SCORED:
            scores = np.array(pairs[2], np.float64)
            scored = ScoredPairs.from_ids(list(zip(*pairs[:2], strict=True)), scores, query_ids, index_ids)
        query_labels = [""] * len(query_ids)  # a component's number says nothing to a reader
    (query_kind, _), (index_kind, _) = columns = [
        column_of(table, form) for table, form in zip((queries, index), forms, strict=True)
    ]
    query_names, index_names = (_names(table, form) for table, form in zip((queries, index), forms, strict=True))
    units = _units(rule, relevance is not None, (queries, index), forms)
    documents = EvaluationSet(
        query_ids, query_names, query_labels, index_ids, index_names, judgments, query_kind, index_kind, scored, units
    )
    query_contents, index_contents = (Contents([column]) for column in columns)
    return HeldOut(documents, query_contents, index_contents, relevant_labels)


def draw_examples(held_out: HeldOut, examples: Sequence[QueryExample]) -> dict[str, Tile]:
    """Draw the images or meshes of a few examples, by id; none of texts.

    Where queries and documents are images and meshes, only the documents are drawn.
    """
    documents = held_out.documents
    sides = (
        (documents.index_kind, documents.index_ids, held_out.index),
        (documents.query_kind, documents.query_ids, held_out.queries),
    )
    media = [side for side in sides if side[0] is not Modality.TEXT]
    hits = {hit.id for example in examples for results in example.results for hit in results.hits}
    shown = hits | {example.id for example in examples}
    drawn: dict[str, Tile] = {}
    for kind, ids, contents in media:
        for position, identifier in enumerate(ids if kind is media[0][0] else ()):
            content = contents.stored(position) if identifier in shown and identifier not in drawn else ""
            if isinstance(content, bytes):
                drawn[identifier] = draw_tile(kind, content)[0]
    return drawn


def _split_rule(folder: Path) -> str:
    path = folder / SUMMARY_FILE
    return DataSummary.load(path).split_rule if path.exists() else ""


def _units(rule: str, are_judged: bool, sides: tuple[pa.Table, pa.Table], forms: Sequence[ContentColumns]) -> Units:
    """Return what the split held out together.

    Args:
        rule: Rule of the split.
        are_judged: Whether judged pairs say what is relevant; the labels are then their connected components.
        sides: Queries and index.
        forms: What the contents of each are.
    """
    queries, index = sides
    if rule != SplitRule.GROUP:
        return single_queries(_keys(queries, forms[0]), index.num_rows)
    query_labels, index_labels = (table["label"].to_pylist() for table in sides)
    if are_judged:
        return connected_pairs(query_labels, index_labels)
    return whole_labels(query_labels, _keys(queries, forms[0]), index_labels, _keys(index, forms[1]))


def _keys(table: pa.Table, form: ContentColumns) -> list[str]:
    """Return what contents have in common that the split takes for the same."""
    if form.modality is Modality.TEXT:
        return [content_key(text) for text in table[form.column].to_pylist()]
    ids: list[str] = table["id"].to_pylist()
    return ids


def _names(table: pa.Table, form: ContentColumns) -> list[str]:
    """Return texts as they are, and of other contents the names of the files that they came from."""
    if form.modality is Modality.TEXT:
        found: list[str] = table[form.column].to_pylist()
        return found
    return [file_name(uri) for uri in table[form.uri_column].to_pylist()]


def file_name(uri: str) -> str:
    """Return the name of the file at an address; '' where no address is known."""
    return uri.partition("?")[0].rpartition("/")[2]
